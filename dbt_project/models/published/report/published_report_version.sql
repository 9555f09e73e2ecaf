-- Every value ever reported: one row for each stretch of snapshots that said the same. The newest stands in report.value.
{{ config(alias='version') }}

with cells as (
  select * from {{ input('report_version') }}
  where institution_code is not null and year is not null and period is not null
  qualify row_number() over (
    partition by report_id, institution_code, year, period, item, snapshot_date order by row_number desc, file_id
  ) = 1
),

-- every delivery of the report answers for every cell: one that is left out is withdrawn
deliveries as (select distinct report_id, delivered_by, snapshot_date from cells),

answered as (
  select
    k.report_id, k.institution_code, k.year, k.period, k.item, d.snapshot_date, c.value, c.raw, c.file_id, c.row_number,
    c.file_id is not null as is_there
  from (select distinct report_id, delivered_by, institution_code, year, period, item from cells) as k
  join deliveries as d on d.report_id = k.report_id and d.delivered_by = k.delivered_by
  left join cells as c
    on c.report_id = k.report_id and c.institution_code = k.institution_code and c.year = k.year and c.period = k.period
    and c.item = k.item and c.snapshot_date = d.snapshot_date
),

stretches as (
  select
    *, sum((is_there is distinct from before_there or value is distinct from before_value)::integer) over w as stretch,
    next_date
  from (
    select
      *, lag(is_there) over v as before_there, lag(value) over v as before_value, lead(snapshot_date) over v as next_date
    from answered
    window v as (partition by report_id, institution_code, year, period, item order by snapshot_date)
  )
  window w as (partition by report_id, institution_code, year, period, item order by snapshot_date)
)

select
  institution_code, report_id, year, period, item,
  row_number() over (partition by report_id, institution_code, year, period, item order by min(snapshot_date)) as version,
  any_value(value) as value, arg_min(raw, snapshot_date) as raw, arg_min(file_id, snapshot_date) as file_id,
  min(snapshot_date) as snapshot_date, min(snapshot_date) as first_in_force,
  case when max(next_date) filter (next_date is not null) is null or bool_or(next_date is null) then null
    else max(next_date) - 1 end::date as last_in_force,
  bool_or(next_date is null) as is_current
from stretches
where is_there
group by report_id, institution_code, year, period, item, stretch
