-- Who counts for which item in which span, one row a person: who was counted at two institutions counts where they were
-- in management at the span's end, else where they were served last (reports.md 4.2).
{{ config(materialized='table') }}
{% set models = recount_models() | reject('in', ['recount_archive', 'recount_event']) | list %}

with counted as (
  {{ no_people() }}
  {% for model in models %}
  union all by name select * from {{ ref(model) }} where counted
  {% endfor %}
),

homes as (
  {% if 'resident_profile' in catalogue_forms() %}
  select
    case when _id_ok then upper(id_card_no) else archive_no end as person, _institution_code as institution_code,
    max(archive_date) as archive_date,
    min(case when archive_status in ('2', '3', '4', '9') then archive_status_date else date '9999-12-31' end) as ended_on
  from {{ ref('judged_resident_profile') }} where archive_no is not null
  group by all
  {% else %}
  select null::varchar as person, null::varchar as institution_code, null::date as archive_date, null::date as ended_on
  where false
  {% endif %}
)

select
  c.report_id, c.item, c.from_day, c.to_day, c.person, c.institution_code, c.archive_no, c.day, c.entered_on,
  row_number() over (
    partition by c.report_id, c.item, c.to_day, c.person
    order by (h.person is not null and coalesce(h.ended_on > c.to_day, true)) desc, h.archive_date desc nulls last,
      c.day desc nulls last, c.institution_code, c.archive_no
  ) as rank
from counted as c
left join homes as h on h.person = c.person and h.institution_code = c.institution_code
