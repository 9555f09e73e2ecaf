-- 72小时未入户 (TB-T-001): more hours from the notice to the beginning of the day of the first visit than there may be.
-- Reported on the person's registration, the one made last; where there is none, at the institution of the visit.
{% set rules = rules_on('tb_first_visit_late') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='hours::varchar', expected=sql_text('≤' ~ rule.params.max_hours), day='visit_date') }}
from (
  select
    coalesce(m._institution_code, v._institution_code) as _institution_code, v.archive_no, m.record_id,
    coalesce(m.doctor_name, v.doctor_name) as doctor_name, v.visit_date,
    date_diff('hour', v.notice_date, v.visit_date::timestamp) as hours, hours > {{ rule.params.max_hours }} as violated
  from {{ ref('judged_tb_first_visit') }} as v
  left join {{ ref('managed_days') }} as m on m.archive_no = v.archive_no and m.disease = {{ sql_text(rule.params.disease) }}
  where v.archive_no is not null
  {{ worst_of('v.archive_no', 'v.visit_date desc, v._record_key') }}
)
{% endfor %}
