-- How much speaks for looking closely: authenticity findings still open, rule by rule, of each doctor and institution, and
-- what verification concluded. One rule counts once, three points for 一般 or 严重 and one for 提示; each service found
-- untrue counts three.
with leads as (
  select institution_code, rule_id, subject_kind, doctor_name, severity, count(*) as findings, min(observed) as observed
  from {{ ref('qc_finding_current') }}
  where dimension = '真实性' and state in ('open', 'reopened')
  group by all
),
told as (
  select institution_code, 'doctor' as subject_kind, doctor_name as subject_id, rule_id,
    max(case when severity = '提示' then 1 else 3 end) as points, sum(findings)::bigint as findings,
    min(observed) filter (subject_kind = 'doctor') as observed
  from leads where doctor_name is not null group by all
  union all
  select institution_code, 'institution', institution_code, rule_id,
    max(case when severity = '提示' then 1 else 3 end), sum(findings)::bigint,
    min(observed) filter (subject_kind = 'institution')
  from leads group by all
),
answers as (
  select institution_code, 'doctor' as subject_kind, doctor_name as subject_id, conclusion from {{ input('verification') }}
  where doctor_name is not null
  union all
  select institution_code, 'institution', institution_code, conclusion from {{ input('verification') }}
),
verified as (
  select institution_code, subject_kind, subject_id, count(*) as verified,
    count(*) filter (conclusion = '属实') as found_true, count(*) filter (conclusion = '不属实') as found_untrue
  from answers group by all
),
subjects as (
  select distinct _institution_code as institution_code, 'doctor' as subject_kind, doctor_name as subject_id
  from {{ ref('judged_record') }} where doctor_name is not null
  union
  select distinct _institution_code, 'institution', _institution_code from {{ ref('judged_record') }}
  union
  select institution_code, subject_kind, subject_id from verified
),
scored as (
  select
    s.institution_code, s.subject_kind, s.subject_id,
    count(t.rule_id) as rules, coalesce(sum(t.findings), 0)::bigint as findings,
    coalesce(sum(t.points), 0)::bigint as points,
    string_agg(t.rule_id || '（' || t.findings || ' 处' || coalesce('：' || t.observed, '') || '）', '；' order by t.rule_id) as evidence
  from subjects as s
  left join told as t
    on t.institution_code = s.institution_code and t.subject_kind = s.subject_kind and t.subject_id = s.subject_id
  group by all
)
select
  s.institution_code, s.subject_kind, s.subject_id, s.rules, s.findings,
  s.points + 3 * coalesce(v.found_untrue, 0) as points,
  case
    when coalesce(v.found_untrue, 0) > 0 or s.points >= 6 then '高'
    when v.found_true >= 5 and v.found_true = v.verified then '低'
    when s.points >= 3 then '中' when s.points > 0 then '低' else '无' end as level,
  coalesce(v.verified, 0) as verified, coalesce(v.found_true, 0) as found_true,
  coalesce(v.found_untrue, 0) as found_untrue,
  case when coalesce(v.found_untrue, 0) > 0 then '核查不属实' when coalesce(v.found_true, 0) > 0 then '核查属实'
    when coalesce(v.verified, 0) > 0 then '未能核实' when s.points > 0 then '待核查' else '' end as conclusion,
  s.evidence
from scored as s
left join verified as v
  on v.institution_code = s.institution_code and v.subject_kind = s.subject_kind and v.subject_id = s.subject_id
