-- 纳入管理前未体检 (HTN-C-010): managed in the period, and no examination on or before the day of the person's first visit. One
-- finding a person, on the registration made last.
{% set rules = rules_on('not_examined_at_start') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed="coalesce(first_exam::varchar, '—')", expected="'≤' || first_visit::varchar", day='register_date') }}
from (
  with visited as (
    select archive_no, min(_service_date) as first_visit from {{ ref('judged_' ~ rule.params.visit_form) }}
    where _service_date <= {{ period_until_today() }} group by archive_no
  ),
  examined as (
    select archive_no, min(_service_date) as first_exam from {{ ref('judged_health_exam') }}
    where _service_date <= {{ period_until_today() }} group by archive_no
  )
  select
    m.*, v.first_visit, e.first_exam,
    case
      when m.managed_days > 0 and v.first_visit is not null then coalesce(e.first_exam > v.first_visit, true)
    end as violated
  from {{ ref('managed_days') }} as m
  left join visited as v on v.archive_no = m.archive_no
  left join examined as e on e.archive_no = m.archive_no
  where m.disease = {{ sql_text(rule.params.disease) }}
)
{% endfor %}
