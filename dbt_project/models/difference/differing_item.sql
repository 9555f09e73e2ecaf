-- The reported figures that differ from the records: `is_over` if too many were reported; `differs` by how many.
{{ config(materialized='table') }}
select
  r.institution_code, r.report_id, r.year, r.period, r.item, r.difference > 0 as is_over, abs(r.difference) as differs,
  c.from_day, c.to_day
from {{ ref('published_report_reconciliation') }} as r
join {{ ref('report_comparison') }} as c using (institution_code, report_id, year, period, item)
where r.status = '差异'
