-- Nothing lost: every accepted file's rows were loaded or rejected, and every rejected one is there to be read.
select f.file_id, f.rows_read, f.rows_loaded, f.rows_rejected, coalesce(r.kept, 0) as kept
from {{ ref('ingest_file') }} as f
left join (select file_id, count(*) as kept from {{ ref('ingest_rejected_row') }} group by file_id) as r using (file_id)
where f.status = 'accepted'
  and (f.rows_read <> f.rows_loaded + f.rows_rejected or f.rows_rejected <> coalesce(r.kept, 0))
