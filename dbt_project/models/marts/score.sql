-- Scores of doctors and institutions by every scheme: 合格记录 ÷ 记录, a form's records counting by its weight.
with records as (
  select r.scheme_id, r.institution_code, r.doctor_name, r.score, r.passed, coalesce(f.weight, 1) as weight
  from {{ ref('record_score') }} as r
  left join {{ input('scheme_form') }} as f using (scheme_id, form_id)
),

added as (
  select scheme_id, institution_code, case grouping(doctor_name) when 1 then 'institution' else 'doctor' end as level,
    coalesce(doctor_name, '') as doctor_name, count(*) as records, count(*) filter (passed) as records_passed,
    sum(weight) as weight, 100.0 * sum(weight) filter (passed) / nullif(sum(weight), 0) as score, avg(score) as mean_score
  from records
  group by grouping sets ((scheme_id, institution_code), (scheme_id, institution_code, doctor_name))
)

select
  a.scheme_id, s.title as scheme_title, s.judging, a.level, a.institution_code, i.institution_name, a.doctor_name,
  a.records, a.records_passed, a.weight::double as weight, coalesce(a.score, 0)::double as score,
  a.mean_score::double as mean_record_score,
  case a.level when 'doctor' then s.doctor_line else s.institution_line end as pass_line,
  round(coalesce(a.score, 0), 6) >= case a.level when 'doctor' then s.doctor_line else s.institution_line end as reached
from added as a
join {{ input('scheme') }} as s using (scheme_id)
left join {{ ref('institution') }} as i using (institution_code)
