-- 随访早于确诊 (HTN-L-018): a visit dated before the person's first registered diagnosis of the disease.
{% set rules = rules_on('visit_before_diagnosis') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='_service_date::varchar', expected="'≥' || diagnosed_on::varchar") }}
from (
  select j.*, r.diagnosed_on, j._service_date < r.diagnosed_on as violated
  from {{ ref('judged_' ~ rule.form_id) }} as j
  left join (
    select archive_no, min(diagnosis_date) as diagnosed_on
    from {{ ref('judged_chronic_registry') }}
    where disease = {{ sql_text(rule.params.disease) }} and archive_no is not null
    group by archive_no
  ) as r on r.archive_no = j.archive_no
  where {{ in_force(rule, 'j._service_date') }}
)
{% endfor %}
