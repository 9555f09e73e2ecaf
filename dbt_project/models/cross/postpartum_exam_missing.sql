-- 产后42天检查缺失 (PRG-T-005): a delivery so many days ago, the last of them in the period, without the examination after
-- it. One finding a woman, on her last such delivery.
{% set rules = rules_on('postpartum_exam_missing') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
union all by name
select
  {{ of_rule(rule) }}, _institution_code as institution_code, {{ of_record('violated', 'archive_no') }},
  case when violated then '无' end as observed,
  case when violated then '≤' || (_service_date + {{ rule.params.max_days }})::varchar end as expected, violated
from (
  select d.*, e.archive_no is null as violated
  from {{ ref('judged_' ~ rule.form_id) }} as d
  left join {{ ref('judged_' ~ other_forms(rule) | first) }} as e
    on e.archive_no = d.archive_no and e._service_date between d._service_date and d._service_date + {{ rule.params.same_delivery_days }}
  where d.archive_no is not null
    and d._service_date + {{ rule.params.max_days }} + 1 between {{ period_start() }} and {{ period_until_today() }}
  qualify row_number() over (partition by d.archive_no order by violated desc, d._service_date desc, d._record_key) = 1
)
{% endfor %}
