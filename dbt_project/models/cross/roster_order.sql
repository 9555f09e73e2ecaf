-- 按名册录入 (AUT-A-033): a doctor's records of one day, entered in exactly the order of the archive numbers. One finding a
-- doctor and form, on the longest such day. A time of exactly midnight is a date without time, and tells no order.
{% set rules = rules_on('roster_order') %}

{{ no_findings() }}

{% for one in over_forms(rules) %}{% set rule = one.rule %}
{{ finding_of(rule, 'doctor_name', observed="day::varchar || '：' || residents || ' 人'", doctor='doctor_name',
  day='day', form='form_id') }}
from (
  with entered as (
    select form_id, _institution_code as institution_code, doctor_name, created_at::date as day, archive_no, created_at
    from {{ ref('judged_record') }}
    where form_id in {{ sql_list(one.forms) }} and doctor_name is not null and archive_no is not null
      and created_at is not null and created_at <> created_at::date::timestamp and {{ in_force(rule) }}
  ),
  full_days as (
    select form_id, institution_code, doctor_name, day, count(distinct archive_no) as residents
    from entered group by all
  ),
  -- only days that are full enough are put in order
  steps as (
    select e.*, f.residents, lag(e.archive_no) over (
      partition by e.form_id, e.institution_code, e.doctor_name, e.day order by e.created_at, e.archive_no
    ) as before
    from entered as e
    join full_days as f using (form_id, institution_code, doctor_name, day)
    where f.residents >= {{ rule.params.min_residents }}
  ),
  ordered as (
    select form_id, institution_code, doctor_name, day, residents, bool_and(before is null or before <= archive_no) as violated
    from steps group by all
  ),
  doctors as (
    select form_id, institution_code, doctor_name, max(residents) as fullest, arg_max(day, (residents, day)) as fullest_day
    from full_days group by all
  )
  select d.form_id, d.institution_code, d.doctor_name, coalesce(o.day, d.fullest_day) as day,
    coalesce(o.residents, d.fullest) as residents,
    case when d.fullest >= {{ rule.params.min_residents }} then coalesce(o.violated, false) end as violated
  from doctors as d
  left join ordered as o using (form_id, institution_code, doctor_name)
  {{ first_of('d.form_id, d.institution_code, d.doctor_name', 'o.violated desc nulls last, o.residents desc, o.day desc') }}
)
{% endfor %}
