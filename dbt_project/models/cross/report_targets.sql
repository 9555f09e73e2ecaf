-- 恰等于目标值 (RPT-R-055): of the rates a period's reports give, several are exactly the year's targets.
{% set rules = rules_on('report_targets') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding_of(rule, 'institution_code', observed='observed', period=report_period()) }}
from (
  select
    s.institution_code, s.year, s.period,
    case when count(f.target) > 0 then count(*) filter (f.reported = f.target) >= {{ rule.params.min_matches }} end as violated,
    string_agg(f.title || ' ' || f.reported, '；' order by f.indicator_id) filter (f.reported = f.target) as observed
  from (select distinct institution_code, year, period from {{ ref('report_cells') }} where report_id = '{{ rule.form_id }}') as s
  left join {{ ref('indicator_figure') }} as f
    on f.institution_code = s.institution_code and f.year = s.year and f.period = s.period and f.reported is not null
  group by s.institution_code, s.year, s.period
)
{% endfor %}
