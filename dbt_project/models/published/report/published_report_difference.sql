-- 差异分解: the archives and records that may explain why a report and the records differ, with the cause. A report tells
-- totals only, so these are candidates. Too many reported: who does not count and might have been counted. Too few: who
-- counts and might have been left out.
{{ config(alias='difference', materialized='table') }}
{% set days = var('difference_days') %}
{% set service_forms = [] %}
{% for item in catalogue_items() if item.model and item.model != 'recount_archive' %}
{% for form_id in ([item.params.visit_form] if item.params.visit_form else item.reads.keys()) if form_id != 'chronic_registry' %}
{% do service_forms.append((item.report_id, item.item, form_id)) %}
{% endfor %}
{% endfor %}

with differing as (
  select
    r.institution_code, r.report_id, r.year, r.period, r.item, r.difference > 0 as is_over, c.from_day, c.to_day
  from {{ ref('published_report_reconciliation') }} as r
  join {{ ref('report_comparison') }} as c using (institution_code, report_id, year, period, item)
  where r.status = '差异'
),

watched (report_id, item, form_id) as (
  values (null::varchar, null::varchar, null::varchar)
  {% for report_id, item, form_id in service_forms %}, ('{{ report_id }}', '{{ item }}', '{{ form_id }}'){% endfor %}
),

not_counted as (
  select
    d.*, o.archive_no, null::varchar as record_id,
    case o.cause
      when '在管无随访' then '在管无随访'
      when '死亡未销或档案已终止' then '死亡未销'
      else '不合口径' end as cause,
    o.cause as detail
  from differing as d
  join {{ ref('recount_open') }} as o
    on o.report_id = d.report_id and o.item = d.item and o.to_day = d.to_day and o.institution_code = d.institution_code
  where d.is_over and o.cause <> '本年未体检'
),

duplicates as (
  select
    d.*, p.archive_no, null::varchar as record_id, '重复' as cause,
    case when f.institution_code <> p.institution_code then '同一人已在 ' || f.institution_code || ' 计入'
      else '同一人已按档案 ' || f.archive_no || ' 计入' end as detail
  from differing as d
  join {{ ref('recount_person') }} as p
    on p.report_id = d.report_id and p.item = d.item and p.to_day = d.to_day and p.institution_code = d.institution_code
    and p.rank > 1
  join {{ ref('recount_person') }} as f
    on f.report_id = p.report_id and f.item = p.item and f.to_day = p.to_day and f.person = p.person and f.rank = 1
  where d.is_over
),

drafts as (
  select d.*, s.archive_no, s.record_id, '暂存/作废/退回' as cause, '记录状态：' || s.status as detail
  from differing as d
  join watched as w on w.report_id = d.report_id and w.item = d.item
  join {{ ref('draft_record') }} as s
    on s.form_id = w.form_id and s.institution_code = d.institution_code and s.day between d.from_day and d.to_day
  where d.is_over
),

outside as (
  select
    d.*, s.archive_no, case when s.archive_no is null then s.record_id end as record_id, '跨期' as cause,
    '服务日期 ' || min(s._service_date)
      || case when bool_or(s._service_date > d.to_day) then ' 在期后' else ' 在期前' end as detail
  from differing as d
  join watched as w on w.report_id = d.report_id and w.item = d.item
  join {{ ref('judged_record') }} as s
    on s.form_id = w.form_id and s._institution_code = d.institution_code
    and (s._service_date > d.to_day and s._service_date <= d.to_day + {{ days }}
      or s._service_date < d.from_day and s._service_date >= d.from_day - {{ days }})
  where d.is_over and not exists (
    from {{ ref('recount_person') }} as p
    where p.report_id = d.report_id and p.item = d.item and p.to_day = d.to_day and p.archive_no = s.archive_no
  )
  group by all
),

late as (
  select
    d.*, p.archive_no, null::varchar as record_id, '跨期' as cause, '期内服务，' || p.entered_on || ' 才录入' as detail
  from differing as d
  join {{ ref('recount_person') }} as p
    on p.report_id = d.report_id and p.item = d.item and p.to_day = d.to_day and p.institution_code = d.institution_code
    and p.rank = 1 and p.entered_on > d.to_day
  where not d.is_over
),

late_records as (
  select
    d.*, s.archive_no, s.record_id, '跨期' as cause, '期内服务，' || s.created_at::date || ' 才录入' as detail
  from differing as d
  join watched as w on w.report_id = d.report_id and w.item = d.item
  join {{ ref('judged_record') }} as s
    on s.form_id = w.form_id and s._institution_code = d.institution_code and s._service_date between d.from_day and d.to_day
    and s.created_at::date > d.to_day
  where not d.is_over and d.item in (select item from {{ ref('report_item') }}
    where item in ('' {% for item in catalogue_items() if item.model == 'recount_event' %}, '{{ item.item }}'{% endfor %}))
),

{% if 'resident_profile' in catalogue_forms() %}
profiles as (
  select
    p._institution_code as institution_code, coalesce(p.archive_no, p._record_key) as archive_no, p.record_id, p.archive_date,
    p.archive_status, p.archive_status_date, p.created_at::date as entered_on,
    case when p._id_ok then upper(p.id_card_no) else coalesce(p.archive_no, p._record_key) end as person
  from {{ ref('judged_resident_profile') }} as p
),

archives as (
  select
    d.*, p.archive_no, p.record_id,
    case
      when p.archive_date > d.to_day then '跨期'
      when p.archive_status in ('2', '3', '4', '9') and p.archive_status_date <= d.to_day then '状态口径'
      when count(*) filter (p.archive_date <= d.to_day) over same > 1 then '重复'
    end as cause,
    case
      when p.archive_date > d.to_day then '建档日期 ' || p.archive_date || ' 在期后'
      when p.archive_status in ('2', '3', '4', '9') and p.archive_status_date <= d.to_day
        then case p.archive_status when '2' then '迁出' when '3' then '死亡' when '4' then '失访' else '注销' end
          || '，状态变更日期 ' || p.archive_status_date
      else '同一人有 ' || count(*) filter (p.archive_date <= d.to_day) over same || ' 份档案'
    end as detail
  from differing as d
  join profiles as p on p.institution_code = d.institution_code and p.archive_date <= d.to_day + {{ days }}
  where d.is_over and d.item in ('' {% for item in catalogue_items() if item.model == 'recount_archive' %}, '{{ item.item }}'{% endfor %})
  window same as (partition by d.institution_code, d.report_id, d.year, d.period, d.item, p.person)
),

archive_drafts as (
  select d.*, s.archive_no, s.record_id, '暂存/作废/退回' as cause, '记录状态：' || s.status as detail
  from differing as d
  join {{ ref('draft_record') }} as s
    on s.form_id = 'resident_profile' and s.institution_code = d.institution_code and s.day <= d.to_day
  where d.is_over and d.report_id = 'r_archive'
),

late_archives as (
  select
    d.*, p.archive_no, p.record_id, '跨期' as cause, '建档日期在期内，' || p.entered_on || ' 才录入' as detail
  from differing as d
  join profiles as p on p.institution_code = d.institution_code and p.archive_date <= d.to_day and p.entered_on > d.to_day
  where not d.is_over and d.report_id = 'r_archive'
),
{% endif %}

explained as (
  select * from not_counted
  union all by name select * from duplicates
  union all by name select * from drafts
  union all by name select * from outside
  union all by name select * from late
  union all by name select * from late_records
  {% if 'resident_profile' in catalogue_forms() %}
  union all by name select * from archives where cause is not null
  union all by name select * from archive_drafts
  union all by name select * from late_archives
  {% endif %}
)

select distinct
  institution_code, report_id, year, period, item, case when is_over then '多报' else '少报' end as direction,
  archive_no, record_id, cause, detail
from explained
