-- The spans of days that reports in force speak of, each from the first of January on (figures run on through the year),
-- and the night's own year as a whole, which the outlook needs. A report's period is a span's name. A period that is not
-- over goes as far as today; of one that has not begun nothing can be told yet.
{{ config(materialized='table') }}

with named as (
  select distinct report_id, year, period
  from {{ ref('report_cells') }}
  where regexp_full_match(period, 'Y|Q[1-4]|M(0[1-9]|1[0-2])') and year between 1900 and 9998
)

select n.* replace (least(n.to_day, t.today) as to_day)
from (
  select
    report_id, year, period, make_date(year, 1, 1) as from_day,
    last_day(make_date(year, case
      when period like 'Q%' then 3 * substr(period, 2)::integer
      when period like 'M%' then substr(period, 2)::integer
      else 12 end, 1)) as to_day,
    make_date(year, case
      when period like 'Q%' then 3 * substr(period, 2)::integer - 2
      when period like 'M%' then substr(period, 2)::integer
      else 1 end, 1) as begins_on
  from named
) as n
join {{ ref('night') }} as t on n.begins_on <= t.today
union all
select null, year(period_end), null, make_date(year(period_end), 1, 1), last_day(make_date(year(period_end), 12, 1)), null
from {{ ref('night') }}
