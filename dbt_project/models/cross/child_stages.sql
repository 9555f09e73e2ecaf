-- 儿童按月龄的服务 (CHT-T-001): children of whom there is no record of an age they reached, when a month of grace after it is
-- over; the day after its end lies in the period. Ages reached before the archive was opened are not the institution's.
{% set rules = rules_on('child_stages') %}

{{ no_findings() }}

{% for rule in rules %}
{% set service = other_forms(rule) | first %}
{{ finding(rule, observed="'缺 ' || lacking || ' 月龄'", expected="due || ' 月龄'", day='archive_date') }}
from (
  with stages as (
    select p._institution_code, p._record_key, p.archive_no, p.record_id, p.doctor_name, p.archive_date, stage,
      {{ months_full_on('p.birth_date', 'stage') }} as reached_on,
      {{ months_full_on('p.birth_date', '(stage + ' ~ rule.params.grace_months ~ ')') }} as due_on
    from {{ ref('judged_' ~ rule.form_id) }} as p
    cross join (select unnest({{ rule.params.stages }}) as stage)
    where p.archive_no is not null and p.archive_status = {{ sql_text(rule.params.active_status) }}
  ),
  done as (select distinct archive_no, month_stage from {{ ref('judged_' ~ service) }}),
  told as (
    select s.* exclude (stage, due_on, reached_on), stage,
      case when s.due_on + 1 between n.period_start and least(n.period_end, n.today) and s.archive_date <= s.reached_on
        then d.archive_no is null end as lacks
    from stages as s cross join {{ ref('night') }} as n
    left join done as d on d.archive_no = s.archive_no and d.month_stage = s.stage::varchar
  )
  select
    _institution_code, archive_no, min(record_id) as record_id, min(doctor_name) as doctor_name, min(archive_date) as archive_date,
    array_to_string(list_sort(list(distinct stage) filter (lacks)), '、') as lacking,
    array_to_string(list_sort(list(distinct stage) filter (lacks is not null)), '、') as due,
    bool_or(lacks) as violated
  from told group by _institution_code, archive_no
)
{% endfor %}
