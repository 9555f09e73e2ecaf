-- 随访间隔过长 (HTN-T-003): too many days between two visits one behind the other, both in the period, however they were
-- made (0a.14). One finding a person, on the longest gap, at the institution of the later visit.
{% set rules = rules_on('visit_gap') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='gap_days::varchar', expected=sql_text('≤' ~ rule.params.max_gap_days), day='visit_date') }}
from (
  with visits as (
    {{ visits_in_order(rule.form_id, []) }}
  ),
  gaps as (
    select *, visit_date - lag(visit_date) over (partition by archive_no order by visit_date) as gap_days from visits
  )
  select *, gap_days > {{ rule.params.max_gap_days }} as violated
  from gaps
  {{ first_of('archive_no', 'gap_days desc nulls last, visit_date desc') }}
)
{% endfor %}
