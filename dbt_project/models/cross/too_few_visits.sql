-- 随访次数不足 (HTN-T-001, DM-T-001): fewer visits face to face in the period than are due by the days in management
-- (0a.12). Visits of one day count once, at any institution, also before the registration.
{% set rules = rules_on('too_few_visits') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
{% set visit_form = other_forms(rule) | first %}
union all by name
select
  {{ of_rule(rule) }}, institution_code, {{ of_record('violated', 'archive_no', 'register_date') }},
  case when violated then visits::varchar end as observed, case when violated then due::varchar end as expected, violated
from (
  with visits as (
    select archive_no, count(distinct _service_date) as visits
    from {{ ref('judged_' ~ visit_form) }}
    where visit_mode_code in {{ sql_list(rule.params.face_to_face) }}
      and _service_date between {{ period_start() }} and {{ period_until_today() }}
    group by archive_no
  )
  select
    m._institution_code as institution_code, m.archive_no, m.record_id, m.doctor_name, m.register_date,
    coalesce(v.visits, 0) as visits, {{ due(rule.params.min_visits) }} as due,
    case when m.managed_days > 0 then coalesce(v.visits, 0) < {{ due(rule.params.min_visits) }} end as violated
  from {{ ref('managed_days') }} as m
  left join visits as v on v.archive_no = m.archive_no
  where m.disease = {{ sql_text(rule.params.disease) }}
)
{% endfor %}
