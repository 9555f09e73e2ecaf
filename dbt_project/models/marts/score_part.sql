-- What makes up each score: by form and rule the points taken off records, and the points the score lost by it. A record
-- that fails loses its share of the score; rules that failed it together share that, so the parts add up to 100 − score.
with parts as (
  select s.scheme_id, s.fails, s.points, s.form_weight as weight, r.institution_code, r.doctor_name, r.form_id, r.record_id,
    f.rule_id, r.passed, f.dimension, f.severity
  from {{ ref('qc_finding_current') }} as f
  join {{ ref('qc_scheme_rule') }} as s
    on s.rule_id = f.rule_id and s.form_id = f.form_id and s.rule_version = f.rule_version
  join {{ ref('record_score') }} as r
    on r.scheme_id = s.scheme_id and r.institution_code = f.institution_code and r.form_id = f.form_id
      and r.record_id = f.subject_id
  where f.subject_kind = 'record' and f.state <> 'waived' and (s.points > 0 or s.fails)
),

shares as (
  select *, case when passed then 0 when bool_or(fails) over record then fails::int / sum(fails::int) over record
      else points / nullif(sum(points) over record, 0) end as share
  from parts
  window record as (partition by scheme_id, institution_code, form_id, record_id)
),

added as (
  select scheme_id, institution_code, case grouping(doctor_name) when 1 then 'institution' else 'doctor' end as level,
    coalesce(doctor_name, '') as doctor_name, form_id, rule_id, dimension, severity, count(*) as findings,
    count(distinct record_id) as records, sum(points) as points, sum(weight * share) as lost
  from shares
  group by grouping sets (
    (scheme_id, institution_code, form_id, rule_id, dimension, severity),
    (scheme_id, institution_code, doctor_name, form_id, rule_id, dimension, severity)
  )
)

select
  a.scheme_id, a.level, a.institution_code, a.doctor_name, a.form_id, {{ form_title('a.form_id') }} as form_title,
  a.rule_id, a.dimension, a.severity, a.findings, a.records, a.points::double as points,
  coalesce(100.0 * a.lost / nullif(s.weight, 0), 0)::double as lost
from added as a
join {{ ref('score') }} as s using (scheme_id, level, institution_code, doctor_name)
