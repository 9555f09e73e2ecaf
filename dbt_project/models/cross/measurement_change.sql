-- 两次测量变化过大 (XFM-X-007 height lost, 008 height gained, 009 weight changed, ELD-L-006 a score that improved): a value
-- against the person's previous one, on whichever of the rule's forms either stands (0a.13). One finding a person and
-- form, on the form of the later value.
{% set rules = rules_on('measurement_change') %}

{{ no_findings() }}

{% for one in over_forms(rules) %}{% set rule = one.rule %}
{% set columns = {} %}{% for form_id in one.forms %}{% do columns.update({form_id: [rule.params.column]}) %}{% endfor %}
{% set change = {'drop': 'before - value', 'rise': 'value - before', 'ratio': 'abs(value - before) / nullif(before, 0)'}[rule.params.change] %}
{{ finding(rule, observed=plain_number('before') ~ " || '→' || " ~ plain_number('value'), form='form_id') }}
from (
  with values_in_order as (
    {{ measured(columns, before_period(rule.params.look_back_days),
      period_until_today()) }}
  ),
  pairs as (
    select *, lag(value) over before as before, _service_date - lag(_service_date) over before as days,
      {{ age_on('_service_date', 'birth_date') }} as age
    from values_in_order
    window before as (partition by archive_no order by _service_date)
  )
  select *, case when before is not null
    {%- if rule.params.min_age is defined %} and age >= {{ rule.params.min_age }}{% endif %}
    {%- if rule.params.max_age is defined %} and age <= {{ rule.params.max_age }}{% endif %}
    {%- if rule.params.max_days is defined %} and days <= {{ rule.params.max_days }}{% endif %}
    {%- if rule.params.over is defined %} then round({{ change }}, 6) > {{ rule.params.over }}
    {%- else %} then round({{ change }}, 6) >= {{ rule.params.at_least }}{% endif %} end as violated
  from pairs
  where _service_date >= {{ period_start() }}
  {{ worst_of('archive_no, form_id', '_service_date desc') }}
)
{% endfor %}
