-- The persons behind the difference of a charge: what the report that is charged by has more or fewer than the records.
select
  c.order_no, c.institution_code, i.institution_name, c.basis_report, c.basis_year, c.basis_period, c.basis_item,
  c.quantity, c.quantity_from_records, c.quantity_difference, d.direction, d.archive_no, d.record_id, d.cause, d.detail
from {{ ref('billing_charge') }} as c
join {{ ref('published_report_difference') }} as d
  on d.institution_code = c.institution_code and d.report_id = c.basis_report and d.year = c.basis_year
  and d.period = c.basis_period and d.item = c.basis_item
left join {{ ref('institution') }} as i on i.institution_code = c.institution_code
