-- Every reported figure against the records. The tolerance is that of the rule that watches the item, else nothing; the
-- verification factor is the WHO's: recounted ÷ reported, within the margin of 1 it verifies the report.
{{ config(alias='reconciliation') }}

with watched as (
  select null::varchar as report_id, null::varchar as item, null::double as tolerance, null::double as relative where false
  {% for rule in rules_on('report_reconciliation') %}
  {% for item in rule.params.cells or [rule.params.item] %}
  union all select '{{ rule.form_id }}', {{ sql_text(item) }}, {{ rule.params.tolerance }}, {{ rule.params.relative_tolerance or 0 }}
  {% endfor %}
  {% endfor %}
),

watched_once as (
  select report_id, item, max(tolerance) as tolerance, max(relative) as relative from watched group by report_id, item
),

compared as (
  select
    c.institution_code, c.report_id, c.year, c.period, c.item, c.reported, c.recomputed,
    c.reported - c.recomputed as difference,
    greatest(coalesce(w.tolerance, 0), coalesce(w.relative * c.recomputed, 0))::double as tolerance
  from {{ ref('report_comparison') }} as c
  left join watched_once as w on w.report_id = c.report_id and w.item = c.item
)

select
  institution_code, report_id, year, period, item, reported, recomputed, difference, tolerance,
  case
    when difference is null then '不可比'
    when difference = 0 then '一致'
    when abs(difference) <= tolerance then '容差内'
    else '差异'
  end as status,
  round(recomputed / nullif(reported, 0), 4) as verification_factor,
  case
    when difference is null then '不可比'
    when reported = 0 and recomputed > 0 or recomputed / nullif(reported, 0) > 1 + {{ var('verification_margin') }} then '少报'
    when recomputed / nullif(reported, 0) < 1 - {{ var('verification_margin') }} then '多报'
    else '相符'
  end as verification_grade
from compared
