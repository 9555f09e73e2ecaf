-- Who had a service in the span (体检、访视、中医药、接种建卡、肺结核管理 …): people with such a record, at each institution that
-- served them (whose they are is decided in recount_person), each item by its parameters: `day` the date that falls into the span (else the service's), `where`/`is` a code, `filled` what must be
-- filled in, `least` a figure, `elder_age` by year of birth, `within_of`/`within_days` a delay.
{% set items = items_on('recount_service') %}
{{ config(enabled=items | length > 0, materialized='table') }}

{{ no_people() }}

{% for item in items %}
{% set p = item.params %}
union all by name
select
  '{{ item.report_id }}' as report_id, '{{ item.item }}' as item, from_day, to_day,
  institution_code, archive_no, person,
  max(day) filter (is_right) as day, min(entered_on) filter (is_right) as entered_on,
  bool_or(is_right) as counted, not bool_or(is_right) as is_open,
  case when not bool_or(is_right) then '记录不合报表口径' end as cause
from (
  {% for form in item.reads %}
  {% set day = 's.' ~ p.day ~ '::date' if p.day else 's._service_date' %}
  select
    e.from_day, e.to_day, s._institution_code as institution_code, coalesce(s.archive_no, s._record_key) as archive_no,
    {{ person_key(form) }} as person, {{ day }} as day, s.created_at::date as entered_on,
    coalesce(true
      {% if p.where %}and s.{{ p.where }} in {{ sql_list(p.is) }}{% endif %}
      {% for column in p.filled or [] %}and s.{{ column }} is not null
      {% endfor %}
      {% if p.filled_any %}and (false{% for column in p.filled_any if has_column(form, column) %} or s.{{ column }} is not null{% endfor %}){% endif %}
      {% if p.least %}and s.{{ p.least }} >= {{ p.least_value }}{% endif %}
      {% if p.within_of %}and s._service_date <= s.{{ p.within_of }} + {{ p.within_days }}{% endif %}, false) as is_right
  from {{ ref('judged_' ~ form) }} as s
  join {{ ref('recount_span') }} as e on {{ day }} between e.from_day and e.to_day
  left join {{ ref('archive_person') }} as p on p.archive_no = s.archive_no
  {% if p.elder_age %}where year(e.to_day) - year(s.birth_date) >= {{ p.elder_age }}{% endif %}
  {% if not loop.last %}union all{% endif %}
  {% endfor %}
)
group by from_day, to_day, institution_code, archive_no, person
{% endfor %}
