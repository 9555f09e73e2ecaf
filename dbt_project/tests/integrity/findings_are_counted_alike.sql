-- The newest night's violations, counted in the results and in the findings, are the same.
with counted as (
  select institution_code, form_id, rule_id, field, violated
  from {{ input('result') }}
  where judged and violated > 0 and snapshot_date = (select max(snapshot_date) from {{ ref('qc_run') }})
),
found as (
  select institution_code, form_id, rule_id, field, count(*) as findings
  from {{ ref('qc_finding_current') }}
  where last_seen = (select max(snapshot_date) from {{ ref('qc_run') }})
  group by all
)
select * from counted full join found using (institution_code, form_id, rule_id, field)
where violated is distinct from findings
