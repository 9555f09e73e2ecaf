{{ config(alias='run') }}
select
  run_id, plan_id, scheme_id, snapshot_date, started_at, finished_at, status, catalogue_fingerprint, records_checked,
  findings, period, sampled, institutions, is_leading, findings_digest
from {{ input('run') }}
