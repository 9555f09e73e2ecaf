-- 批量录入 (AUT-A-012): records of many different residents entered within one minute. One finding a doctor and
-- institution, on the fullest minute. A time of exactly midnight is a date without time, and tells no minute.
{% set rules = rules_on('batch_entry') %}

{{ no_findings() }}

{% for one in over_forms(rules) %}{% set rule = one.rule %}
{{ finding_of(rule, 'doctor_name', observed="strftime(minute, '%Y-%m-%d %H:%M') || '：' || residents || ' 人'",
  expected=sql_text('≤' ~ rule.params.max_residents), doctor='doctor_name', day='minute::date', form='form_id') }}
from (
  with entries as (
    select
      form_id, _institution_code as institution_code, doctor_name, date_trunc('minute', created_at) as minute,
      count(distinct archive_no) as residents
    from {{ ref('judged_record') }}
    where form_id in {{ sql_list(one.forms) }} and doctor_name is not null and created_at is not null and created_at <> created_at::date::timestamp
      and {{ in_force(rule) }}
    group by all
  )
  select *, residents > {{ rule.params.max_residents }} as violated
  from entries
  {{ first_of('form_id, institution_code, doctor_name', 'residents desc, minute desc') }}
)
{% endfor %}
