-- 产后42天检查缺失 (PRG-T-005): a delivery so many days ago, the last of them in the period, without the examination after
-- it. One finding a woman, on her last such delivery.
{% set rules = rules_on('postpartum_exam_missing') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed=sql_text('无'), expected="'≤' || (_service_date + " ~ rule.params.max_days ~ ')::varchar') }}
from (
  select d.*, e.archive_no is null as violated
  from {{ ref('judged_' ~ rule.form_id) }} as d
  left join {{ ref('judged_' ~ other_forms(rule) | first) }} as e
    on e.archive_no = d.archive_no and e._service_date between d._service_date and d._service_date + {{ rule.params.same_delivery_days }}
  where d.archive_no is not null
    and d._service_date + {{ rule.params.max_days }} + {{ in_period('1') }}
  {{ first_of('d.archive_no', 'violated desc, d._service_date desc, d._record_key') }}
)
{% endfor %}
