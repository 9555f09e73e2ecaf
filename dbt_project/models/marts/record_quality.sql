-- Judged records and what is open on them, the ground of every pass rate: one row an institution, form, doctor, month.
-- By the scheme that judged; what is waived does not count, nor does what the scheme leaves unscored (0a.17).
with records as (
  select
    institution_code, form_id, doctor_name, coalesce(strftime(service_date, '%Y-%m'), '') as month, count(*) as records,
    count(*) filter (findings > 0) as records_with_findings, count(*) filter (not passed) as records_failed,
    sum(score) as score_sum
  from {{ ref('record_score') }}
  where scheme_id = (select scheme_id from {{ input('scheme') }} where judging)
  group by all
)

select
  institution_code, form_id, doctor_name, month, records::bigint as records,
  records_with_findings::bigint as records_with_findings, records_failed::bigint as records_failed,
  round(100.0 * (records - records_failed) / nullif(records, 0), 2)::double as pass_rate,
  score_sum::double as score_sum
from records
