-- 分娩孕周 (PRG-L-011): the days from the last period, as the last first antenatal record before a delivery tells it, to
-- that delivery; one made after the delivery is of that pregnancy too, when its last period lies before. One finding a
-- woman.
{% set rules = rules_on('gestation_implausible') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='days::varchar', expected=sql_text(rule.params.min_days ~ '～' ~ rule.params.max_days)) }}
from (
  with paired as (
    select d.*, d._service_date - b.lmp_date as days
    from {{ ref('judged_' ~ rule.form_id) }} as d
    left join {{ ref('judged_' ~ other_forms(rule) | first) }} as b
      on b.archive_no = d.archive_no
      and (b._service_date between d._service_date - {{ rule.params.look_back_days }} and d._service_date
        or b._service_date > d._service_date
          and b.lmp_date between d._service_date - {{ rule.params.look_back_days }} and d._service_date)
    where d.archive_no is not null and {{ in_force(rule, 'd._service_date') }}
    {{ first_of('d._institution_code, d._record_key', 'b._service_date desc nulls last, b._record_key desc') }}
  )
  select *, days not between {{ rule.params.min_days }} and {{ rule.params.max_days }} as violated
  from paired
  {{ worst_of('archive_no', '_service_date desc, _record_key') }}
)
{% endfor %}
