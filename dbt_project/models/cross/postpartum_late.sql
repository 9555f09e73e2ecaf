-- 出院后访视 (PRG-T-003 the visit came too late, PRG-T-004 none in the days that count): the first visit after a delivery
-- against the day of discharge, and, where the rule asks it, discharges on record of which there is no visit at all (and
-- so no record of the rule's form to point at).
-- One finding a woman, on her last such delivery; of the night's period if there is no visit, for by that it was looked for.
{% set rules = rules_on('postpartum_late') %}

{{ no_findings() }}

{% for rule in rules %}
{% set deliveries = other_forms(rule) | first %}
{% set period %}case when visited_on is null then (select period from {{ ref('night') }}) else '' end{% endset %}
{{ finding(rule, observed="coalesce(visited_on::varchar, '无')", expected="'≤' || latest::varchar", period=period) }}
from (
  with visits as (
    select
      _institution_code, archive_no, record_id, _record_key, doctor_name, _service_date, discharge_date,
      _service_date as visited_on
    from {{ ref('judged_' ~ rule.form_id) }}
    where archive_no is not null and _service_date is not null
    qualify row_number() over (
      partition by archive_no, coalesce(delivery_date, discharge_date) order by _service_date, _record_key
    ) = 1
  ),
  {% if rule.params.also_without_visit %}
  unvisited as (
    select
      d._institution_code, d.archive_no, null::varchar as record_id, d._record_key, d.doctor_name, d._service_date, d.discharge_date,
      null::date as visited_on
    from {{ ref('judged_' ~ deliveries) }} as d
    anti join visits as v
      on v.archive_no = d.archive_no and v.visited_on between d._service_date and d._service_date + {{ rule.params.same_delivery_days }}
    where d.archive_no is not null
      and d.discharge_date + {{ rule.params.max_days }} + {{ in_period('1') }}
  ),
  {% endif %}
  every_discharge as (
    select * from visits
    {% if rule.params.also_without_visit %}union all select * from unvisited{% endif %}
  )
  select
    *, discharge_date + {{ rule.params.max_days }} as latest,
    case when discharge_date is not null then coalesce(visited_on > latest, true) end as violated
  from every_discharge
  {{ worst_of('archive_no', '_service_date desc, _record_key') }}
)
{% endfor %}
