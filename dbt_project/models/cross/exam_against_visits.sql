-- 体检与随访矛盾 (XFM-X-010 smoking, 011 drinking): what the last examination says against the visits within days of it.
-- One finding a person, on the examination; the nearest contradicting visit is told.
{% set rules = rules_on('exam_against_visits') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed="visit_date || '：' || " ~ plain_number('said')) }}
from (
  with exams as ({{ latest_of(rule.form_id, [rule.params.exam_column]) }}),
  visits as (
    {% for form_id in other_forms(rule) %}
    select archive_no, _service_date as visit_date, {{ rule.params.visit_column }} as said
    from {{ ref('judged_' ~ form_id) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
  )
  select e.*, v.visit_date, v.said,
    case when e.{{ rule.params.exam_column }} in {{ sql_list(rule.params.exam_codes) }}
      then {% if rule.params.at_most is defined %}v.said <= {{ rule.params.at_most }}{% else %}v.said > {{ rule.params.above }}{% endif %}
    end as violated
  from exams as e
  left join visits as v on v.archive_no = e.archive_no and v.said is not null
    and abs(v.visit_date - e._service_date) < {{ rule.params.within_days }}
    and v.visit_date <= {{ today() }}
  {{ worst_of('e.archive_no', 'abs(v.visit_date - e._service_date), v.visit_date desc, v.said') }}
)
{% endfor %}
