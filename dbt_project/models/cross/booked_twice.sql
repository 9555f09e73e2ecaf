-- 同一孕次重复建册 (PRG-U-001): more than one first antenatal record of one pregnancy; records are of one when their last
-- periods lie near each other. One finding a woman, on the last record of such a pregnancy.
{% set rules = rules_on('booked_twice') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
union all by name
select
  {{ of_rule(rule) }}, _institution_code as institution_code, {{ of_record('violated', 'archive_no') }},
  case when violated then records::varchar end as observed,
  case when violated then '{{ rule.params.max_count }}' end as expected, violated
from (
  select *, records > {{ rule.params.max_count }} as violated
  from (
    select *, count(*) over (partition by archive_no, pregnancy) as records
    from ({{ bookings(rule.form_id, rule.params.same_pregnancy_days) }})
  )
  qualify row_number() over (partition by archive_no order by violated desc, _service_date desc, _record_key) = 1
)
{% endfor %}
