-- Which archive of a group to keep, and why: active before ended, with a valid number, more services, archived earlier.
-- A group in which somebody's two valid numbers differ is for people to decide.
with members as (
  select group_id, institution_a as institution_code, archive_a as archive_no, probability, agreement_number
  from {{ input('duplicate_link') }} where group_id is not null
  union all
  select group_id, institution_b, archive_b, probability, agreement_number
  from {{ input('duplicate_link') }} where group_id is not null
),
archives as (
  select group_id, institution_code, archive_no, max(probability) as probability from members group by all
),
services as (
  select _institution_code as institution_code, archive_no, count(*) as services, max(_service_date) as last_service
  from {{ ref('judged_record') }}
  where archive_no is not null and form_id <> 'resident_profile'
  group by all
),
ranked as (
  select
    a.*, f.archive_status, f.archive_date, coalesce(f.has_valid_number, false) as has_valid_number,
    coalesce(s.services, 0) as services, s.last_service,
    m.group_id is not null as disputed,
    count(*) over (partition by a.group_id) as archives,
    row_number() over (
      partition by a.group_id
      order by (f.archive_status = '1') desc nulls last, f.has_valid_number desc nulls last, coalesce(s.services, 0) desc,
        f.archive_date nulls last, a.institution_code, a.archive_no
    ) as place
  from archives as a
  left join (select distinct group_id from members where agreement_number = 2) as m on m.group_id = a.group_id
  left join {{ input('archive') }} as f on f.institution_code = a.institution_code and f.archive_no = a.archive_no
  left join services as s on s.institution_code = a.institution_code and s.archive_no = a.archive_no
)
select
  group_id, institution_code, archive_no, archives, probability,
  case when disputed then '人工核对' when place = 1 then '保留' else '并入' end as action,
  case when not disputed then first_value(archive_no) over one end as keep_archive_no,
  case when not disputed then first_value(institution_code) over one end as keep_institution_code,
  concat_ws('；',
    case when disputed then '组内有两个有效而不同的身份证号，不能自动判定' end,
    case when archive_status = '1' then '档案活动' when archive_status is not null then '档案已终止' end,
    case when has_valid_number then '身份证号有效' else '无有效身份证号' end,
    '服务记录 ' || services || ' 条', '建档 ' || archive_date) as reason,
  archive_status, has_valid_number, services, last_service, archive_date
from ranked
window one as (partition by group_id order by place)
