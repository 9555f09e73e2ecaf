-- 次数不足 (HTN-T-001, DM-T-001 …; HTN-T-006 and its like: none at all, where one is due): fewer services in the period
-- than are due by the days in management (0a.12). Services of one day count once, at any institution, also before the
-- registration. Which services count is told by the rule: face_to_face (ways of visiting), filled (a value that must be
-- there), counted_day (another date than that of the service). able_form: people are excused whose visits of the period all
-- say they were in no state for it.
{% set rules = rules_on('too_few_visits') %}

{{ no_findings() }}

{% for rule in rules %}
{% set visit_form = rule.params.counted_form or (other_forms(rule) | first) %}
{% set day = rule.params.counted_day or '_service_date' %}
{% set able = rule.params.able_form %}
{{ finding(rule, observed='visits::varchar', expected='due::varchar', day='register_date') }}
from (
  with visits as (
    select archive_no, count(distinct {{ day }}) as visits
    from {{ ref('judged_' ~ visit_form) }}
    where {{ day }} between {{ period_start() }} and {{ period_until_today() }}
      {% if rule.params.face_to_face %}and visit_mode_code in {{ sql_list(rule.params.face_to_face) }}{% endif %}
      {% if rule.params.filled %}and {{ rule.params.filled }} is not null{% endif %}
    group by archive_no
  )
  {% if able %},
  states as (
    select archive_no, bool_or({{ rule.params.able_column }} in {{ sql_list(rule.params.able_codes) }}) as is_able
    from {{ ref('judged_' ~ able) }}
    where {{ in_period() }}
    group by archive_no
  )
  {% endif %}
  select
    m.*, coalesce(v.visits, 0) as visits, {{ due(rule.params.min_visits) }} as due,
    case
      when m.managed_days > 0 {% if able %}and coalesce(s.is_able, true){% endif %}
      then coalesce(v.visits, 0) < {{ due(rule.params.min_visits) }}
    end as violated
  from {{ ref('managed_days') }} as m
  left join visits as v on v.archive_no = m.archive_no
  {% if able %}left join states as s on s.archive_no = m.archive_no{% endif %}
  where m.disease = {{ sql_text(rule.params.disease) }}
)
{% endfor %}
