-- Each judged record's score by every scheme: 100 less the points of what is open on it, never below 0 (rules.md 0).
-- What is waived does not count. Of records that were only taken in, nobody judged anything: they have no score.
with shown_run as (select run_id, sampled from {{ ref('qc_run') }} where is_leading order by snapshot_date desc limit 1),

judged_forms as (
  select distinct institution_code, form_id from {{ input('result') }}
  where run_id = (select run_id from shown_run) and status in ('pass', 'fail', 'not_applicable')
),

open_findings as (
  select institution_code, form_id, subject_id, rule_id, rule_version
  from {{ ref('qc_finding_current') }} where subject_kind = 'record' and state <> 'waived'
),

marked as (
  select s.scheme_id, f.institution_code, f.form_id, f.subject_id, count(*) as findings, sum(s.points) as points,
    bool_or(s.fails) as fails
  from open_findings as f
  join {{ ref('qc_scheme_rule') }} as s
    on s.rule_id = f.rule_id and s.form_id = f.form_id and s.rule_version = f.rule_version and s.scored
  group by all
)

select
  s.scheme_id, j._institution_code as institution_code, j.form_id, j._record_key as record_id,
  coalesce(j.doctor_name, '') as doctor_name, j._service_date as service_date, coalesce(m.findings, 0) as findings,
  100 - least(100, coalesce(m.points, 0))::double as score,
  not coalesce(m.fails, false) and 100 - least(100, coalesce(m.points, 0)) >= coalesce(s.record_line, 0) as passed
from {{ ref('judged_record') }} as j
cross join {{ input('scheme') }} as s
left join marked as m
  on m.scheme_id = s.scheme_id and m.institution_code = j._institution_code and m.form_id = j.form_id
    and m.subject_id = j._record_key
where (j._institution_code, j.form_id) in (select (institution_code, form_id) from judged_forms)
  and coalesce(j._service_date >= (select records_from from {{ ref('night') }}), true)
  and (
    not (select sampled from shown_run)
    or (j._institution_code, j.form_id, j._record_key) in (
      select (institution_code, form_id, subject_id) from {{ input('sampled_record') }}
    )
  )
