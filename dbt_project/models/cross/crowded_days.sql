-- 单日随访量 (AUT-A-010): residents a doctor saw face to face on one day, over all kinds of visits. A resident seen on two
-- forms counts once. One finding a doctor, on the fullest day.
{% set rules = rules_on('crowded_days') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
union all by name
select
  {{ of_rule(rule) }}, institution_code, doctor_name as subject_id, null::varchar as record_id,
  null::varchar as archive_no, doctor_name, day as service_date,
  case when violated then day::varchar || '：' || residents || ' 人' end as observed,
  case when violated then '≤{{ rule.params.max_residents }}' end as expected, violated
from (
  with seen as (
    {% for form_id in rule.reads %}
    select _institution_code as institution_code, doctor_name, _service_date as day, archive_no
    from {{ ref('judged_' ~ form_id) }}
    where doctor_name is not null and archive_no is not null and _service_date is not null
      and visit_mode_code in {{ sql_list(rule.params.face_to_face) }} and {{ in_force(rule) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
  ),
  days as (
    select institution_code, doctor_name, day, count(distinct archive_no) as residents from seen group by all
  )
  select *, residents > {{ rule.params.max_residents }} as violated
  from days
  qualify row_number() over (partition by institution_code, doctor_name order by residents desc, day desc) = 1
)
{% endfor %}
