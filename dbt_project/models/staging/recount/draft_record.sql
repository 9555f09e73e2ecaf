-- Records that do not count because of their status (暂存、作废、退回), of the forms that report items are counted from.
{{ config(materialized='table') }}
{% set forms = [] %}
{% for item in catalogue_items() if item.model %}{% for form_id in item.reads if form_id not in forms %}{% do forms.append(form_id) %}{% endfor %}{% endfor %}

select null::varchar as form_id, null::varchar as institution_code, null::varchar as archive_no, null::varchar as record_id,
  null::date as day, null::varchar as status
where false
{% for form_id in forms if form_id in delivered_forms() and has_column(form_id, 'record_status') %}
union all by name
select
  '{{ form_id }}' as form_id, _institution_code as institution_code,
  {% if has_column(form_id, 'archive_no') %}archive_no{% else %}null::varchar{% endif %} as archive_no, record_id,
  {{ catalogue_forms()[form_id].service_date }}::date as day,
  case record_status when '2' then '暂存' when '3' then '作废' when '4' then '退回' end as status
from {{ ref('stg_' ~ form_id) }}
where record_status in ('2', '3', '4')
{% endfor %}
