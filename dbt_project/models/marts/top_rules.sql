-- The rules with most open findings, ranked within each institution.
select
  institution_code, institution_name,
  row_number() over (partition by institution_code order by findings desc, violation_rate desc, rule_id, form_id) as rank,
  rule_id, rule_title, form_id, form_title, dimension, severity, findings, problems, violation_rate
from {{ ref('rule_quality') }}
where findings > 0
