-- The reports' items as the catalogue has them.
{{ config(materialized='table') }}
{% set items = catalogue_items() %}

select * from (
  values (null::varchar, null::varchar, null::varchar, null::varchar, null::boolean)
  {% for item in items %}
  , ('{{ item.report_id }}', '{{ item.item }}', {{ sql_text(item.title) }}, {{ sql_text(item.nature) }}, {{ item.recomputed }})
  {%- endfor %}
) as t (report_id, item, title, nature, is_recomputed)
where item is not null
