-- 年度检查缺失 (CHD-T-003): active people of an age at the period's end without the examination of the period. Only who
-- was in the archive for the whole period can have missed it, so it is told at the period's end (0a.12, due(1)).
{% set rules = rules_on('yearly_exam_missed') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='exams::varchar', expected='due::varchar') }}
from (
  with exams as ({{ days_served([other_forms(rule) | first], 'exams') }}),
  people as ({{ active_people(rule, full_months('p.birth_date', 'n.period_end') ~ ' // 12 between ' ~ rule.params.min_age
    ~ ' and ' ~ rule.params.max_age) }})
  select
    p.*, coalesce(e.exams, 0) as exams, {{ due(1) }} as due,
    case when p.archive_date is not null then coalesce(e.exams, 0) < {{ due(1) }} end as violated
  from people as p left join exams as e using (archive_no)
)
{% endfor %}
