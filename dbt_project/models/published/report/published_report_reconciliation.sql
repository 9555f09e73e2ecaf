-- Every reported figure against the records. The tolerance is that of the rule that watches the item, else nothing.
{{ config(alias='reconciliation') }}

with watched as (
  select null::varchar as report_id, null::varchar as item, null::double as tolerance where false
  {% for rule in rules_on('report_reconciliation') %}
  union all select '{{ rule.form_id }}', {{ sql_text(rule.params.item) }}, {{ rule.params.tolerance }}
  {% endfor %}
),

compared as (
  select
    c.institution_code, c.report_id, c.year, c.period, c.item, c.reported, c.recomputed,
    c.reported - c.recomputed as difference,
    coalesce(max(w.tolerance), 0)::double as tolerance
  from {{ ref('report_comparison') }} as c
  left join watched as w on w.report_id = c.report_id and w.item = c.item
  group by all
)

select
  *,
  case
    when difference is null then '不可比'
    when difference = 0 then '一致'
    when abs(difference) <= tolerance then '容差内'
    else '差异'
  end as status
from compared
