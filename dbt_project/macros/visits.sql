{#
  Visits of a person in order (0a.13): by service date, then created_at with the empty ones first, then record_id; of
  several on one day the last stands for the day. Only visits between the two bounds are looked at.
#}
{% macro visits_in_order(form_id, columns, from_date, to_date) %}
select
  archive_no, _service_date as visit_date, _institution_code, _record_key, record_id, doctor_name
  {%- for column in columns %}, {{ column }}{% endfor %}
from {{ ref('judged_' ~ form_id) }}
where archive_no is not null and _service_date between {{ from_date }} and {{ to_date }}
qualify row_number() over (
  partition by archive_no, _service_date order by created_at desc nulls last, _record_key desc
) = 1
{% endmacro %}

{# First and last day the night's period can speak of: the period, as far as today. #}
{% macro period_start() %}(select period_start from {{ ref('night') }}){% endmacro %}
{% macro period_until_today() %}(select least(period_end, today) from {{ ref('night') }}){% endmacro %}
{% macro in_period(day='_service_date') %}{{ day }} between {{ period_start() }} and {{ period_until_today() }}{% endmacro %}

{# So many days before the period: where to look for what went before a visit in it. #}
{% macro before_period(days) %}(select period_start - {{ days }} from {{ ref('night') }}){% endmacro %}

{% macro today() %}(select today from {{ ref('night') }}){% endmacro %}

{# Days in management (0a.12): see the model managed_days. #}
{% macro due(times) -%}
  ({{ times }} * managed_days) // period_days
{%- endmacro %}
