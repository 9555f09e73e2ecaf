-- 城乡居民健康档案 recomputed from the profiles (reports.md sections 2 and 4) for every institution and period that one
-- of these reports speaks of. People are told apart by a right identity number, else by archive number; who has archives at two
-- institutions counts where they were managed at the period's end.
{{ config(enabled='resident_profile' in var('forms'), materialized='table') }}
{% set person_forms = [] %}
{% for form_id, form in var('forms').items() if form.person and form_id != 'resident_profile' %}
{% do person_forms.append(form_id) %}{% endfor %}

with periods as (
  select distinct
    year, period, make_date(year, 1, 1) as from_day,
    last_day(make_date(year, case
      when period like 'Q%' then 3 * substr(period, 2)::integer
      when period like 'M%' then substr(period, 2)::integer
      else 12 end, 1)) as to_day
  from {{ ref('reported_cell') }}
  where report_id = 'r_archive' and regexp_full_match(period, 'Y|Q[1-4]|M(0[1-9]|1[0-2])')
    and year between 1900 and 9998
),

profiles as (
  select
    _institution_code as institution_code, coalesce(archive_no, _record_key) as archive_no, archive_date,
    archive_status, archive_status_date,
    case when _id_ok then upper(id_card_no) else coalesce(archive_no, _record_key) end as person
  from {{ ref('judged_resident_profile') }}
),

at_end as (
  select
    e.year, e.period, e.from_day, e.to_day, p.*,
    coalesce(p.archive_status_date <= e.to_day, false) as changed,
    coalesce(p.archive_status in ('3', '9') and p.archive_status_date <= e.to_day, false) as gone,
    coalesce(p.archive_status in ('2', '3', '4', '9') and p.archive_status_date <= e.to_day, false) as ended
  from profiles as p cross join periods as e
  where p.archive_date <= e.to_day
),

-- ehr_archive, and where every archive is electronic ehr_electronic: people, each at one institution
people as (
  select year, period, institution_code, count(*) as people
  from (
    select year, period, person, institution_code
    from at_end where not gone
    qualify row_number() over (
      partition by year, period, person order by ended, archive_date desc, institution_code
    ) = 1
  )
  group by all
),

archives as (
  select
    a.year, a.period, a.institution_code,
    count(distinct a.archive_no) filter (not (a.changed and coalesce(a.archive_status = '9', false))) as total,
    count(distinct a.archive_no) filter (a.archive_date >= a.from_day) as opened,
    count(distinct a.archive_no) filter (a.ended and a.archive_status <> '9' and a.archive_status_date >= a.from_day)
      as closed
  from at_end as a
  group by all
),

-- ehr_dynamic: archives with any service in the twelve months before the period's end
served as (
  select e.year, e.period, s.archive_no
  from (
    select distinct archive_no, _service_date from {{ ref('judged_record') }}
    where archive_no is not null and form_id in {{ sql_list(person_forms + ['']) }}
  ) as s
  join periods as e on s._service_date > e.to_day - interval 1 year and s._service_date <= e.to_day
  group by all
),

dynamic as (
  select a.year, a.period, a.institution_code, count(distinct a.archive_no) as archives
  from at_end as a semi join served as s on s.year = a.year and s.period = a.period and s.archive_no = a.archive_no
  where not (a.changed and coalesce(a.archive_status = '9', false))
  group by all
),

delivered as (
  select distinct institution_code from {{ ref('delivery') }} where form_id = 'resident_profile'
),

counted as (
  select
    d.institution_code, e.year, e.period,
    coalesce(p.people, 0) as ehr_archive, coalesce(p.people, 0) as ehr_electronic, coalesce(a.total, 0) as ehr_total,
    coalesce(a.opened, 0) as ehr_new, coalesce(a.closed, 0) as ehr_closed, coalesce(y.archives, 0) as ehr_dynamic
  from delivered as d cross join periods as e
  left join people as p using (institution_code, year, period)
  left join archives as a using (institution_code, year, period)
  left join dynamic as y using (institution_code, year, period)
)

select 'r_archive' as report_id, institution_code, year, period, item, recomputed::double as recomputed
from (unpivot counted on ehr_archive, ehr_electronic, ehr_total, ehr_new, ehr_closed, ehr_dynamic
  into name item value recomputed)
