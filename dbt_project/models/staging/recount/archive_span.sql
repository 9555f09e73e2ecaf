-- Every archive there is at the end of each span that 城乡居民健康档案管理 (or the night's year) speaks of, and what it
-- counts as: `changed`, `gone` (died, cancelled), `ended` by then; `is_chosen`: the one archive its person counts by, at
-- the institution where they are managed (reports.md 4.2); `is_basic`, `is_missing`, `is_severe`: what 规范化 asks (4.3);
-- `is_served`: any service in the twelve months before.
{% set standard = items_on('recount_archive') | selectattr('item', 'equalto', 'ehr_standard') | first %}
{% set p = standard.params if standard else {} %}
{{ config(enabled=items_on('recount_archive') | length > 0 and 'resident_profile' in catalogue_forms(), materialized='table') }}
{% set person_forms = [] %}
{% for form_id, form in catalogue_forms().items() if form.person and form_id != 'resident_profile' %}
{% do person_forms.append(form_id) %}{% endfor %}

with periods as (
  select distinct s.from_day, s.to_day
  from {{ ref('report_span') }} as s where s.report_id = 'r_archive' or s.report_id is null
),

profiles as (
  select
    _institution_code as institution_code, coalesce(archive_no, _record_key) as archive_no, _record_key, record_id, archive_date,
    archive_status, archive_status_date, birth_date, created_at::date as entered_on,
    case when _id_ok then upper(id_card_no) else coalesce(archive_no, _record_key) end as person,
    _id_ok{% for column in p.s1_fields or [] %} and {{ column }} is not null{% endfor %} as is_basic
  from {{ ref('judged_resident_profile') }}
),

at_end as (
  select
    e.from_day, e.to_day, f.*,
    coalesce(f.archive_status_date <= e.to_day, false) as changed,
    coalesce(f.archive_status in ('3', '9') and f.archive_status_date <= e.to_day, false) as gone,
    coalesce(f.archive_status in ('2', '3', '4', '9') and f.archive_status_date <= e.to_day, false) as ended
  from profiles as f cross join periods as e
  where f.archive_date <= e.to_day
),

chosen as (
  select
    *, not gone and row_number() over (
      partition by to_day, person, gone order by ended, archive_date desc, institution_code, archive_no, _record_key
    ) = 1 as is_chosen
  from at_end
),

services as (
  select distinct
    s.form_id, s.archive_no, s._service_date as day, v.record_key is not null as is_severe
  from {{ ref('judged_record') }} as s
  left join {{ ref('severe_record') }} as v
    on v.form_id = s.form_id and v.institution_code = s._institution_code and v.record_key = s._record_key
  where s.archive_no is not null and s.form_id in {{ sql_list(person_forms + ['']) }}
),

served as (
  select distinct e.to_day, s.archive_no
  from services as s join periods as e on s.day > e.to_day - interval 1 year and s.day <= e.to_day
),

-- 重点人群: the services each needs within the span's year so far
group_forms (need, form_id) as (
  values (null::varchar, null::varchar)
  {% for form in p.elder_forms or [] %}, ('elder', '{{ form }}'){% endfor %}
  {% for form in p.child_forms or [] %}, ('child', '{{ form }}'){% endfor %}
  {% for pair in p.disease_forms or [] %}, ({{ sql_text(pair.split(':')[0]) }}, {{ sql_text(pair.split(':')[1]) }}){% endfor %}
),

needs as (
  select to_day, archive_no, 'elder' as need from chosen
  where is_chosen and year(to_day) - year(birth_date) >= {{ p.elder_age or 999 }}
  union all
  select to_day, archive_no, 'child' from chosen
  where is_chosen and {{ whole_years('birth_date', 'to_day') }} < {{ p.child_age or 0 }}
  {% if 'chronic_registry' in catalogue_forms() %}
  union all
  select m.to_day, m.archive_no, m.disease from {{ ref('managed_span') }} as m
  where m.managed_days > 0 and m.disease in (select need from group_forms)
  {% endif %}
),

had as (
  select e.to_day, s.archive_no, g.need, bool_or(s.is_severe) as is_severe
  from services as s
  join group_forms as g on g.form_id = s.form_id
  join periods as e on s.day between e.from_day and e.to_day
  group by all
),

unmet as (
  select n.to_day, n.archive_no, bool_or(h.need is null) as is_missing, bool_or(coalesce(h.is_severe, false)) as is_severe
  from needs as n left join had as h on h.to_day = n.to_day and h.archive_no = n.archive_no and h.need = n.need
  group by all
)

select
  c.from_day, c.to_day, c.institution_code, c.archive_no, c.record_id, c.person, c.archive_date, c.archive_status,
  c.archive_status_date, c.entered_on, c.changed, c.gone, c.ended, c.is_chosen, c.is_basic,
  coalesce(u.is_missing, false) as is_missing, coalesce(u.is_severe, false) as is_severe,
  s.archive_no is not null as is_served
from chosen as c
left join unmet as u on u.to_day = c.to_day and u.archive_no = c.archive_no
left join served as s on s.to_day = c.to_day and s.archive_no = c.archive_no
