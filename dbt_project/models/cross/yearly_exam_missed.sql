-- 年度检查缺失 (CHD-T-003): active people of an age at the period's end without the examination of the period. Only who
-- was in the archive for the whole period can have missed it, so it is told at the period's end (0a.12, due(1)).
{% set rules = rules_on('yearly_exam_missed') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='exams::varchar', expected='due::varchar') }}
from (
  with exams as (
    select archive_no, count(distinct _service_date) as exams
    from {{ ref('judged_' ~ other_forms(rule) | first) }}
    where {{ in_period() }}
    group by archive_no
  ),
  people as (
    select
      p.*, n.period_end - n.period_start + 1 as period_days,
      greatest(0, least(n.period_end, n.today) - greatest(p.archive_date, n.period_start) + 1) as managed_days
    from {{ ref('judged_' ~ rule.form_id) }} as p cross join {{ ref('night') }} as n
    where p.archive_no is not null and p.archive_status = {{ sql_text(rule.params.active_status) }}
      and {{ full_months('p.birth_date', 'n.period_end') }} // 12 between {{ rule.params.min_age }} and {{ rule.params.max_age }}
    {{ first_of('p._institution_code, p.archive_no', 'p._record_key') }}
  )
  select
    p.*, coalesce(e.exams, 0) as exams, {{ due(1) }} as due,
    case when p.archive_date is not null then coalesce(e.exams, 0) < {{ due(1) }} end as violated
  from people as p left join exams as e using (archive_no)
)
{% endfor %}
