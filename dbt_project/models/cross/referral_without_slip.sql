-- 转诊无转诊单 (REF-X-001): a visit that tells a reason of referral, without a referral slip of the person near that day,
-- at any institution. One finding a person and form, on the last such visit.
{% set rules = rules_on('referral_without_slip') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='_service_date::varchar') }}
from (
  select v.*, case when trim(v.referral_reason) not in {{ sql_list([''] + rule.params.no_reason) }} then s.archive_no is null end as violated
  from {{ ref('judged_' ~ rule.form_id) }} as v
  left join {{ ref('judged_' ~ rule.params.slip_form) }} as s
    on s.archive_no = v.archive_no
    and s._service_date between v._service_date - {{ rule.params.near_days }} and v._service_date + {{ rule.params.near_days }}
  where v.archive_no is not null and v._service_date is not null and {{ in_force(rule, 'v._service_date') }}
  {{ worst_of('v.archive_no', 'v._service_date desc, v._record_key') }}
)
{% endfor %}
