-- 城乡居民健康档案 counted in the profiles (reports.md sections 2 and 4) for every institution and every span that one of
-- these reports speaks of. People are told apart by a right identity number, else by archive number; who has archives at
-- two institutions counts where they were managed at the span's end. 规范化 (4.3) in all three tiers; the parameter `tier`
-- says which of them is ehr_standard.
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
    _institution_code as institution_code, coalesce(archive_no, _record_key) as archive_no, archive_date,
    archive_status, archive_status_date, birth_date,
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

-- ehr_archive, and where every archive is electronic ehr_electronic: people, each at one institution
people as (
  select * from at_end where not gone
  qualify row_number() over (
    partition by to_day, person order by ended, archive_date desc, institution_code, archive_no
  ) = 1
),

archives as (
  select
    a.to_day, a.institution_code,
    count(distinct a.archive_no) filter (not (a.changed and coalesce(a.archive_status = '9', false))) as total,
    count(distinct a.archive_no) filter (a.archive_date >= a.from_day) as opened,
    count(distinct a.archive_no) filter (a.ended and a.archive_status <> '9' and a.archive_status_date >= a.from_day)
      as closed
  from at_end as a
  group by all
),

services as (
  select distinct
    s.form_id, s.archive_no, s._service_date as day, v.record_key is not null as is_severe
  from {{ ref('judged_record') }} as s
  left join {{ ref('severe_record') }} as v
    on v.form_id = s.form_id and v.institution_code = s._institution_code and v.record_key = s._record_key
  where s.archive_no is not null and s.form_id in {{ sql_list(person_forms + ['']) }}
),

-- ehr_dynamic: archives with any service in the twelve months before the span's end
served as (
  select distinct e.to_day, s.archive_no
  from services as s join periods as e on s.day > e.to_day - interval 1 year and s.day <= e.to_day
),

dynamic as (
  select a.to_day, a.institution_code, count(distinct a.archive_no) as archives
  from at_end as a semi join served as s on s.to_day = a.to_day and s.archive_no = a.archive_no
  where not (a.changed and coalesce(a.archive_status = '9', false))
  group by all
),

-- 重点人群: the services each needs within the span's year so far
group_forms (need, form_id) as (
  values (null::varchar, null::varchar)
  {% for form in p.elder_forms or [] %}, ('elder', '{{ form }}'){% endfor %}
  {% for form in p.child_forms or [] %}, ('child', '{{ form }}'){% endfor %}
  {% for pair in p.disease_forms or [] %}, ({{ sql_text(pair.split(':')[0]) }}, {{ sql_text(pair.split(':')[1]) }}){% endfor %}
),

needs as (
  select to_day, archive_no, 'elder' as need from people
  where year(to_day) - year(birth_date) >= {{ p.elder_age or 999 }}
  union all
  select to_day, archive_no, 'child' from people
  where {{ whole_years('birth_date', 'to_day') }} < {{ p.child_age or 0 }}
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
),

standard as (
  select
    p.to_day, p.institution_code, count(*) as people, count(*) filter (p.is_basic) as s1,
    count(*) filter (p.is_basic and not coalesce(u.is_missing, false)) as s2,
    count(*) filter (p.is_basic and not coalesce(u.is_missing, false) and not coalesce(u.is_severe, false)) as s3
  from people as p left join unmet as u on u.to_day = p.to_day and u.archive_no = p.archive_no
  group by all
),

delivered as (
  select distinct institution_code from {{ ref('delivery') }} where form_id = 'resident_profile'
),

counted as (
  select
    d.institution_code, e.from_day, e.to_day,
    coalesce(s.people, 0) as ehr_archive, coalesce(s.people, 0) as ehr_electronic, coalesce(a.total, 0) as ehr_total,
    coalesce(a.opened, 0) as ehr_new, coalesce(a.closed, 0) as ehr_closed, coalesce(y.archives, 0) as ehr_dynamic,
    coalesce(s.s1, 0) as ehr_standard_s1, coalesce(s.s2, 0) as ehr_standard_s2, coalesce(s.s3, 0) as ehr_standard_s3,
    coalesce(s.{{ (p.tier or 'S2') | lower }}, 0) as ehr_standard
  from delivered as d cross join periods as e
  left join standard as s using (institution_code, to_day)
  left join archives as a using (institution_code, to_day)
  left join dynamic as y using (institution_code, to_day)
)

select 'r_archive' as report_id, item, from_day, to_day, institution_code, recomputed::double as recomputed
from (unpivot counted on ehr_archive, ehr_electronic, ehr_total, ehr_new, ehr_closed, ehr_dynamic,
  ehr_standard, ehr_standard_s1, ehr_standard_s2, ehr_standard_s3
  into name item value recomputed)
