-- 每次随访恰在预约日 (HTN-T-008): every visit of the period on the very day that the visit before had agreed (0a.13), and
-- several of them. One finding a person, at the institution of the last visit.
{% set rules = rules_on('on_appointed_days') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='visits::varchar', day='visit_date') }}
from (
  with visits as (
    {{ visits_with_previous(rule.form_id, ['next_visit_date'], ['next_visit_date'], rule.params.look_back_days) }}
  )
  select
    *, count(*) over person as visits,
    case
      when count(*) over person >= {{ rule.params.min_visits }}
      then count(*) filter (previous_date is not null and before_next_visit_date is distinct from visit_date) over person = 0
    end as violated
  from visits
  window person as (partition by archive_no)
  {{ first_of('archive_no', 'visit_date desc') }}
)
{% endfor %}
