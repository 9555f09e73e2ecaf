-- 医生结果过于集中 (TCM-A-002): the share of one outcome among all of a doctor's records at an institution.
{% set rules = rules_on('doctor_share') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding_of(rule, 'doctor_name', observed="round(100.0 * share, 1) || '%（' || hits || '/' || records || '）'",
  expected=sql_text('≤' ~ ((100 * rule.params.max_share) | round | int) ~ '%'), doctor='doctor_name') }}
from (
  select
    _institution_code as institution_code, doctor_name, count({{ rule.params.column }}) as records,
    count(*) filter ({{ rule.params.column }} = {{ sql_text(rule.params.code) }}) as hits,
    round(hits / nullif(records, 0), 6) as share,
    case when records >= {{ rule.params.min_records }} then share > {{ rule.params.max_share }} end as violated
  from {{ ref('judged_' ~ rule.form_id) }}
  where doctor_name is not null
  group by all
)
{% endfor %}
