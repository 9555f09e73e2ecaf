-- The reported figures in force, one row a cell. Of an institution's rows for one period the last in the file stands.
{{ config(materialized='table') }}

select report_id, institution_code, year, period, item, value, raw, file_id, row_number, column_name, column_number,
  snapshot_date
from {{ ref('reported_cell') }}
where institution_code is not null and year is not null and period is not null
qualify row_number() over (
  partition by report_id, institution_code, year, period, item order by snapshot_date desc, row_number desc, file_id
) = 1
