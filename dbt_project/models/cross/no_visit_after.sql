-- 该随访而没有随访 (HTN-L-009 after a referral, HTN-T-007 after registration): something happened after which a visit was
-- to follow within some days, and none did. Judged when the time is over; the day after its end must lie in the period,
-- so a new year speaks of what ran out in it. Who left, died or was taken off the register before the end is excused, and
-- who did on a day that nobody told. What is told may also say that nothing happened (no_reason). One finding a person, on the
-- last such event.
{% set rules = rules_on('no_visit_after') %}

{{ no_findings() }}

{% for rule in rules %}
{% set visit_form = rule.params.visit_form %}
{% set registers = rule.form_id == 'chronic_registry' %}
{{ finding(rule, observed="coalesce((next_visit - _service_date)::varchar, '—')",
  expected=sql_text('≤' ~ rule.params.within_days)) }}
from (
  with visits as (
    select distinct archive_no, _service_date as visit_date from {{ ref('judged_' ~ visit_form) }}
    where archive_no is not null and _service_date <= {{ period_until_today() }}
  ),
  events as (
    select
      *, _service_date + {{ rule.params.within_days }} as last_day,
      coalesce(archive_status in {{ sql_list(rule.params.closed_status) }}
        and coalesce(archive_status_date <= _service_date + {{ rule.params.within_days }}, true), false)
      {%- if registers %}
      or coalesce(end_date <= _service_date + {{ rule.params.within_days }},
        end_date__unusable or manage_status in {{ sql_list(rule.params.ended_status) }}, false){% endif %} as excused
    from {{ ref('judged_' ~ rule.form_id) }}
    where archive_no is not null and _service_date is not null
      {% if rule.params.disease %}and disease = {{ sql_text(rule.params.disease) }}{% endif %}
      {% if rule.params.filled %}and {{ rule.params.filled }} not in {{ sql_list(rule.params.no_reason) }}{% endif %}
    {{ first_of('archive_no, _service_date', 'created_at desc nulls last, _record_key desc, _institution_code') }}
  ),
  followed as (
    select e._record_key, e._institution_code, min(v.visit_date) as next_visit
    from events as e
    join visits as v on v.archive_no = e.archive_no and v.visit_date {{ '>=' if registers else '>' }} e._service_date
    group by all
  )
  select
    e.*, f.next_visit,
    case
      when not e.excused and e.last_day + {{ in_period('1') }}
      then coalesce(f.next_visit > e.last_day, true)
    end as violated
  from events as e
  left join followed as f using (_record_key, _institution_code)
  {{ worst_of('e.archive_no', 'e._service_date desc') }}
)
{% endfor %}
