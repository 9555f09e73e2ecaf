-- 随访与体检不符 (HTN-X-003 height, X-004 weight, X-005 pressure, X-006 smoking, DM-X-004 glucose, CPD-X-001 smoking): a
-- visit against the person's last examination. Either a number that differs by more than it may (max_difference) where
-- the two are near enough in time (within_days, within_months, counted as months of the calendar), or a habit told on
-- the visit (visit_codes, or a number above more_than) that the examination denies (exam_codes). Of several columns of
-- the examination the highest stands, and without any the one in another unit (other_unit, divided_by). One finding a person, on the
-- last such visit.
{% set rules = rules_on('visit_against_exam') %}

{{ no_findings() }}

{% for rule in rules %}
{% set p = rule.params %}
{{ finding(rule, observed=plain_number('here'), expected=plain_number('there')) }}
from (
  with exams as (
    select
      archive_no, _service_date as exam_day,
      {% if p.exam_codes %}{{ p.exam | first }}{% else -%}
      coalesce(greatest({{ p.exam | join(', ') }})
        {%- if p.other_unit %}, round({{ p.other_unit }} / {{ p.divided_by }}, 1){% endif %})
      {%- endif %} as there
    from {{ ref('judged_health_exam') }}
    where archive_no is not null and _service_date <= {{ today() }}
    {{ first_of('archive_no', '_service_date desc, created_at desc nulls last, _record_key desc') }}
  ),
  compared as (
    select
      v._institution_code, v._record_key, v.archive_no, v.record_id, v.doctor_name, v._service_date,
      v.{{ p.visit }} as here, e.there,
      {% if p.within_days is defined %}abs(date_diff('day', v._service_date, e.exam_day)) <= {{ p.within_days }}
      {% elif p.within_months is defined %}abs(date_diff('month', v._service_date, e.exam_day)) <= {{ p.within_months }}
      {% else %}true{% endif %} as is_near
    from {{ ref('judged_' ~ rule.form_id) }} as v
    join exams as e on e.archive_no = v.archive_no
    where v._service_date <= {{ today() }}
  )
  select
    *,
    {% if p.exam_codes -%}
    {% if p.visit_codes %}here in {{ sql_list(p.visit_codes) }}{% else %}here > {{ p.more_than }}{% endif %}
      and there in {{ sql_list(p.exam_codes) }}
    {%- else -%}
    case when is_near then round(abs(here - there), 6) > {{ p.max_difference }} end
    {%- endif %} as violated
  from compared
  {{ worst_of('archive_no', '_service_date desc, _record_key desc') }}
)
{% endfor %}
