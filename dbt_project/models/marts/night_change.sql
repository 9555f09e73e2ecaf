-- What each night changed against the one before it, by institution, form, doctor and rule.
with nights as (
  select snapshot_date, lag(snapshot_date) over (order by snapshot_date) as previous_date
  from (select distinct snapshot_date from {{ ref('qc_run') }})
)

select
  h.snapshot_date, n.previous_date, f.institution_code, i.institution_name, f.form_id,
  {{ form_title('f.form_id') }} as form_title, coalesce(f.doctor_name, '') as doctor_name, f.rule_id, f.dimension,
  f.severity,
  count(*) filter (h.from_state is null) as new_findings,
  count(*) filter (h.to_state = 'fixed') as fixed_findings,
  count(*) filter (h.from_state in ('fixed', 'retired') and h.to_state in ('open', 'reopened')) as reopened_findings,
  count(*) filter (h.to_state = 'waived') as waived_findings,
  count(*) filter (h.from_state = 'waived' and h.to_state in ('open', 'reopened')) as waiver_ended_findings,
  count(*) filter (h.to_state = 'retired') as retired_findings
from {{ ref('qc_finding_history') }} as h
join {{ ref('qc_finding') }} as f using (finding_id)
join nights as n on n.snapshot_date = h.snapshot_date
left join {{ ref('institution') }} as i using (institution_code)
group by all
