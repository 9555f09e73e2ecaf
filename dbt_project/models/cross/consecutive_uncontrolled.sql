-- 连续两次未控制 (HTN-L-008, DM-L-010): two visits one behind the other, both not controlled, and the later one without
-- a reason of referral (0a.13). The later visit lies in the period; one finding a person, on the last such pair.
{% set rules = rules_on('consecutive_uncontrolled') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed="before_class_code || '、' || class_code", day='visit_date') }}
from (
  with visits as (
    {{ visits_with_previous(rule.form_id, ['class_code', 'referral_reason'], ['class_code'], rule.params.look_back_days) }}
  )
  select
    *, class_code in {{ sql_list(rule.params.uncontrolled) }} and before_class_code in {{ sql_list(rule.params.uncontrolled) }}
      and referral_reason is null as violated
  from visits
  where previous_date is not null
  {{ worst_of('archive_no', 'visit_date desc') }}
)
{% endfor %}
