-- 在管天数 (0a.12) within each span: for each person and disease, the days in management, several registrations merged
-- day by day. A person's home is the registration under which they are managed at the span's end (reports.md 4.2), else the
-- last made of those in the span. `left_open`: the archive is closed, the card is not.
{{ config(enabled='chronic_registry' in catalogue_forms(), materialized='table') }}

with registrations as (
  select
    archive_no, disease, register_date, _institution_code, _record_key, doctor_name,
    {% if has_column('chronic_registry', 'id_card_no') %}case when _id_ok then upper(id_card_no) end{% else %}null{% endif %} as own_number,
    coalesce(end_date is null and archive_status in ('2', '3', '4', '9'), false) as left_open,
    case
      when end_date is not null then end_date
      when end_date__unusable then null
      when manage_status in ('3', '4', '5', '6') then null
      when archive_status in ('2', '3', '4', '9') then archive_status_date
      else date '9999-12-31'
    end as ended_on
  from {{ ref('judged_chronic_registry') }}
  where archive_no is not null and disease is not null
),

inside as (
  select
    e.from_day, e.to_day, e.year_days, g.*, greatest(g.register_date, e.from_day) as first_day,
    least(g.ended_on, e.to_day) as last_day, coalesce(g.ended_on >= first_day, false) as counts
  from registrations as g cross join {{ ref('recount_span') }} as e
  where g.register_date <= e.to_day
),

-- A day counts once: each registration counts only what lies behind all that began before it.
counted as (
  select
    from_day, to_day, archive_no, disease, ended_on,
    greatest(0, last_day - greatest(first_day, coalesce(max(last_day) over (
      partition by from_day, to_day, archive_no, disease order by first_day, last_day
      rows between unbounded preceding and 1 preceding
    ) + 1, first_day)) + 1) as days
  from inside
  where counts
),

days as (
  select from_day, to_day, archive_no, disease, sum(days)::bigint as managed_days, max(ended_on) as ended_on
  from counted group by all
),

homes as (
  select * from inside
  qualify row_number() over (
    partition by from_day, to_day, archive_no, disease
    order by counts desc, coalesce(ended_on >= to_day, false) desc, register_date desc, _record_key desc, _institution_code
  ) = 1
)

select
  h.from_day, h.to_day, h.year_days, h.archive_no, h.disease, h._institution_code as institution_code, h.doctor_name,
  h.register_date, h.left_open, coalesce(p.person, h.own_number, h.archive_no) as person,
  coalesce(d.managed_days, 0) as managed_days, d.ended_on
from homes as h
left join days as d using (archive_no, disease, from_day, to_day)
left join {{ ref('archive_person') }} as p on p.archive_no = h.archive_no
where d.managed_days > 0 or h.left_open
