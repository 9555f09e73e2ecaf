-- 老年人体检过密 (ELD-T-002 more than one in the period, ELD-T-003 too soon after the one before): people who turn 65 in the
-- year of the period or before; examinations of one day count once (0a.13).
{% set rules = rules_on('elder_exams') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
{% set counts = rule.params.max_exams is defined %}
{{ finding(rule, observed='times::varchar' if counts else 'days::varchar',
  expected=sql_text(rule.params.max_exams if counts else '≥' ~ rule.params.min_days), day='visit_date') }}
from (
  with exams as (
    {{ visits_in_order(rule.form_id, ['birth_date'],
      period_start() if counts else before_period(rule.params.look_back_days), period_until_today()) }}
  ),
  pairs as (
    select *, visit_date - lag(visit_date) over (partition by archive_no order by visit_date) as days,
      count(*) over (partition by archive_no) as times
    from exams
  )
  select p.*,
    {{ 'times > ' ~ rule.params.max_exams if counts else 'days < ' ~ rule.params.min_days }} as violated
  from pairs as p cross join {{ ref('night') }} as n
  where visit_date >= n.period_start and year(n.period_end) - year(birth_date) >= {{ rule.params.elder_age }}
  {{ worst_of('archive_no', 'visit_date desc') }}
)
{% endfor %}
