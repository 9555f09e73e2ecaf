{{ config(alias='registry_problem') }}
select file, row_number, column_name, value, reason, remedy, is_left_out
from {{ input('registry_problem') }}
