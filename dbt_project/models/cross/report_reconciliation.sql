-- 报表与记录 (RPT-R-001 … 024): reported figures against the same figures counted in the records. Only where both stand:
-- what cannot be compared is not applicable. A rule may watch several items (`cells`): one of them off is enough. The
-- finding's period is the report's.
{% set rules = rules_on('report_reconciliation') %}

{{ no_findings() }}

{% for rule in rules %}
{% set cells = rule.params.cells or [rule.params.item] %}
{{ finding_of(rule, 'institution_code', observed='observed', expected='expected', period=report_period()) }}
from (
  select
    institution_code, year, period, bool_or(is_off) as violated,
    string_agg({% if cells | length > 1 %}title || ' ' || {% endif %}{{ figure('reported') }}, '；' order by item) filter (is_off) as observed,
    string_agg({% if cells | length > 1 %}title || ' ' || {% endif %}{{ figure('recomputed') }}, '；' order by item) filter (is_off) as expected
  from (
    select
      c.*, i.title, case when reported is not null and recomputed is not null then abs(reported - recomputed)
        > greatest({{ rule.params.tolerance }}, {{ rule.params.relative_tolerance or 0 }} * recomputed) end as is_off
    from {{ ref('report_comparison') }} as c
    join {{ ref('report_item') }} as i on i.report_id = c.report_id and i.item = c.item
    where c.report_id = '{{ rule.form_id }}' and c.item in {{ sql_list(cells) }}
  )
  group by institution_code, year, period
)
{% endfor %}
