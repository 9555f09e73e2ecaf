{{ config(alias='file') }}
select
  file_id, sha256, institution_code, snapshot_date, form_id, path, format, encoding, status, reason, rows_read,
  rows_loaded, rows_rejected
from {{ input('file') }}
