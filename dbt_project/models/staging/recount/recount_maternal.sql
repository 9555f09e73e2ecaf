-- 孕产妇: women who gave birth in the span, and what care they had in the pregnancy before: `early` a first check-up by
-- `max_gest_days` of gestation, `checks` at least `min_checks` check-ups.
{% set items = items_on('recount_maternal') %}
{{ config(enabled=items | length > 0, materialized='table') }}

{{ no_people() }}

{% for item in items %}
{% set p = item.params %}
{% set forms = item.reads.keys() | list %}
union all by name
select
  '{{ item.report_id }}' as report_id, '{{ item.item }}' as item, from_day, to_day, institution_code, archive_no, person,
  day, entered_on, is_right as counted, false as is_open,
  case when not is_right then {% if p.kind == 'early' %}'早孕建册未达要求'{% else %}'产前检查次数不足'{% endif %} end as cause
from (
  with cared as (
    {% for form in forms[1:] %}
    select
      s.archive_no, s._service_date as day, s._record_key,
      {% if p.kind == 'early' %}coalesce(s.gest_weeks * 7 + coalesce(s.gest_days, 0) <= {{ p.max_gest_days }}, false){% else %}true{% endif %} as is_right
    from {{ ref('judged_' ~ form) }} as s where s.archive_no is not null
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
  ),
  birth as (
    select
      e.from_day, e.to_day, s.archive_no, s._institution_code as institution_code, s._service_date as day,
      s.created_at::date as entered_on, {{ person_key(forms[0]) }} as person
    from {{ ref('judged_' ~ forms[0]) }} as s
    join {{ ref('recount_span') }} as e on s._service_date between e.from_day and e.to_day
    left join {{ ref('archive_person') }} as p on p.archive_no = s.archive_no
    where s.archive_no is not null
  ),
  woman as (
    select
      b.from_day, b.to_day, b.archive_no, min(b.person) as person,
      {% if p.kind == 'early' %}coalesce(bool_or(c.is_right), false){% else %}count(distinct (c.day, c._record_key)) filter (c.day is not null) >= {{ p.min_checks }}{% endif %} as is_right
    from birth as b
    left join cared as c on c.archive_no = b.archive_no and c.day between b.day - {{ p.pregnancy_days }} and b.day
    group by b.from_day, b.to_day, b.archive_no
  )
  -- each institution that has the birth on record is named; whose the woman is recount_person decides
  select w.*, s.institution_code, s.day, s.entered_on
  from woman as w
  join (
    select from_day, to_day, archive_no, institution_code, max(day) as day, min(entered_on) as entered_on
    from birth group by all
  ) as s using (from_day, to_day, archive_no)
)
{% endfor %}
