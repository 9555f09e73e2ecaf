-- Activities, reports and patrols of an institution, and live births, counted as they are recorded: `measure` rows, the
-- sum of a column, or its different values; `where`/`is` a code; `since`/`until`/`hours` what was done in time (of a
-- beginning without a time of day, from the end of that day, as the rules on records have it). `urgent_hours` is what was
-- allowed for `urgent_is` of a class, and while a code was to be treated so (its attributes `urgent_attrs`, first and last day).
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
{% if p.hours_list %}
{% set attrs = catalogue_code_attrs().get(p.hours_list, {}) %}
{% set urgent = p.urgent_attrs or ['', ''] %}
left join (
  values (null::varchar, null::integer, null::date, null::date)
  {% for code, hours in attrs.get(p.hours_attr, {}).items() %}
  {%- set since, until = attrs.get(urgent[0], {}).get(code), attrs.get(urgent[1], {}).get(code) %}
  , ({{ sql_text(code) }}, {{ hours }}, {{ sql_text(since) if since else 'null' }}, {{ sql_text(until) if until else 'null' }})
  {%- endfor %}
) as allowed (code, hours, urgent_from, urgent_to) on allowed.code = s.{{ p.hours_by }}
{% endif %}
where true
  {% if p.where %}and s.{{ p.where }} in {{ sql_list(p.is) }}{% endif %}
  {% if p.hours %}
  and (s.{{ p.until }} <= s.{{ p.since }} + to_days((s.{{ p.since }} = s.{{ p.since }}::date)::integer) + to_hours((
      case when false then 0 {% if p.urgent_where %}when s.{{ p.urgent_where }} in {{ sql_list(p.urgent_is) }} then {{ p.urgent_hours }}{% endif %}
        {% if p.urgent_attrs %}when s.{{ p.since }}::date between allowed.urgent_from and allowed.urgent_to then {{ p.urgent_hours }}{% endif %}
        else {% if p.hours_list %}coalesce(allowed.hours, {{ p.hours }}){% else %}{{ p.hours }}{% endif %} end)::integer)
    {% if p.only_where %}or s.{{ p.only_where }} not in {{ sql_list(p.only_is) }}{% endif %})
  {% endif %}
group by all
{% endfor %}
