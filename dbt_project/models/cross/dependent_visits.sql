-- 不能自理者多次门诊 (ELD-L-005): the last assessment says the person cannot care for themselves, and yet they came to the
-- clinic on several days of the period, by their follow-up visits.
{% set rules = rules_on('dependent_visits') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='days::varchar', expected=sql_text('<' ~ rule.params.min_visits)) }}
from (
  with assessed as ({{ latest_of(rule.form_id, ['grade_code']) }}),
  visits as (
    {% for form_id in other_forms(rule) %}
    select archive_no, _service_date from {{ ref('judged_' ~ form_id) }}
    where visit_mode_code = {{ sql_text(rule.params.at_clinic) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
  ),
  counted as (
    select archive_no, count(distinct _service_date) as days from visits
    where {{ in_period() }} group by all
  )
  select a.*, coalesce(c.days, 0) as days,
    case when a.grade_code = {{ sql_text(rule.params.dependent) }} then coalesce(c.days, 0) >= {{ rule.params.min_visits }} end as violated
  from assessed as a left join counted as c on c.archive_no = a.archive_no
)
{% endfor %}
