-- 汇总 (RPT-R-053): what the institutions right below one reported does not come to what it reported itself. Asked where
-- all of them reported the period; who has none below is none of its business, who has some that did not report cannot
-- be judged.
{% set rules = rules_on('report_rollup') %}

{{ no_findings() }}

{% for one in over_forms(rules) %}
{% set rule = one.rule %}
{{ finding_of(rule, 'institution_code', observed='observed', expected='expected', period=report_period(),
  form='report_id') }}
from (
  with below as (
    select parent_code, institution_code, count(*) over (partition by parent_code) as siblings
    from {{ ref('institution') }} where parent_code is not null
  ),
  summed as (
    select b.parent_code, c.report_id, c.year, c.period, c.item, sum(c.value) as total
    from below as b
    join {{ ref('report_cells') }} as c on c.institution_code = b.institution_code and c.report_id in {{ sql_list(one.forms) }}
    where c.value is not null
    group by b.parent_code, c.report_id, c.year, c.period, c.item, b.siblings
    having count(distinct b.institution_code) = b.siblings
  ),
  compared as (
    select c.report_id, c.institution_code, c.year, c.period, i.title, c.value, s.total, abs(c.value - s.total) > {{ rule.params.tolerance }} as is_off
    from {{ ref('report_cells') }} as c
    join {{ ref('report_item') }} as i on i.report_id = c.report_id and i.item = c.item
    left join summed as s
      on s.parent_code = c.institution_code and s.report_id = c.report_id and s.year = c.year and s.period = c.period
      and s.item = c.item
    where c.report_id in {{ sql_list(one.forms) }} and c.item not in {{ sql_list((rule.params.except_items or []) + ['']) }}
      and (s.total is not null or c.institution_code not in (select parent_code from below))
  )
  select
    report_id, institution_code, year, period, bool_or(is_off) as violated,
    string_agg(title || ' ' || {{ figure('value') }}, '；' order by title) filter (is_off) as observed,
    string_agg(title || ' ' || {{ figure('total') }}, '；' order by title) filter (is_off) as expected
  from compared
  group by report_id, institution_code, year, period
)
{% endfor %}
