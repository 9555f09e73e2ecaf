-- 工作指标 (reports.md section 3) that the reports at hand can give: value from the records, reported from the report.
-- Population figures come from outside and are taken as reported. A denominator that is nought or missing gives NULL.
{{ config(alias='value') }}

with definition (indicator_id, numerator_item, denominator_item) as (
  values
    ('I-01', 'ehr_archive', 'ehr_pop'), ('I-02', 'ehr_electronic', 'ehr_pop'), ('I-03', 'ehr_standard', 'ehr_pop'),
    ('I-04', 'ehr_dynamic', 'ehr_total'), ('I-33', 'ehr_open', 'ehr_electronic')
),

figures as (
  select
    institution_code, year, period, item, reported,
    -- what no record can tell stands as reported
    case when item in ('ehr_pop') then reported else recomputed end as counted
  from {{ ref('report_comparison') }}
  where report_id = 'r_archive'
)

select
  n.institution_code, d.indicator_id, n.year, n.period,
  n.counted as numerator, m.counted as denominator,
  round(100 * n.counted / nullif(m.counted, 0), 2)::decimal(9, 2) as value,
  round(100 * n.reported / nullif(m.reported, 0), 2)::decimal(9, 2) as reported
from definition as d
join figures as n on n.item = d.numerator_item
left join figures as m
  on m.institution_code = n.institution_code and m.year = n.year and m.period = n.period and m.item = d.denominator_item
