-- Every finding ever opened, as the newest night left it. A waiver covers what is open, on the newest snapshot date.
{{ config(alias='finding') }}

with newest as (select max(snapshot_date) as snapshot_date from {{ input('run') }}),

waivers as (
  -- one that names no subject or no field covers all of the rule's at the institution
  select w.rule_id, w.institution_code, nullif(w.subject_id, '') as subject_id, nullif(w.field, '') as field
  from {{ input('waiver') }} as w cross join newest as n
  where n.snapshot_date between coalesce(w.from_date, date '0001-01-01') and coalesce(w.until_date, date '9999-12-31')
),

waived as (
  select distinct s.finding_id
  from {{ input('state') }} as s
  join waivers as w on w.rule_id = s.rule_id and w.institution_code = s.institution_code
    and (w.subject_id is null or w.subject_id = s.subject_id) and (w.field is null or w.field = s.field)
)

select
  s.finding_id, s.root_id, s.run_id, s.snapshot_date, s.period, s.institution_code, s.form_id, s.subject_kind,
  s.subject_id, s.record_id, s.archive_no, s.doctor_name, s.service_date, s.rule_id, s.rule_version, s.field,
  s.dimension, s.severity, s.observed, s.expected, s.message, s.suggestion,
  case when s.state in ('open', 'reopened') and w.finding_id is not null then 'waived' else s.state end as state,
  s.first_seen, s.last_seen, s.state_since, s.rule_fingerprint
from {{ input('state') }} as s
left join waived as w using (finding_id)
