-- Activities, reports and patrols of an institution, and live births, counted as they are recorded: `measure` rows, the
-- sum of a column, or its different values; `where`/`is` a code; `hours` and others what was done in time (in_time).
{% set items = items_on('recount_event') %}
{{ config(enabled=items | length > 0, materialized='table') }}

select null::varchar as report_id, null::varchar as item, null::date as from_day, null::date as to_day,
  null::varchar as institution_code, null::double as recomputed
where false

{% for item in items %}
{% set p = item.params %}
{% set form = item.reads.keys() | first %}
union all by name
select
  '{{ item.report_id }}' as report_id, '{{ item.item }}' as item, e.from_day, e.to_day, s._institution_code as institution_code,
  {% if p.measure == 'sum' %}sum(coalesce(s.{{ p.column }}, {{ p.empty_is or 0 }}))
  {% elif p.measure == 'kinds' %}count(distinct s.{{ p.column }})
  {% else %}count(*){% endif %}::double as recomputed
from {{ ref('judged_' ~ form) }} as s
join {{ ref('recount_span') }} as e on s._service_date between e.from_day and e.to_day
where true
  {% if p.where %}and s.{{ p.where }} in {{ sql_list(p.is) }}{% endif %}
  {% if p.hours %}and {{ in_time(p) }}{% endif %}
group by all
{% endfor %}
