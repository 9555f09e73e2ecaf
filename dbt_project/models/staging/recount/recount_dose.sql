-- 预防接种: who was given a dose in the span, an item for each dose of each vaccine (vac_done_hepb_1 …).
{% set items = items_on('recount_dose') | rejectattr('params.sum_of') | list %}
{{ config(enabled=items_on('recount_dose') | length > 0, materialized='table') }}

with wanted (item) as (
  values (null::varchar){% for item in items %}, ('{{ item.item }}'){% endfor %}
)

{% set form = (items_on('recount_dose') | first).reads.keys() | first if items_on('recount_dose') else 'none' %}
{% if form in catalogue_forms() %}
select
  '{{ (items_on("recount_dose") | first).report_id }}' as report_id, d.item, d.from_day, d.to_day,
  d.institution_code, d.archive_no, d.person, max(d.day) as day,
  min(d.entered_on) as entered_on, true as counted, false as is_open, null::varchar as cause
from (
  select
    e.from_day, e.to_day, s._institution_code as institution_code, coalesce(s.archive_no, s._record_key) as archive_no,
    {{ person_key(form) }} as person, s._service_date as day, s.created_at::date as entered_on,
    concat('vac_done_', lower(s.vaccine_code), '_', s.dose_no::integer) as item
  from {{ ref('judged_' ~ form) }} as s
  join {{ ref('recount_span') }} as e on s._service_date between e.from_day and e.to_day
  left join {{ ref('archive_person') }} as p on p.archive_no = s.archive_no
  where s.vaccine_code is not null and s.dose_no = floor(s.dose_no)
) as d
join wanted as w on w.item = d.item
group by all
{% else %}
{{ no_people() }}
{% endif %}
