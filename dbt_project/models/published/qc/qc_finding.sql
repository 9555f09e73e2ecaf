-- Every finding ever opened, as the newest night left it (the fold of nights, with the waivers in force on its date).
{{ config(alias='finding') }}
select
  finding_id, root_id, run_id, snapshot_date, period, institution_code, form_id, subject_kind, subject_id, record_id,
  archive_no, doctor_name, service_date, rule_id, rule_version, field, dimension, severity, observed, expected, message,
  suggestion, state, first_seen, last_seen, state_since, rule_fingerprint, plan_id
from {{ input('state') }}
