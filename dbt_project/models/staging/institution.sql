-- The registry's institutions, one row each.
{{ config(materialized='table') }}
select institution_code, any_value(institution_name) as institution_name, any_value(parent_code) as parent_code,
  any_value(level) as level, any_value(region_code) as region_code
from {{ input('institution') }} group by institution_code
