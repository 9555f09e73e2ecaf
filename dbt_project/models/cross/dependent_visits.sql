-- 不能自理者多次门诊 (ELD-L-005): the last assessment says the person cannot care for themselves, and yet they came to the
-- clinic on several days of the period, by their follow-up visits.
{% set rules = rules_on('dependent_visits') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='days::varchar', expected=sql_text('<' ~ rule.params.min_visits)) }}
from (
  with assessed as ({{ latest_of(rule.form_id, ['grade_code']) }}),
  visits as ({{ days_served(other_forms(rule), 'days', 'visit_mode_code = ' ~ sql_text(rule.params.at_clinic)) }})
  select a.*, coalesce(v.days, 0) as days,
    case when a.grade_code = {{ sql_text(rule.params.dependent) }}
      then coalesce(v.days, 0) >= {{ rule.params.min_visits }} end as violated
  from assessed as a left join visits as v on v.archive_no = a.archive_no
)
{% endfor %}
