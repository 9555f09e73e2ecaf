-- 工作指标 (reports.md section 3): value from the records, reported from the report. A denominator that is nought or
-- missing gives NULL.
{{ config(alias='value') }}
select
  institution_code, indicator_id, year, period, numerator, denominator, value, reported, title as indicator_title, factor,
  round(value - reported, 2)::decimal(12, 2) as difference, target, region,
  case when direction = 'down' then value <= target else value >= target end as meets,
  case when direction = 'down' then reported <= target else reported >= target end as reported_meets
from {{ ref('indicator_figure') }}
