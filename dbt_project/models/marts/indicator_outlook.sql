-- 年末推算: what each indicator will be at the year's end if nothing more is done, and if all that can still be done is.
-- Who could still be won: those of an item's population who miss a service only (recount_open), and those due a service
-- that an item counts (rules/services.yaml). Figures from outside are taken as last reported.
{{ config(materialized='table') }}
{% set indicators = [] %}
{% for one in catalogue_indicators() if one.denominator and not one.together and '.' not in one.indicator_id %}{% do indicators.append(one) %}{% endfor %}

with year as (select last_day(make_date(year(period_end), 12, 1)) as to_day from {{ ref('night') }}),

counted as (
  select r.report_id, r.item, r.institution_code, r.recomputed
  from {{ ref('recount') }} as r join year as y on y.to_day = r.to_day
),

open_people as (
  select o.item, o.institution_code, o.person
  from {{ ref('recount_open') }} as o join year as y on y.to_day = o.to_day where o.is_open
  {% for one in catalogue_services() if one.item and one.form_id in catalogue_forms() %}
  union
  select '{{ one.item }}', d.institution_code, coalesce(p.person, d.archive_no)
  from {{ ref('due_list') }} as d left join {{ ref('archive_person') }} as p on p.archive_no = d.archive_no
  where d.service_id = '{{ one.service_id }}' and d.done < d.needed
  {% endfor %}
),

winnable as (
  select o.item, o.institution_code, count(distinct o.person) as people
  from open_people as o
  where not exists (
    from {{ ref('recount_person') }} as c join year as y on y.to_day = c.to_day
    where c.item = o.item and c.person = o.person and c.rank = 1
  )
  group by all
),

last_said as (
  select institution_code, item, arg_max(value, (year, to_day, period)) as value
  from {{ ref('report_cells') }} as c
  join {{ ref('report_span') }} as s using (report_id, year, period)
  where value is not null
  group by institution_code, item
),

figures as (
  select
    c.institution_code, i.item, c.recomputed as none_done, c.recomputed + coalesce(w.people, 0) as all_done,
    coalesce(w.people, 0) as to_do
  from counted as c
  join {{ ref('report_item') }} as i on i.item = c.item and i.report_id = c.report_id
  left join winnable as w on w.item = c.item and w.institution_code = c.institution_code
  union all
  select s.institution_code, i.item, s.value, s.value, 0
  from last_said as s join {{ ref('report_item') }} as i on i.item = s.item and not i.is_recomputed
),

parts (indicator_id, title, factor, direction, is_numerator, item, items) as (
  values (null::varchar, null::varchar, null::integer, null::varchar, null::boolean, null::varchar, null::integer)
  {% for one in indicators %}
  {% for item in one.numerator %}, ('{{ one.indicator_id }}', {{ sql_text(one.title) }}, {{ one.factor }}, '{{ one.direction }}', true, '{{ item }}', {{ one.numerator | length }}){% endfor %}
  {% for item in one.denominator %}, ('{{ one.indicator_id }}', {{ sql_text(one.title) }}, {{ one.factor }}, '{{ one.direction }}', false, '{{ item }}', {{ one.denominator | length }}){% endfor %}
  {%- endfor %}
),

summed as (
  select
    p.indicator_id, p.title, p.factor, p.direction, f.institution_code,
    case when count(f.none_done) filter (p.is_numerator) = max(p.items) filter (p.is_numerator) then sum(f.none_done) filter (p.is_numerator) end as numerator_none,
    sum(f.none_done) filter (not p.is_numerator) as denominator_none,
    sum(f.all_done) filter (p.is_numerator) as numerator_all,
    sum(f.all_done) filter (not p.is_numerator) as denominator_all,
    sum(f.to_do) filter (p.is_numerator) as to_do
  from parts as p join figures as f on f.item = p.item
  group by p.indicator_id, p.title, p.factor, p.direction, f.institution_code
),

target (indicator_id, year, region, value) as (
  values (null::varchar, null::integer, null::varchar, null::double)
  {% for one in indicators %}{% for goal in one.targets %}
  , ('{{ one.indicator_id }}', {{ goal.year }}, '{{ goal.region }}', {{ goal.value }})
  {%- endfor %}{% endfor %}
),

aimed as (
  select s.indicator_id, s.institution_code, arg_max(t.value, length(t.region)) as target
  from summed as s
  join target as t on t.indicator_id = s.indicator_id and starts_with(s.institution_code, t.region)
    and t.year = (select year(to_day) from year)
  group by all
)

select
  s.institution_code, i.institution_name, s.indicator_id, s.title as indicator_title, (select year(to_day) from year) as year,
  s.numerator_none, s.denominator_none,
  round(s.factor * s.numerator_none / nullif(s.denominator_none, 0), 2)::decimal(12, 2) as value_none,
  s.numerator_all, s.denominator_all,
  round(s.factor * s.numerator_all / nullif(s.denominator_all, 0), 2)::decimal(12, 2) as value_all,
  s.to_do::bigint as to_do, a.target::decimal(12, 2) as target,
  case when s.direction = 'down' then value_none <= a.target else value_none >= a.target end as meets_none,
  case when s.direction = 'down' then value_all <= a.target else value_all >= a.target end as meets_all
from summed as s
left join {{ ref('institution') }} as i on i.institution_code = s.institution_code
left join aimed as a on a.indicator_id = s.indicator_id and a.institution_code = s.institution_code
where s.numerator_none is not null
