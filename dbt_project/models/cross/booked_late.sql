-- 建册过晚 (PRG-T-001): the first antenatal record of a pregnancy was made after the weeks in which it should be. One
-- finding a woman, on her last such record.
{% set rules = rules_on('booked_late') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='gest_weeks::integer::varchar', expected=sql_text('≤' ~ rule.params.max_weeks)) }}
from (
  select *, gest_weeks > {{ rule.params.max_weeks }} as violated
  from {{ ref('judged_' ~ rule.form_id) }}
  where archive_no is not null and {{ in_force(rule) }}
  {{ worst_of('archive_no', '_service_date desc, _record_key') }}
)
{% endfor %}
