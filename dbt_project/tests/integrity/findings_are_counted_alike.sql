-- The newest date's violations, counted in the results and in the findings, are the same. Where several plans judged the
-- date, what two of them found is one finding: not fewer than either's, not more than all together.
with counted as (
  select institution_code, form_id, rule_id, field, max(violated) as least, sum(violated) as most
  from {{ input('result') }}
  where judged and violated > 0 and snapshot_date = (select max(snapshot_date) from {{ ref('qc_run') }})
  group by all
),
found as (
  select institution_code, form_id, rule_id, field, count(*) as findings
  from {{ ref('qc_finding_current') }}
  where last_seen = (select max(snapshot_date) from {{ ref('qc_run') }})
  group by all
)
select * from counted full join found using (institution_code, form_id, rule_id, field)
where findings is null or least is null or findings not between least and most
