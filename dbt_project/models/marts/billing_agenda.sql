-- What is due when, with names and days left; what is done or need not be done is left out.
{{ config(alias='billing_calendar') }}
select
  c.due_on, c.due_at, (c.due_on - c.snapshot_date)::bigint as days_left, c.status,
  case c.status when 'upcoming' then '未到期' when 'due' then '到期' when 'overdue' then '逾期' else '无法推算' end
    as status_title,
  c.kind_title, case c.party when 'seller' then '服务单位' else '用户单位' end as party_title, c.what, c.order_no,
  c.institution_code, i.institution_name, c.reason, c.event_id
from {{ ref('billing_calendar') }} as c
left join {{ ref('institution') }} as i using (institution_code)
where c.status in ('upcoming', 'due', 'overdue', 'not_evaluable')
