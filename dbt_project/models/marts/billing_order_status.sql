-- Every line of every order in plain words, with what the institution used of the service in its period.
with used as (
  select
    o.order_no, o.institution_code, max(u.last_night) as last_night, sum(u.nights)::bigint as nights,
    sum(u.records_judged)::bigint as records_judged, sum(u.findings)::bigint as findings
  from (select distinct order_no, institution_code, service_from, service_to from {{ ref('billing_order') }}) as o
  join {{ ref('billing_usage') }} as u
    on u.institution_code = o.institution_code and u.first_night between o.service_from and o.service_to
  group by all
)

select
  o.order_no, o.institution_code, i.institution_name, o.state, o.state_title, o.is_entitled, o.pricing_title,
  o.basis_report, o.basis_year, o.basis_period, o.basis_item, c.quantity, c.unit_price, o.amount,
  case when o.amount = c.amount then c.amount_words end as amount_words, o.draft_amount, c.version, c.adjustments, o.paid_share, o.balance, o.due_on, o.settled_on, o.penalty_due, o.service_from,
  o.service_to, o.days_left, c.quantity_from_records, c.quantity_difference, u.nights, u.last_night, u.records_judged,
  u.findings, o.reason
from {{ ref('billing_order') }} as o
left join {{ ref('billing_charge') }} as c
  on c.order_no = o.order_no and c.institution_code = o.institution_code and c.basis_report = o.basis_report
  and c.basis_year = o.basis_year and c.basis_period = o.basis_period and c.basis_item = o.basis_item
left join used as u on u.order_no = o.order_no and u.institution_code = o.institution_code
left join {{ ref('institution') }} as i on i.institution_code = o.institution_code
