-- 体检与患者身份 (EXM-C-018: a known patient's last examination lacks a check; EXM-L-010, EXM-L-011: somebody not known as a
-- patient with a high value, and no advice to have it checked again).
{% set rules = rules_on('exam_of_patients') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed=plain_number('high') if rule.params.limit is defined else none) }}
from (
  with known as ({{ patients(rule) }}),
  {% if rule.params.limit is defined %}
  exams as (
    select *, greatest({{ rule.params.columns | join(', ') }}) as high from {{ ref('judged_' ~ rule.form_id) }}
    where {{ in_force(rule) }}
  )
  select e.*, case when e.high >= {{ rule.params.limit }} and not ({{ is_patient('k') }})
    then not list_contains(e.{{ rule.params.advice_column }}, {{ sql_text(rule.params.advice) }}) end as violated
  {% else %}
  exams as ({{ latest_of(rule.form_id, [rule.params.needed, rule.params.needed ~ '__unusable as unusable']) }})
  select e.*, case when {{ is_patient('k') }}
    then case when not coalesce(e.unusable, false) then e.{{ rule.params.needed }} is null end end as violated
  {% endif %}
  from exams as e left join known as k on k.archive_no = e.archive_no
)
{% endfor %}
