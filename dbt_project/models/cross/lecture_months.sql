-- 健康知识讲座频次 (HED-T-001): institutions of a level without a lecture in so many months one behind the other, of the
-- months of the period that are over. Health centres by themselves; the stations registered below them by their own
-- records, in the centre's delivery. An institution without a level cannot be judged.
{% set rules = rules_on('lecture_months') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding_of(rule, 'unit', observed='idle', expected='expected') }}
from (
  with units as (
    select i.institution_code, i.institution_code as unit, i.level from ({{ working_institutions(rule.form_id) }}) as i
    where i.level is not null
    union all
    select i.institution_code, s.institution_code as unit, s.level
    from ({{ working_institutions(rule.form_id) }}) as i
    join {{ ref('institution') }} as s on s.parent_code = i.institution_code
    where s.level in {{ sql_list(rule.params.station_levels) }}
  ),
  months as (
    select unnest(generate_series(n.period_start, least(n.period_end, n.today), interval 1 month))::date as month from {{ ref('night') }} as n
  ),
  held as (
    select distinct
      case when s.institution_code is not null then a.station_code else a._institution_code end as unit, date_trunc('month', a._service_date)::date as month
    from {{ ref('judged_' ~ rule.form_id) }} as a
    left join {{ ref('institution') }} as s
      on s.institution_code = a.station_code and s.institution_code <> a._institution_code and s.level in {{ sql_list(rule.params.station_levels) }}
    where a.{{ rule.params.where_column }} = {{ sql_text(rule.params.where_code) }}
  ),
  calendar as (
    select
      u.institution_code, u.unit, m.month, h.unit is null as idle,
      case
        when u.level in {{ sql_list(rule.params.levels) }} then {{ rule.params.max_idle_months }}
        when u.level in {{ sql_list(rule.params.station_levels) }} then {{ rule.params.station_max_idle_months }}
      end as limit_months
    from units as u
    cross join (select * from months where last_day(month) <= {{ period_until_today() }}) as m
    left join held as h on h.unit = u.unit and h.month = m.month
  ),
  runs as (
    select
      *, limit_months is not null and idle and (
        limit_months = 0 or count(*) filter (idle) over (
          partition by institution_code, unit order by month rows between {{ rule.params.station_max_idle_months }} preceding and current row
        ) > limit_months) as over_limit
    from calendar
  )
  select
    institution_code, unit, string_agg(month(month)::varchar || '月', '、' order by month) filter (idle) as idle,
    case when any_value(limit_months) = 0 then '每月1次' else '每2个月1次' end as expected,
    case when any_value(limit_months) is not null then bool_or(over_limit) end as violated
  from runs group by institution_code, unit
)
{% endfor %}
