-- 在管天数 (0a.12): for each person and disease, the days in management within the night's period, as far as today.
-- Several registrations of one disease are merged day by day. The person's home is the registration made last of those
-- that count; one made after the period, or that is ended without a date, is it only where there is no other.
{{ config(enabled='chronic_registry' in catalogue_forms(), materialized='table') }}

with night as (select * from {{ ref('night') }}),

-- A registration ends on its end date; without one, on the day the archive was closed. One that is ended without any
-- date (manage_status 3–6, or a closed archive without date), or whose end date cannot be read, counts for nothing.
registrations as (
  select
    r.archive_no, r.disease, r.register_date, r._institution_code, r._record_key, r.record_id, r.doctor_name,
    case
      when r.end_date is not null then r.end_date
      when r.end_date__unusable then null
      when r.manage_status in ('3', '4', '5', '6') then null
      when r.archive_status in ('2', '3', '4', '9') then r.archive_status_date
      else date '9999-12-31'
    end as ended_on
  from {{ ref('judged_chronic_registry') }} as r
  where r.archive_no is not null and r.disease is not null
),

in_period as (
  select
    g.*,
    case when g.register_date is not null and g.ended_on is not null then greatest(g.register_date, n.period_start) end as from_day,
    least(g.ended_on, n.period_end, n.today) as to_day,
    coalesce(from_day <= to_day, false) as counts
  from registrations as g cross join night as n
),

-- A day counts once: each span counts only what lies behind all spans that began before it.
counted as (
  select
    archive_no, disease,
    greatest(0, to_day - greatest(from_day, coalesce(max(to_day) over (
      partition by archive_no, disease order by from_day, to_day rows between unbounded preceding and 1 preceding
    ) + 1, from_day)) + 1) as days
  from in_period
  where counts
),

days as (select archive_no, disease, sum(days)::bigint as managed_days from counted group by archive_no, disease),

home as (
  select * from in_period
  qualify row_number() over (
    partition by archive_no, disease order by counts desc, register_date desc nulls last, _record_key desc, _institution_code
  ) = 1
)

select
  h.archive_no, h.disease, h._institution_code, h.record_id, h.doctor_name, h.register_date,
  coalesce(d.managed_days, 0) as managed_days,
  (n.period_end - n.period_start + 1)::bigint as period_days
from home as h
left join days as d using (archive_no, disease)
cross join night as n
