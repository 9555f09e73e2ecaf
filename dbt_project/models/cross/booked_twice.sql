-- 同一孕次重复建册 (PRG-U-001): more than one first antenatal record of one pregnancy; records are of one when their last
-- periods lie near each other. One finding a woman, on the last record of such a pregnancy.
{% set rules = rules_on('booked_twice') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='records::varchar', expected=sql_text(rule.params.max_count)) }}
from (
  select *, records > {{ rule.params.max_count }} as violated
  from (
    select *, count(*) over (partition by archive_no, pregnancy) as records
    from ({{ bookings(rule.form_id, rule.params.same_pregnancy_days) }})
  )
  {{ first_of('archive_no', 'violated desc, _service_date desc, _record_key') }}
)
{% endfor %}
