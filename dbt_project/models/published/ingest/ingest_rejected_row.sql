{{ config(alias='rejected_row') }}
select file_id, row_number, reason, raw from {{ input('rejected_row') }}
