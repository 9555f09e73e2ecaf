-- Each rule at each institution in the newest night: how many it was asked of, concerned and violated.
with results as (
  select
    institution_code, form_id, rule_id, max(checked) as checked, sum(applicable)::bigint as applicable,
    sum(violated)::bigint as violated,
    string_agg(distinct status, '、' order by status) as statuses,
    string_agg(distinct reason, '；' order by reason) filter (coalesce(reason, '') <> '') as reason
  from {{ ref('qc_rule_result') }}
  where run_id = (select run_id from {{ ref('qc_run') }} where is_leading order by snapshot_date desc limit 1)
  group by all
),

findings as (
  select
    institution_code, form_id, rule_id, count(*) as findings, count(distinct root_id) as problems,
    count(*) filter (state = 'waived') as waived_findings, count(*) filter (state = 'reopened') as reopened_findings,
    min(first_seen) as oldest_finding
  from {{ ref('qc_finding_current') }} group by all
),

rules as (
  select rule_id, arg_max(title, version) as title, arg_max(dimension, version) as dimension,
    arg_max(severity, version) as severity
  from {{ ref('qc_rule') }} group by rule_id
)

select
  r.institution_code, i.institution_name, r.form_id, {{ form_title('r.form_id') }} as form_title, r.rule_id,
  u.title as rule_title, u.dimension, u.severity, r.statuses, r.reason, r.checked, r.applicable, r.violated,
  round(100.0 * r.violated / nullif(r.applicable, 0), 2)::double as violation_rate,
  coalesce(f.findings, 0) as findings, coalesce(f.problems, 0) as problems,
  coalesce(f.waived_findings, 0) as waived_findings, coalesce(f.reopened_findings, 0) as reopened_findings,
  f.oldest_finding
from results as r
left join findings as f using (institution_code, form_id, rule_id)
left join rules as u using (rule_id)
left join {{ ref('institution') }} as i using (institution_code)
