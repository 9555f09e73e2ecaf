-- 差异分解: the archives and records that may explain why a report and the records differ, with the cause. A report tells
-- totals only, so these are candidates: too many reported, who does not count and might have been counted; too few, who
-- counts and might have been left out. What they cannot account for even all together is told as such, without a name.
{{ config(alias='difference', materialized='table') }}

with explained as (
  select institution_code, report_id, year, period, item, archive_no, record_id, cause, detail, 1::double as amount
  from {{ ref('differing_person') }}
  {% if 'recount_archive' in recount_models() and 'resident_profile' in catalogue_forms() %}
  union all by name
  select institution_code, report_id, year, period, item, archive_no, record_id, cause, detail, 1::double as amount
  from {{ ref('differing_archive') }}
  {% endif %}
  union all by name select * from {{ ref('differing_record') }}
),

-- an archive accounts for one, whatever may be the cause
accounted as (
  select institution_code, report_id, year, period, item, sum(amount) as amount
  from (
    select institution_code, report_id, year, period, item, coalesce(archive_no, record_id) as who, max(amount) as amount
    from explained group by all
  )
  group by all
)

select distinct
  e.institution_code, e.report_id, e.year, e.period, e.item, case when d.is_over then '多报' else '少报' end as direction,
  e.archive_no, e.record_id, e.cause, e.detail, e.amount
from explained as e
join {{ ref('differing_item') }} as d using (institution_code, report_id, year, period, item)
union all by name
select
  d.institution_code, d.report_id, d.year, d.period, d.item, case when d.is_over then '多报' else '少报' end as direction,
  null::varchar as archive_no, null::varchar as record_id, '未能说明' as cause,
  '差 ' || {{ figure('d.differs') }} || '，档案和记录最多能说明 ' || {{ figure('coalesce(a.amount, 0)') }}
    || case when d.is_over then '，其余没有档案或记录作依据' else '，其余查不出少报了谁' end as detail,
  d.differs - coalesce(a.amount, 0) as amount
from {{ ref('differing_item') }} as d
left join accounted as a using (institution_code, report_id, year, period, item)
where d.differs > coalesce(a.amount, 0)
