-- 批量录入 (AUT-A-012): records of many different residents entered within one minute. One finding a doctor and
-- institution, on the fullest minute. A time of exactly midnight is a date without time, and tells no minute.
{% set rules = rules_on('batch_entry') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for one in over_forms(rules) %}{% set rule = one.rule %}
union all by name
select
  {{ of_rule(rule, form='form_id') }}, institution_code, doctor_name as subject_id, null::varchar as record_id,
  null::varchar as archive_no, doctor_name, minute::date as service_date,
  case when violated then strftime(minute, '%Y-%m-%d %H:%M') || '：' || residents || ' 人' end as observed,
  case when violated then '≤{{ rule.params.max_residents }}' end as expected, violated
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
  qualify row_number() over (partition by form_id, institution_code, doctor_name order by residents desc, minute desc) = 1
)
{% endfor %}
