{#
  Visits of a person in order (0a.13): by service date, then created_at with the empty ones first, then record_id; of
  several on one day the last stands for the day. `since`: only visits from that day on (none: those of the period).
#}
{% macro visits_in_order(form_id, columns, since=none) %}
select
  archive_no, _service_date as visit_date, _institution_code, _record_key, record_id, doctor_name
  {%- for column in columns %}, {{ column }}{% endfor %}
from {{ ref('judged_' ~ form_id) }}
where archive_no is not null and _service_date between {{ since or period_start() }} and {{ period_until_today() }}
{{ first_of('archive_no, _service_date', 'created_at desc nulls last, _record_key desc, _institution_code') }}
{% endmacro %}

{#
  Visits of the period, each with the person's previous one, which may lie up to `look_back_days` before the period.
  Columns beside those of visits_in_order: previous_date, gap_days (NULL without a previous one) and, of the columns in
  `told`, before_<column>.
#}
{% macro visits_with_previous(form_id, columns, told, look_back_days) %}
select * from (
  select
    *, lag(visit_date) over visits as previous_date, visit_date - lag(visit_date) over visits as gap_days
    {%- for column in told %}, lag({{ column }}) over visits as before_{{ column }}{% endfor %}
  from ({{ visits_in_order(form_id, columns, before_period(look_back_days)) }})
  window visits as (partition by archive_no order by visit_date)
)
where visit_date >= {{ period_start() }}
{% endmacro %}

{# People with the days of the period they were seen on, on any of some forms: archive_no, `name`. #}
{% macro days_served(form_ids, name, where='true') %}
select archive_no, count(distinct _service_date) as {{ name }}
from (
  {% for form_id in form_ids %}
  select archive_no, _service_date from {{ ref('judged_' ~ form_id) }} where {{ where }} and {{ in_period() }}
  {{ "union all" if not loop.last }}
  {% endfor %}
)
group by archive_no
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
