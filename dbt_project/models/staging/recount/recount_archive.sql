-- 城乡居民健康档案 counted in the archives (reports.md sections 2 and 4) for every institution and every span that one of
-- these reports speaks of. 规范化 (4.3) in all three tiers; the parameter `tier` says which of them is ehr_standard.
{% set standard = items_on('recount_archive') | selectattr('item', 'equalto', 'ehr_standard') | first %}
{% set p = standard.params if standard else {} %}
{{ config(enabled=items_on('recount_archive') | length > 0 and 'resident_profile' in catalogue_forms(), materialized='table') }}

with periods as (
  select distinct s.from_day, s.to_day
  from {{ ref('report_span') }} as s where s.report_id = 'r_archive' or s.report_id is null
),

archives as (
  select
    to_day, institution_code,
    count(*) filter (is_chosen) as people, count(*) filter (is_chosen and is_basic) as s1,
    count(*) filter (is_chosen and is_basic and not is_missing) as s2,
    count(*) filter (is_chosen and is_basic and not is_missing and not is_severe) as s3,
    count(distinct archive_no) filter (not (changed and coalesce(archive_status = '9', false))) as total,
    count(distinct archive_no) filter (archive_date >= from_day) as opened,
    count(distinct archive_no) filter (ended and archive_status <> '9' and archive_status_date >= from_day) as closed,
    count(distinct archive_no) filter (is_served and not (changed and coalesce(archive_status = '9', false))) as dynamic
  from {{ ref('archive_span') }}
  group by all
),

delivered as (
  select distinct institution_code from {{ ref('delivery') }} where form_id = 'resident_profile'
),

counted as (
  select
    d.institution_code, e.from_day, e.to_day,
    coalesce(a.people, 0) as ehr_archive, coalesce(a.people, 0) as ehr_electronic, coalesce(a.total, 0) as ehr_total,
    coalesce(a.opened, 0) as ehr_new, coalesce(a.closed, 0) as ehr_closed, coalesce(a.dynamic, 0) as ehr_dynamic,
    coalesce(a.s1, 0) as ehr_standard_s1, coalesce(a.s2, 0) as ehr_standard_s2, coalesce(a.s3, 0) as ehr_standard_s3,
    coalesce(a.{{ (p.tier or 'S2') | lower }}, 0) as ehr_standard
  from delivered as d cross join periods as e
  left join archives as a using (institution_code, to_day)
)

select 'r_archive' as report_id, item, from_day, to_day, institution_code, recomputed::double as recomputed
from (unpivot counted on ehr_archive, ehr_electronic, ehr_total, ehr_new, ehr_closed, ehr_dynamic,
  ehr_standard, ehr_standard_s1, ehr_standard_s2, ehr_standard_s3
  into name item value recomputed)
