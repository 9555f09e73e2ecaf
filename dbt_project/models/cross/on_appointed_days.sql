-- 每次随访恰在预约日 (HTN-T-008): every visit of the period on the very day that the visit before had agreed (0a.13), and
-- several of them. One finding a person, at the institution of the last visit.
{% set rules = rules_on('on_appointed_days') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='visits::varchar', day='visit_date') }}
from (
  with visits as (
    {{ visits_in_order(rule.form_id, ['next_visit_date'],
      before_period(rule.params.look_back_days), period_until_today()) }}
  ),
  pairs as (
    select
      *, lag(visit_date) over before as previous_date, lag(next_visit_date) over before as appointed
    from visits
    window before as (partition by archive_no order by visit_date)
  )
  select
    *, count(*) over person as visits,
    case
      when count(*) over person >= {{ rule.params.min_visits }}
      then count(*) filter (previous_date is not null and appointed is distinct from visit_date) over person = 0
    end as violated
  from pairs
  where visit_date >= {{ period_start() }}
  window person as (partition by archive_no)
  {{ first_of('archive_no', 'visit_date desc') }}
)
{% endfor %}
