-- 报表之间与比率 (RPT-R-043 a reported rate is not its numerator over its denominator, RPT-R-044 two reports give one
-- figure differently). A rate is an item whose parameters name its numerator and denominator.
{% set rules = rules_on('report_agreement') %}

{{ no_findings() }}

{% for rule in rules if rule.params.same %}
{{ finding_of(rule, 'institution_code', observed=figure('here'), expected=figure('there'), period=report_period()) }}
from (
  select a.institution_code, a.year, a.period, a.value as here, b.value as there, a.value <> b.value as violated
  from {{ ref('report_cells') }} as a
  left join {{ ref('report_cells') }} as b
    on b.institution_code = a.institution_code and b.year = a.year and b.period = a.period and b.item = '{{ rule.params.same[1] }}'
  where a.report_id = '{{ rule.form_id }}' and a.item = '{{ rule.params.same[0] }}'
)
{% endfor %}

{% for rule in rules if not rule.params.same %}
{% for item in catalogue_items() if item.report_id == rule.form_id and item.params.numerator and item.params.denominator %}
{{ finding_of(rule, 'institution_code', observed=figure('rate'), expected=figure('round(counted, 2)'),
  period=report_period()) }}
from (
  select
    institution_code, year, period, max(value) filter (item = '{{ item.item }}') as rate,
    {{ item.params.factor or 100 }} * max(value) filter (item = '{{ item.params.numerator }}')
      / nullif(max(value) filter (item = '{{ item.params.denominator }}'), 0) as counted,
    round(abs(rate - counted), 6) > {{ rule.params.tolerance }} as violated
  from {{ ref('report_cells') }} group by institution_code, year, period
)
{% endfor %}
{% endfor %}
