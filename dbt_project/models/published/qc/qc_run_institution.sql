{{ config(alias='run_institution') }}
select r.run_id, n.plan_id, n.snapshot_date, r.institution_code, i.institution_name, r.judged, r.reason, r.forms, r.records
from {{ input('run_institution') }} as r
join {{ ref('qc_run') }} as n using (run_id)
left join {{ ref('institution') }} as i using (institution_code)
