-- 治疗期没有体重 (TB-X-002): visited for tuberculosis in the period, and no examination with a weight from the first visit to
-- the end of the treatment (or today). One finding a person, at the institution of the last visit.
{% set rules = rules_on('tb_weight') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed="from_day || '～' || to_day") }}
from (
  with last_visit as (
    select
      *, min(_service_date) over (partition by archive_no) as first_follow_up
    from {{ ref('judged_' ~ rule.form_id) }}
    where archive_no is not null and _service_date <= {{ period_until_today() }}
    {{ first_of('archive_no', '_service_date desc, _record_key desc') }}
  ),
  treatments as (
    select
      v.*, coalesce(f._service_date, v.first_follow_up) as from_day,
      coalesce(v.stop_date, {{ period_until_today() }}) as to_day
    from last_visit as v
    left join {{ ref('judged_tb_first_visit') }} as f on f.archive_no = v.archive_no and f._service_date <= v._service_date
    where v._service_date >= {{ period_start() }}
    {{ first_of('v.archive_no', 'f._service_date desc nulls last') }}
  )
  select t.*, e.archive_no is null as violated
  from treatments as t
  left join (select distinct archive_no, _service_date as weighed_on from {{ ref('judged_health_exam') }}
    where weight_kg is not null) as e on e.archive_no = t.archive_no and e.weighed_on between t.from_day and t.to_day
  {{ first_of('t.archive_no', 'e.weighed_on') }}
)
{% endfor %}
