-- 0～3岁儿童系统管理: children under `below_months` at the span's end who had as many visits in the span as there are ages
-- of visit (`months`) that they reached in it, with `grace_days` to be seen in.
{% set items = items_on('recount_child') %}
{{ config(enabled=items | length > 0, materialized='table') }}

{{ no_people() }}

{% for item in items %}
{% set p = item.params %}
union all by name
select
  '{{ item.report_id }}' as report_id, '{{ item.item }}' as item, from_day, to_day, institution_code, archive_no, person,
  day, entered_on, visits >= due as counted, visits < due as is_open,
  case when visits < due then '按月龄应检次数不足' end as cause
from (
  -- visits at all institutions count together; each that saw the child is named, whose it is recount_person decides
  with v as (
    select *, max(birth_date) over (partition by from_day, to_day, archive_no) as max_birth
    from (
      {% for form in item.reads %}
      select
        e.from_day, e.to_day, s._institution_code as institution_code, coalesce(s.archive_no, s._record_key) as archive_no,
        {{ person_key(form) }} as person, s._service_date as day, s.created_at::date as entered_on, s.birth_date
      from {{ ref('judged_' ~ form) }} as s
      join {{ ref('recount_span') }} as e on s._service_date between e.from_day and e.to_day
      left join {{ ref('archive_person') }} as p on p.archive_no = s.archive_no
      {% if not loop.last %}union all{% endif %}
      {% endfor %}
    )
  ),
  child as (
    select
      v.from_day, v.to_day, v.archive_no, min(v.person) as person, count(distinct v.day) as visits,
      count(distinct m.month) filter (
        max_birth + to_months(m.month) between v.from_day and v.to_day - {{ p.grace_days }}
      ) as due
    from v cross join (select unnest({{ p.months }}) as month) as m
    where max_birth + to_months({{ p.below_months }}) > v.to_day
    group by v.from_day, v.to_day, v.archive_no
  )
  select c.*, s.institution_code, s.day, s.entered_on
  from child as c
  join (
    select from_day, to_day, archive_no, institution_code, max(day) as day, min(entered_on) as entered_on from v group by all
  ) as s using (from_day, to_day, archive_no)
)
{% endfor %}
