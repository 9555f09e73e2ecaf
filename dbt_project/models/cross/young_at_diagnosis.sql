-- 确诊时年龄过小 (DM-X-003): younger at the registered diagnosis than those whom the programme serves. One finding a person,
-- on the registration with the earliest diagnosis.
{% set rules = rules_on('young_at_diagnosis') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='age::varchar', expected=sql_text('≥' ~ rule.params.min_age)) }}
from (
  -- whole years; who was born on 29 February turns on 1 March in common years (0a.15)
  select
    *, case when diagnosis_date >= birth_date then year(diagnosis_date) - year(birth_date)
      - (strftime(diagnosis_date, '%m%d') < strftime(birth_date, '%m%d'))::integer end as age,
    age < {{ rule.params.min_age }} as violated
  from {{ ref('judged_' ~ rule.form_id) }}
  where archive_no is not null and disease = {{ sql_text(rule.params.disease) }}
  {{ first_of('archive_no', 'diagnosis_date nulls last, _service_date, _record_key') }}
)
{% endfor %}
