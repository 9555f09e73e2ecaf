-- 报表与记录 (RPT-R-002): a reported figure against the same figure counted in the records. Only where both stand: what
-- cannot be compared is not applicable. The finding's period is the report's.
{% set rules = rules_on('report_reconciliation') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
union all by name
select
  {{ of_rule(rule, report_period()) }},
  institution_code, institution_code as subject_id, null::varchar as record_id, null::varchar as archive_no,
  null::varchar as doctor_name, null::date as service_date,
  case when violated then reported::bigint::varchar end as observed,
  case when violated then recomputed::bigint::varchar end as expected, violated
from (
  select
    *, case when reported is not null and recomputed is not null
      then abs(reported - recomputed) > {{ rule.params.tolerance }} end as violated
  from {{ ref('report_comparison') }}
  where report_id = '{{ rule.form_id }}' and item = {{ sql_text(rule.params.item) }}
)
{% endfor %}
