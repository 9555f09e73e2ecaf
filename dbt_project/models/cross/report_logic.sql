-- 报表内部逻辑 (RPT-R-030): of two figures of one report and period, the part is larger than the whole.
{% set rules = rules_on('report_logic') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
union all by name
select
  {{ of_rule(rule, report_period()) }},
  institution_code, institution_code as subject_id, null::varchar as record_id, null::varchar as archive_no,
  null::varchar as doctor_name, null::date as service_date,
  case when violated then part::bigint::varchar end as observed,
  case when violated then '≤' || whole::bigint end as expected, violated
from (
  select
    institution_code, year, period,
    max(value) filter (item = {{ sql_text(rule.params.part) }}) as part,
    max(value) filter (item = {{ sql_text(rule.params.whole) }}) as whole,
    part > whole as violated
  from {{ ref('report_cells') }}
  where report_id = '{{ rule.form_id }}'
  group by all
)
{% endfor %}
