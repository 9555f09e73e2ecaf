-- Each span of days once, with the length of its year.
{{ config(materialized='table') }}
select distinct from_day, to_day, make_date(year(to_day), 12, 31) - make_date(year(to_day), 1, 1) + 1 as year_days
from {{ ref('report_span') }}
