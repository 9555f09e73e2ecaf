-- What was answered on the sampling sheet (registry/verification.csv), and whether it was asked by the present list.
select
  v.institution_code, v.form_id, v.record_id, v.archive_no, v.doctor_name, v.method, v.verified_on, v.outcome,
  v.sbp, v.dbp, v.conclusion, s.line is not null as in_sample
from {{ input('verification') }} as v
left join {{ ref('verification_sample') }} as s
  on s.institution_code = v.institution_code and s.archive_no = v.archive_no and s.record_id = v.record_id
    and s.form_id = v.form_id
