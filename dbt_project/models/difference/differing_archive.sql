-- Of 城乡居民健康档案's figures that differ: too many reported, the archives that do not count and why (or that were
-- opened or closed only just outside the span); too few, those that count and might have been left out.
{% set items = items_on('recount_archive') %}
{% set standard = items | selectattr('item', 'equalto', 'ehr_standard') | first %}
{% set tier = ((standard.params if standard else {}).tier or 'S2') | upper %}
{% set days = var('difference_days') %}
{{ config(enabled=items | length > 0 and 'resident_profile' in catalogue_forms()) }}
{% set status %}case a.archive_status when '2' then '迁出' when '3' then '死亡' when '4' then '失访' when '9' then '注销' end || '，状态变更日期 ' || a.archive_status_date{% endset %}

with differing as (
  select *, item in ('ehr_archive', 'ehr_electronic', 'ehr_standard') as is_of_people
  from {{ ref('differing_item') }}
  where report_id = 'r_archive' and item in ('' {% for item in items %}, '{{ item.item }}'{% endfor %})
),

judged as (
  select
    d.institution_code, d.report_id, d.year, d.period, d.item, d.is_over, d.is_of_people, d.from_day as since,
    d.to_day as until, a.*, a.changed and coalesce(a.archive_status = '9', false) as is_cancelled,
    a.is_basic {% if tier != 'S1' %}and not a.is_missing{% endif %}{% if tier == 'S3' %} and not a.is_severe{% endif %} as is_standard,
    count(*) over (
      partition by d.institution_code, d.report_id, d.year, d.period, d.item, a.person
    ) as own_archives
  from differing as d
  join {{ ref('archive_span') }} as a on a.to_day = d.to_day and a.institution_code = d.institution_code
),

counted as (
  select
    *,
    case item
      when 'ehr_standard' then is_chosen and is_standard
      when 'ehr_total' then not is_cancelled
      when 'ehr_new' then archive_date >= since
      when 'ehr_closed' then ended and not is_cancelled and archive_status_date >= since
      when 'ehr_dynamic' then is_served and not is_cancelled
      else is_chosen
    end as counts
  from judged
),

over as (
  select
    institution_code, report_id, year, period, item, archive_no, record_id,
    case
      when item = 'ehr_new' then case when archive_date >= since - {{ days }} then '跨期' end
      when item = 'ehr_closed' then case when is_cancelled and archive_status_date >= since then '状态口径'
        when ended and archive_status_date >= since - {{ days }} then '跨期' end
      when is_of_people and gone or not is_of_people and is_cancelled then '状态口径'
      when is_of_people and not is_chosen then '重复'
      else '不合口径'
    end as cause,
    case
      when item = 'ehr_new' then '建档日期 ' || archive_date || ' 在期前'
      when item = 'ehr_closed' or is_of_people and gone or not is_of_people and is_cancelled then {{ status }}
      when is_of_people and not is_chosen and own_archives > 1 then '同一人有 ' || own_archives || ' 份档案'
      when is_of_people and not is_chosen then '同一人已在另一家机构计入'
      when item = 'ehr_dynamic' then '近 12 个月没有服务记录'
      when not is_basic then '必填项不完整或身份证号不正确'
      when is_missing then '重点人群当年没有应有的服务'
      else '服务记录有严重问题'
    end as detail
  from counted as a
  where is_over and not counts
),

not_yet as (
  select
    d.institution_code, d.report_id, d.year, d.period, d.item, a.archive_no, a.record_id, '跨期' as cause,
    case when d.item = 'ehr_closed' then {{ status }} || ' 在期后' else '建档日期 ' || a.archive_date || ' 在期后' end as detail
  from differing as d
  join {{ ref('judged_resident_profile') }} as a on a._institution_code = d.institution_code
  where d.is_over and case when d.item <> 'ehr_closed' then a.archive_date when a.archive_status in ('2', '3', '4') then a.archive_status_date end
    between d.to_day + 1 and d.to_day + {{ days }}
),

drafts as (
  select
    d.institution_code, d.report_id, d.year, d.period, d.item, s.archive_no, s.record_id, '暂存/作废/退回' as cause,
    '记录状态：' || s.status as detail
  from differing as d
  join {{ ref('draft_record') }} as s
    on s.form_id = 'resident_profile' and s.institution_code = d.institution_code and s.day <= d.to_day
  where d.is_over and (d.item <> 'ehr_new' or s.day >= d.from_day) and d.item <> 'ehr_closed'
),

under as (
  select
    institution_code, report_id, year, period, item, archive_no, record_id,
    case when entered_on > until then '跨期' when ended and item <> 'ehr_closed' then '状态口径'
      when item = 'ehr_standard' and is_severe then '不合口径' end as cause,
    case
      when entered_on > until then '建档日期在期内，' || entered_on || ' 才录入'
      when ended then {{ status }} || '，仍应计入'
      else '服务记录有严重问题，按现行口径仍计入'
    end as detail
  from counted as a
  where not is_over and counts
)

select * from over where cause is not null
union all by name select * from not_yet
union all by name select * from drafts
union all by name select * from under where cause is not null
