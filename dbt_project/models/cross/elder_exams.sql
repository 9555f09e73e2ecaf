-- 老年人体检过密 (ELD-T-002 more than one in the period, ELD-T-003 too soon after the one before): people who turn 65 in the
-- year of the period or before; examinations of one day count once (0a.13).
{% set rules = rules_on('elder_exams') %}

{{ no_findings() }}

{% for rule in rules %}
{% set counts = rule.params.max_exams is defined %}
{{ finding(rule, observed='times::varchar' if counts else 'gap_days::varchar',
  expected=sql_text(rule.params.max_exams if counts else '≥' ~ rule.params.min_days), day='visit_date') }}
from (
  with exams as (
    select *, count(*) over (partition by archive_no) as times
    from ({{ visits_with_previous(rule.form_id, ['birth_date'], [], rule.params.look_back_days or 0) }})
  )
  select
    e.*, {{ 'times > ' ~ rule.params.max_exams if counts else 'gap_days < ' ~ rule.params.min_days }} as violated
  from exams as e cross join {{ ref('night') }} as n
  where year(n.period_end) - year(birth_date) >= {{ rule.params.elder_age }}
  {{ worst_of('archive_no', 'visit_date desc') }}
)
{% endfor %}
