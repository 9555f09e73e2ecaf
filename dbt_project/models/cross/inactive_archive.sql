-- 活动档案无动态 (XFM-X-018): an archive called active whose last record on any form, its own opening included, lies years
-- back.
{% set rules = rules_on('inactive_archive') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='last_service::varchar',
  expected="'≥' || (today - " ~ rule.params.max_days ~ ')::varchar', day='last_service') }}
from (
  with services as (
    select archive_no, max(_service_date) as last_service from {{ ref('judged_record') }}
    where archive_no is not null group by all
  )
  select
    p._institution_code, p.archive_no, p.record_id, p.doctor_name, s.last_service, n.today,
    case when p.archive_status = {{ sql_text(rule.params.active_status) }}
      then s.last_service < n.today - {{ rule.params.max_days }} end as violated
  from {{ ref('judged_' ~ rule.form_id) }} as p
  cross join {{ ref('night') }} as n
  left join services as s on s.archive_no = p.archive_no
  where p.archive_no is not null
  {{ worst_of('p._institution_code, p.archive_no', 'p._record_key') }}
)
{% endfor %}
