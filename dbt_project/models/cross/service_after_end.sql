-- 终止后仍有服务 (XFM-X-019): a profile that ended (moved, died, lost) with a service dated after the day it ended. One
-- finding a profile; the latest such service tells when.
{% set rules = rules_on('service_after_end') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='last_service::varchar', expected="'≤' || ended_on::varchar", day='last_service') }}
from (
  with services as (
    select archive_no, max(_service_date) as last_service
    from {{ ref('judged_record') }}
    where archive_no is not null and form_id in {{ sql_list(other_forms(rule)) }}
    group by archive_no
  )
  select
    p._institution_code, p.archive_no, p.record_id, p.doctor_name,
    p.archive_status_date as ended_on, s.last_service,
    case
      when p.archive_status in {{ sql_list(rule.params.ended_status) }} and p.archive_status_date is not null
      then coalesce(s.last_service > p.archive_status_date, false)
    end as violated
  from {{ ref('judged_' ~ rule.form_id) }} as p
  left join services as s on s.archive_no = p.archive_no
  where p.archive_no is not null and {{ in_force(rule, 'p._service_date') }}
  {{ first_of('p._institution_code, p.archive_no', 'coalesce(violated, false) desc, p._record_key') }}
)
{% endfor %}
