{{ config(alias='value') }}
select institution_code, report_id, year, period, item, value, file_id, raw, row_number, column_name
from {{ ref('report_cells') }}
