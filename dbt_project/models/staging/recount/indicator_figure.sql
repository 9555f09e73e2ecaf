-- Numerators and denominators of every indicator (rules/indicators), for each institution, year and period reported: as
-- counted (from the records; what no record can tell, such as a population, as reported) and as reported throughout.
{{ config(materialized='table') }}
{% set indicators = catalogue_indicators() %}

with parts (indicator_id, is_numerator, item, items) as (
  values (null::varchar, null::boolean, null::varchar, null::integer)
  {% for one in indicators if not one.together %}
  {% for item in one.numerator %}, ('{{ one.indicator_id }}', true, '{{ item }}', {{ one.numerator | length }}){% endfor %}
  {% for item in one.denominator %}, ('{{ one.indicator_id }}', false, '{{ item }}', {{ one.denominator | length }}){% endfor %}
  {%- endfor %}
),

-- everything an institution says of a period, and what the records say of what the report leaves out
spoken as (select distinct institution_code, report_id, year, period, to_day from {{ ref('report_comparison') }}),

figures as (
  select
    s.institution_code, s.year, s.period, i.item, r.value as reported,
    case when i.is_recomputed then c.recomputed else r.value end as counted
  from spoken as s
  join {{ ref('report_item') }} as i on i.report_id = s.report_id
  left join {{ ref('report_cells') }} as r
    on r.report_id = s.report_id and r.institution_code = s.institution_code and r.year = s.year and r.period = s.period
    and r.item = i.item
  left join {{ ref('recount') }} as c
    on c.report_id = s.report_id and c.institution_code = s.institution_code and c.item = i.item and c.to_day = s.to_day
),

summed as (
  select
    p.indicator_id, f.institution_code, f.year, f.period, p.is_numerator,
    case when count(f.counted) = any_value(p.items) then sum(f.counted) end as counted,
    case when count(f.reported) = any_value(p.items) then sum(f.reported) end as reported
  from parts as p join figures as f on f.item = p.item
  group by p.indicator_id, f.institution_code, f.year, f.period, p.is_numerator
  {% for one in indicators if one.together %}
  {% for items in [one.numerator, one.denominator] %}
  {% set is_numerator = loop.first %}
  union all
  -- people who count in all of these items at once
  select
    '{{ one.indicator_id }}', s.institution_code, s.year, s.period, {{ is_numerator }},
    count(b.person) filter (b.items = {{ items | length }})::double, null
  from spoken as s
  left join (
    select to_day, person, count(distinct item) as items,
      max(institution_code) filter (item = '{{ items[0] }}') as institution_code
    from {{ ref('recount_person') }} where rank = 1 and item in {{ sql_list(items) }}
    group by all
  ) as b on b.to_day = s.to_day and b.institution_code = s.institution_code
  where s.report_id = (select min(report_id) from {{ ref('report_item') }} where item = '{{ items[0] }}')
    and exists (from {{ ref('recount') }} as c where c.item = '{{ items[1] }}' and c.institution_code = s.institution_code
      and c.to_day = s.to_day)
  group by all
  {% endfor %}
  {% endfor %}
),

definition (indicator_id, title, factor, direction, fixed) as (
  values (null::varchar, null::varchar, null::integer, null::varchar, null::double)
  {% for one in indicators %}
  , ('{{ one.indicator_id }}', {{ sql_text(one.title) }}, {{ one.factor }}, '{{ one.direction }}', {{ one.fixed if one.fixed is not none else 'null' }})
  {%- endfor %}
),

target (indicator_id, year, region, value) as (
  values (null::varchar, null::integer, null::varchar, null::double)
  {% for one in indicators %}{% for goal in one.targets %}
  , ('{{ one.indicator_id }}', {{ goal.year }}, '{{ goal.region }}', {{ goal.value }})
  {%- endfor %}{% endfor %}
),

-- of several targets the one for the nearest region
aimed as (
  select
    n.indicator_id, n.institution_code, n.year, n.period,
    arg_max(t.value, length(t.region)) as target, arg_max(t.region, length(t.region)) as region
  from summed as n
  join target as t on t.indicator_id = n.indicator_id and t.year = n.year and starts_with(n.institution_code, t.region)
  where n.is_numerator
  group by all
)

select
  n.institution_code, n.indicator_id, d.title, n.year, n.period, d.factor, d.direction,
  n.counted as numerator, coalesce(m.counted, d.fixed) as denominator,
  n.reported as reported_numerator, coalesce(m.reported, d.fixed) as reported_denominator,
  round(d.factor * n.counted / nullif(coalesce(m.counted, d.fixed), 0), 2)::decimal(12, 2) as value,
  round(d.factor * n.reported / nullif(coalesce(m.reported, d.fixed), 0), 2)::decimal(12, 2) as reported,
  a.target::decimal(12, 2) as target, a.region
from summed as n
join definition as d on d.indicator_id = n.indicator_id
left join summed as m
  on m.indicator_id = n.indicator_id and m.institution_code = n.institution_code and m.year = n.year
  and m.period = n.period and not m.is_numerator
left join aimed as a
  on a.indicator_id = n.indicator_id and a.institution_code = n.institution_code and a.year = n.year and a.period = n.period
where n.is_numerator
