-- Night by night: what was asked, concerned and violated, by institution and severity.
select
  r.snapshot_date, r.institution_code, i.institution_name, u.severity,
  sum(r.applicable)::bigint as applicable, sum(r.violated)::bigint as violated,
  round(100.0 * sum(r.violated) / nullif(sum(r.applicable), 0), 2)::double as violation_rate
from {{ ref('qc_rule_result') }} as r
semi join (select run_id from {{ ref('qc_run') }} where is_leading) as n on n.run_id = r.run_id
left join (
  select rule_id, arg_max(severity, version) as severity from {{ ref('qc_rule') }} group by rule_id
) as u using (rule_id)
left join {{ ref('institution') }} as i using (institution_code)
group by all
