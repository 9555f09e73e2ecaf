-- 建册过晚 (PRG-T-001): the first antenatal record of a pregnancy was made after the weeks in which it should be. One
-- finding a woman, on her last such record.
{% set rules = rules_on('booked_late') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
union all by name
select
  {{ of_rule(rule) }}, _institution_code as institution_code, {{ of_record('violated', 'archive_no') }},
  case when violated then gest_weeks::integer::varchar end as observed,
  case when violated then '≤{{ rule.params.max_weeks }}' end as expected, violated
from (
  select *, gest_weeks > {{ rule.params.max_weeks }} as violated
  from {{ ref('judged_' ~ rule.form_id) }}
  where archive_no is not null and {{ in_force(rule) }}
  qualify row_number() over (
    partition by archive_no order by coalesce(violated, false) desc, violated is null, _service_date desc, _record_key
  ) = 1
)
{% endfor %}
