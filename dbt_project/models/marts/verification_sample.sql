-- 抽样核查名单: services of the period to be verified by telephone or at home, a stratified sample of each institution by
-- its doctors' risk. The same seed, data and plan (rules/verification.yaml) give the same people; a stratum that is too
-- small is filled up from the riskiest down. Numbers of archives and records alone.
with plan as (select * from {{ input('sampling') }}),
services as (
  select
    r._institution_code as institution_code, r.form_id, r.record_id, r.archive_no, r.doctor_name,
    r._service_date as service_date, coalesce(k.level, '无') as level, k.evidence,
    md5(concat_ws('|', (select any_value(seed) from plan), r._institution_code, r.archive_no, r.form_id, r._record_key)) as draw
  from {{ ref('judged_record') }} as r
  left join {{ ref('risk') }} as k
    on k.institution_code = r._institution_code and k.subject_kind = 'doctor' and k.subject_id = r.doctor_name
  where r.archive_no is not null and r.record_id is not null and r.form_id <> 'resident_profile'
    and r._service_date between {{ period_start() }} and {{ period_until_today() }}
),
people as (
  select s.*, p.rank, p.share, p.size, p.home_every
  from services as s join plan as p on p.level = s.level
  qualify row_number() over (partition by s.institution_code, s.archive_no order by p.rank, s.draw) = 1
),
placed as (
  select *, row_number() over (partition by institution_code, level order by draw) as place from people
),
chosen as (
  -- first every stratum's own share, then the others by risk, until the sample is full
  select * from placed
  qualify row_number() over (
    partition by institution_code order by (place <= ceil(round(share * size, 6))) desc, rank, place
  ) <= size
)
select
  c.institution_code, row_number() over (partition by c.institution_code order by c.rank, c.draw) as line,
  c.level, c.doctor_name, c.form_id, c.record_id, c.archive_no, c.service_date,
  case when not coalesce(a.has_phone, false)
    or row_number() over (partition by c.institution_code order by c.rank, c.draw) % c.home_every = 0
    then '入户' else '电话' end as method,
  c.evidence as reason
from chosen as c
left join {{ input('archive') }} as a on a.institution_code = c.institution_code and a.archive_no = c.archive_no
