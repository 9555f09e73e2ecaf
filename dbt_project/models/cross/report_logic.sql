-- 报表内部逻辑 (RPT-R-030 … 042, 045): of two figures of one period, the part is larger than the whole (or than a `shares`
-- of it). `pairs` of items written part/whole, any of them is enough; an item ending in _* stands for all that begin so.
-- The whole may stand in another report of the institution.
{% set rules = rules_on('report_logic') %}

{{ no_findings() }}

{% for rule in rules %}
{% set pairs = rule.params.pairs or [rule.params.part ~ '/' ~ rule.params.whole] %}
{{ finding_of(rule, 'institution_code', observed='observed', expected='expected', period=report_period()) }}
from (
  with pair (part, whole, share) as (
    values
    {% for pair in pairs %}
    ('{{ pair.split('/')[0] }}', '{{ pair.split('/')[1] }}', {{ (rule.params.shares or [])[loop.index0] or 1 }}){% if not loop.last %},{% endif %}
    {% endfor %}
  ),
  named as (
    select
      a.institution_code, a.year, a.period, i.title, a.value as part, b.value * p.share as whole, a.value > b.value * p.share as is_off
    from {{ ref('report_cells') }} as a
    join pair as p on a.item = p.part or (p.part like '%*' and starts_with(a.item, rtrim(p.part, '*')))
    join {{ ref('report_item') }} as i on i.report_id = a.report_id and i.item = a.item
    left join {{ ref('report_cells') }} as b
      on b.institution_code = a.institution_code and b.year = a.year and b.period = a.period
      and b.item = case when p.part like '%*' then replace(a.item, rtrim(p.part, '*'), rtrim(p.whole, '*')) else p.whole end
  ),
  spoken as (select distinct institution_code, year, period from {{ ref('report_cells') }} where report_id = '{{ rule.form_id }}')
  select
    s.institution_code, s.year, s.period, bool_or(n.is_off) as violated,
    string_agg({% if pairs | length > 1 or '*' in pairs[0] %}n.title || ' ' || {% endif %}{{ figure('n.part') }}, '；' order by n.title) filter (n.is_off) as observed,
    string_agg({% if pairs | length > 1 or '*' in pairs[0] %}n.title || ' ' || {% endif %}'≤' || {{ figure('n.whole') }}, '；' order by n.title) filter (n.is_off) as expected
  from spoken as s
  left join named as n on n.institution_code = s.institution_code and n.year = s.year and n.period = s.period
  group by s.institution_code, s.year, s.period
)
{% endfor %}
