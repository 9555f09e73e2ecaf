-- 老年人健康管理 (reports.md 4.1): 65 and more (by year of birth) with a complete examination that gives guidance, and an
-- assessment of self-care, within the span. Who lives there and has had none is listed as still to be done.
{% set items = items_on('recount_elder') %}
{{ config(enabled=items | length > 0, materialized='table') }}

{{ no_people() }}

{% for item in items %}
{% set p = item.params %}
{% set exam, care = item.reads.keys() | list %}
union all by name
select
  '{{ item.report_id }}' as report_id, '{{ item.item }}' as item, from_day, to_day, institution_code, archive_no, person,
  day, entered_on, cause is null as counted, cause is not null as is_open, cause
from (
  with span as (select * from {{ ref('recount_span') }}),
  assessed as (
    select distinct e.from_day, e.to_day, s.archive_no
    from {{ ref('judged_' ~ care) }} as s join span as e on s._service_date between e.from_day and e.to_day
    where s.archive_no is not null
  ),
  examined as (
    select
      e.from_day, e.to_day, coalesce(s.archive_no, s._record_key) as archive_no, min({{ person_key(exam) }}) as person,
      s._institution_code as institution_code,
      max(s._service_date) as day, min(s.created_at)::date as entered_on,
      bool_or(coalesce(c.complete, false)) as complete,
      bool_or(coalesce(c.complete, false){% for column in p.guide or [] %} and s.{{ column }} is not null{% endfor %}) as complete_and_guided
    from {{ ref('judged_' ~ exam) }} as s
    join span as e on s._service_date between e.from_day and e.to_day
    left join {{ ref('complete_record') }} as c
      on c.form_id = '{{ exam }}' and c._institution_code = s._institution_code and c._record_key = s._record_key
    left join {{ ref('archive_person') }} as p on p.archive_no = s.archive_no
    where year(e.to_day) - year(s.birth_date) >= {{ p.elder_age }}
    group by e.from_day, e.to_day, s._institution_code, coalesce(s.archive_no, s._record_key)
  )
  select
    x.from_day, x.to_day, x.institution_code, x.archive_no, x.person, x.day, x.entered_on,
    case
      when not x.complete then '体检表不完整'
      when not x.complete_and_guided then '无健康指导'
      when a.archive_no is null then '无自理能力评估'
    end as cause
  from examined as x
  left join assessed as a on a.archive_no = x.archive_no and a.from_day = x.from_day and a.to_day = x.to_day
  union all
  select e.from_day, e.to_day, p.institution_code, p.archive_no, p.person, null, null, '本年未体检'
  from {{ ref('archive_person') }} as p
  join span as e on p.archive_date <= e.to_day and year(e.to_day) - year(p.birth_date) >= {{ p.elder_age }}
  left join examined as x on x.archive_no = p.archive_no and x.from_day = e.from_day and x.to_day = e.to_day
  where x.archive_no is null and not coalesce(p.archive_status <> '1' and p.archive_status_date <= e.to_day, false)
)
{% endfor %}
