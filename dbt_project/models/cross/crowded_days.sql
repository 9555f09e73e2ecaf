-- 单日随访量 (AUT-A-010): residents a doctor saw face to face on one day, over all kinds of visits. A resident seen on two
-- forms counts once. One finding a doctor, on the fullest day.
{% set rules = rules_on('crowded_days') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding_of(rule, 'doctor_name', observed="day::varchar || '：' || residents || ' 人'",
  expected=sql_text('≤' ~ rule.params.max_residents), doctor='doctor_name', day='day') }}
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
  {{ first_of('institution_code, doctor_name', 'residents desc, day desc') }}
)
{% endfor %}
