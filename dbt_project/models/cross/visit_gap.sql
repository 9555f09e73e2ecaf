-- 随访间隔过长 (HTN-T-003): too many days between two visits one behind the other, both in the period, however they were
-- made (0a.14). One finding a person, on the longest gap, at the institution of the later visit.
{% set rules = rules_on('visit_gap') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
union all by name
select
  {{ of_rule(rule) }}, _institution_code as institution_code, {{ of_record('violated', 'archive_no', 'visit_date') }},
  case when violated then gap_days::varchar end as observed,
  case when violated then '≤{{ rule.params.max_gap_days }}' end as expected, violated
from (
  with visits as (
    {{ visits_in_order(rule.form_id, [], period_start(), period_until_today()) }}
  ),
  gaps as (
    select *, visit_date - lag(visit_date) over (partition by archive_no order by visit_date) as gap_days from visits
  )
  select *, gap_days > {{ rule.params.max_gap_days }} as violated
  from gaps
  qualify row_number() over (partition by archive_no order by gap_days desc nulls last, visit_date desc) = 1
)
{% endfor %}
