-- Every reported figure beside the one counted in the records, where there is one.
{{ config(materialized='table') }}

select
  r.report_id, r.institution_code, r.year, r.period, r.item, r.value as reported,
  {% if 'resident_profile' in var('forms') %}c.recomputed{% else %}null::double{% endif %} as recomputed
from {{ ref('report_cells') }} as r
{% if 'resident_profile' in var('forms') %}
left join {{ ref('archives_counted') }} as c
  on c.report_id = r.report_id and c.institution_code = r.institution_code and c.year = r.year
  and c.period = r.period and c.item = r.item
{% endif %}
