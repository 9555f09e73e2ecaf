-- 随访过多 (HTN-T-002): more visits in the period, however made, than anybody needs. Visits of one day count once; one
-- finding a person, at the institution of the last visit.
{% set rules = rules_on('too_many_visits') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='total::varchar', expected=sql_text('≤' ~ rule.params.max_visits), day='visit_date') }}
from (
  with visits as (
    {{ visits_in_order(rule.form_id, []) }}
  )
  select
    *, count(*) over (partition by archive_no) as total, total > {{ rule.params.max_visits }} as violated
  from visits
  {{ first_of('archive_no', 'visit_date desc') }}
)
{% endfor %}
