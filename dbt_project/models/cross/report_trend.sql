-- 期间逻辑: what a period's report says beside those before it. `kind` of a rule: falling (RPT-R-050, a figure that runs on
-- through the year is less than a period before), yearly (RPT-R-051, far from last year's), uneven (RPT-R-052, a quarter's
-- increment far from the mean or nought), repeated (RPT-R-054, every figure that of the period before).
{% set rules = rules_on('report_trend') %}

{{ no_findings() }}

{% for one in over_forms(rules) %}
{% set rule, p = one.rule, one.rule.params %}
{{ finding_of(rule, 'institution_code', observed='observed', expected='expected', period=report_period(),
  form='report_id') }}
from (
  with cells as (
    select c.*, i.title, i.nature, left(c.period, 1) as series,
      case when c.period = 'Y' then 1 else substr(c.period, 2)::integer end as place
    from {{ ref('report_cells') }} as c
    join {{ ref('report_item') }} as i on i.report_id = c.report_id and i.item = c.item
    where c.report_id in {{ sql_list(one.forms) }} and regexp_full_match(c.period, 'Y|Q[1-4]|M(0[1-9]|1[0-2])')
      and c.item not in {{ sql_list((p.except_items or []) + ['']) }}
  ),
  compared as (
    {% if p.kind == 'falling' %}
    select *, value < before as is_off, {{ figure('value') }} as said, '≥' || {{ figure('before') }} as right_one
    from (
      select *, lag(value) over (
        partition by report_id, institution_code, year, item, series = 'M' order by case when series = 'Y' then 5 else place end
      ) as before
      from cells where nature = '累计' and value is not null
    )
    {% elif p.kind == 'yearly' %}
    select a.*, case when b.value >= {{ p.min_before }} then abs(round(a.value / b.value - 1, 6)) > {{ p.max_change }} end as is_off,
      {{ figure('a.value') }} as said, {{ figure('b.value') }} as right_one
    from cells as a
    left join cells as b
      on b.report_id = a.report_id and b.institution_code = a.institution_code and b.item = a.item
      and b.period = a.period and b.year = a.year - 1
    {% elif p.kind == 'uneven' %}
    select *, case when place >= 2 and value >= {{ p.min_total }} and value - before is not null
      then value - before = 0 or abs(round((value - before) / (value / place) - 1, 6)) > {{ p.max_change }} end as is_off,
      {{ figure('value - before') }} as said, {{ figure('round(value / place, 1)') }} as right_one
    from (
      select a.*, b.value as before
      from cells as a
      left join cells as b
        on b.report_id = a.report_id and b.institution_code = a.institution_code and b.item = a.item and b.year = a.year
        and b.series = 'Q' and b.place = a.place - 1
      where a.series = 'Q' and a.nature = '累计'
    )
    {% else %}
    select
      a.report_id, a.institution_code, a.year, a.period, '' as title,
      case when count(b.value) > 0
        then bool_and(a.value is not distinct from b.value) and count(*) filter (a.value <> 0) > 0 end as is_off,
      count(a.value) || ' 项全同' as said, '' as right_one
    from cells as a
    left join cells as b
      on b.report_id = a.report_id and b.institution_code = a.institution_code and b.item = a.item and b.series = a.series
      and b.year * 12 + b.place = case
        when a.series = 'Y' then (a.year - 1) * 12 + 1
        when a.place = 1 then (a.year - 1) * 12 + case a.series when 'Q' then 4 else 12 end
        else a.year * 12 + a.place - 1 end
    group by a.report_id, a.institution_code, a.year, a.period
    {% endif %}
  )
  select
    report_id, institution_code, year, period, bool_or(is_off) as violated,
    string_agg(title || {% if p.kind != 'repeated' %}' ' || {% endif %}said, '；' order by title) filter (is_off) as observed,
    {% if p.kind == 'repeated' %}null::varchar{% else %}string_agg(title || ' ' || right_one, '；' order by title) filter (is_off){% endif %} as expected
  from compared
  group by report_id, institution_code, year, period
)
{% endfor %}
