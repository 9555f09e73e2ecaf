-- Reconciliation totals by county: what the lines of all orders owe, and what of it is paid. Drafts owe nothing: their
-- lines, and what they would come to, stand in columns of their own.
with lines as (
  select
    o.*, c.quantity, c.quantity_from_records, c.quantity_difference, c.status,
    coalesce(left(i.region_code, 6), '') as county_code
  from {{ ref('billing_order') }} as o
  left join {{ ref('billing_charge') }} as c
    on c.order_no = o.order_no and c.institution_code = o.institution_code and c.basis_report = o.basis_report
    and c.basis_year = o.basis_year and c.basis_period = o.basis_period and c.basis_item = o.basis_item
  left join {{ ref('institution') }} as i on i.institution_code = o.institution_code
)

select
  county_code, count(distinct order_no) as orders, count(distinct institution_code) as institutions,
  count(*) filter (status = 'not_evaluable') as lines_not_charged,
  coalesce(sum(quantity) filter (state <> 'draft'), 0)::bigint as quantity,
  coalesce(sum(quantity_difference) filter (state <> 'draft'), 0)::bigint as quantity_difference,
  coalesce(sum(amount), 0)::decimal(18, 2) as amount, coalesce(sum(paid_share), 0)::decimal(18, 2) as paid,
  coalesce(sum(balance), 0)::decimal(18, 2) as balance,
  coalesce(sum(penalty_due), 0)::decimal(18, 2) as penalty_due,
  count(*) filter (state = 'draft') as lines_draft, coalesce(sum(draft_amount), 0)::decimal(18, 2) as draft_amount,
  count(*) filter (state = 'awaiting_payment') as lines_awaiting_payment,
  count(*) filter (state = 'defaulted') as lines_defaulted, count(*) filter (state = 'expiring') as lines_expiring
from lines
group by county_code
