-- 老年人体检过密 (ELD-T-002 more than one in the period, ELD-T-003 too soon after the one before): people who turn 65 in the
-- year of the period or before; examinations of one day count once (0a.13).
{% set rules = rules_on('elder_exams') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
union all by name
select
  {{ of_rule(rule) }}, _institution_code as institution_code, {{ of_record('violated', 'archive_no', 'visit_date') }},
  case when violated then {{ 'times' if rule.params.max_exams is defined else 'days' }}::varchar end as observed,
  case when violated then {% if rule.params.max_exams is defined %}'{{ rule.params.max_exams }}'{% else %}'≥{{ rule.params.min_days }}'{% endif %} end as expected,
  violated
from (
  with exams as (
    {{ visits_in_order(rule.form_id, ['birth_date'],
      '(select period_start - ' ~ rule.params.look_back_days ~ ' from ' ~ ref('night') ~ ')' if rule.params.min_days is defined
      else period_start(), period_until_today()) }}
  ),
  pairs as (
    select *, visit_date - lag(visit_date) over (partition by archive_no order by visit_date) as days,
      count(*) over (partition by archive_no) as times
    from exams
  )
  select p.*,
    {% if rule.params.max_exams is defined %}times > {{ rule.params.max_exams }}{% else %}days < {{ rule.params.min_days }}{% endif %} as violated
  from pairs as p cross join {{ ref('night') }} as n
  where visit_date >= n.period_start and year(n.period_end) - year(birth_date) >= {{ rule.params.elder_age }}
  qualify row_number() over (
    partition by archive_no order by coalesce(violated, false) desc, violated is null, visit_date desc
  ) = 1
)
{% endfor %}
