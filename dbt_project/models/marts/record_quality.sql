-- Judged records and what is open on them, the ground of every pass rate: one row an institution, form, doctor, month.
-- A record passes when it has none of the severities the scheme names. What is waived does not count, nor does 真实性,
-- which only makes lists to look into (0a.17).
{% set scheme = var('scheme') %}

with open_findings as (
  select institution_code, form_id, subject_id, severity
  from {{ ref('qc_finding_current') }}
  where subject_kind = 'record' and state <> 'waived' and dimension <> '真实性'
),

marked as (
  select
    institution_code, form_id, subject_id, bool_or(severity in {{ sql_list(scheme.passes_without) }}) as fails,
    least(100, sum(case severity
      {%- for severity, points in scheme.deductions.items() %} when {{ sql_text(severity) }} then {{ points }}{% endfor %}
      else 0 end)) as points
  from open_findings group by all
),

-- Records that were only taken in have no pass rate (billing/entitlement.py gives the reason).
not_entitled as (
  select distinct institution_code from {{ ref('qc_rule_result') }}
  where status = 'not_evaluable' and starts_with(reason, '未开通质控')
    and snapshot_date = (select max(snapshot_date) from {{ ref('qc_run') }})
),

records as (
  select
    j._institution_code as institution_code, j.form_id, coalesce(j.doctor_name, '') as doctor_name,
    coalesce(strftime(j._service_date, '%Y-%m'), '') as month, count(*) as records,
    count(m.subject_id) as records_with_findings, count(*) filter (m.fails) as records_failed,
    sum(100 - coalesce(m.points, 0)) as score_sum
  from {{ ref('judged_record') }} as j
  left join marked as m
    on m.institution_code = j._institution_code and m.form_id = j.form_id and m.subject_id = j._record_key
  where j._institution_code not in (select institution_code from not_entitled)
  group by all
)

select
  institution_code, form_id, doctor_name, month, records::bigint as records,
  records_with_findings::bigint as records_with_findings, records_failed::bigint as records_failed,
  round(100.0 * (records - records_failed) / nullif(records, 0), 2)::double as pass_rate,
  score_sum::double as score_sum
from records
