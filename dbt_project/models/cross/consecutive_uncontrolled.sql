-- 连续两次未控制 (HTN-L-008, DM-L-010): two visits one behind the other, both not controlled, and the later one without
-- a reason of referral (0a.13). The later visit lies in the period; one finding a person, on the last such pair.
{% set rules = rules_on('consecutive_uncontrolled') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
{% set visit_form = rule.form_id %}
{{ finding(rule, observed="previous_class || '、' || class_code", day='visit_date') }}
from (
  with visits as (
    {{ visits_in_order(visit_form, ['class_code', 'referral_reason'],
      before_period(rule.params.look_back_days), period_until_today()) }}
  ),
  pairs as (
    select *, lag(class_code) over before as previous_class, lag(visit_date) over before as previous_date
    from visits
    window before as (partition by archive_no order by visit_date)
  )
  select
    *, class_code in {{ sql_list(rule.params.uncontrolled) }} and previous_class in {{ sql_list(rule.params.uncontrolled) }}
      and referral_reason is null as violated
  from pairs
  where previous_date is not null and visit_date >= {{ period_start() }}
  {{ worst_of('archive_no', 'visit_date desc') }}
)
{% endfor %}
