-- 随访过多 (HTN-T-002): more visits in the period, however made, than anybody needs. Visits of one day count once; one
-- finding a person, at the institution of the last visit.
{% set rules = rules_on('too_many_visits') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
union all by name
select
  {{ of_rule(rule) }}, _institution_code as institution_code, {{ of_record('violated', 'archive_no', 'visit_date') }},
  case when violated then total::varchar end as observed,
  case when violated then '≤{{ rule.params.max_visits }}' end as expected, violated
from (
  with visits as (
    {{ visits_in_order(rule.form_id, [], period_start(), period_until_today()) }}
  )
  select
    *, count(*) over (partition by archive_no) as total, total > {{ rule.params.max_visits }} as violated
  from visits
  qualify row_number() over (partition by archive_no order by visit_date desc) = 1
)
{% endfor %}
