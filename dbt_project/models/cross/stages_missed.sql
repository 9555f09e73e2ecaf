-- 阶段检查缺项 (CHD-T-001 first year, CHD-T-002 second and third): active children for whom an examination of the group
-- fell due in the period, that is, the age at which it may last be made passed in it. Whoever was archived after the age
-- itself is not asked for it. One finding a child, with all stages it lacks.
{% set rules = rules_on('stages_missed') %}

{{ no_findings() }}

{% for rule in rules %}
{% set exams = other_forms(rule) | first %}
{{ finding(rule, observed='made', expected='lacking') }}
from (
  with stages as (
    select
      unnest({{ rule.params.stages }}) as stage, unnest({{ rule.params.stage_titles }}) as title,
      unnest({{ rule.params.stage_months }}) as months, {{ rule.params.tolerance_months }} as tolerance
  ),
  children as (
    select * from {{ ref('judged_' ~ rule.form_id) }}
    where archive_no is not null and birth_date > {{ period_start() }} - interval {{ rule.params.born_within_years }} year
      and archive_status = {{ sql_text(rule.params.active_status) }}
    {{ first_of('_institution_code, archive_no', '_record_key') }}
  ),
  due as (
    select
      c.*, s.*, e.archive_no is not null as seen
    from children as c cross join stages as s
    left join (select distinct archive_no, {{ rule.params.stage_column }} as stage from {{ ref('judged_' ~ exams) }}) as e
      on e.archive_no = c.archive_no and e.stage = s.stage
    where {{ full_months('c.birth_date', period_until_today()) }} > s.months + s.tolerance
      and {{ full_months('c.birth_date', '(' ~ period_start() ~ ' - 1)') }} <= s.months + s.tolerance
      and coalesce({{ full_months('c.birth_date', '(c.archive_date - 1)') }} < s.months, true)
  )
  select
    _institution_code, archive_no, any_value(record_id) as record_id, any_value(doctor_name) as doctor_name,
    any_value(archive_date) as _service_date,
    coalesce(string_agg(title, '、' order by months) filter (seen), '无') as made,
    string_agg(title, '、' order by months) filter (not seen) as lacking, not bool_and(seen) as violated
  from due
  group by _institution_code, archive_no
)
{% endfor %}
