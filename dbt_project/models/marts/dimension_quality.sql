-- What is open, by institution and dimension of quality.
select
  institution_code, any_value(institution_name) as institution_name, dimension,
  count(distinct rule_id) as rules, count(distinct rule_id) filter (violated > 0) as rules_violated,
  sum(applicable)::bigint as applicable, sum(violated)::bigint as violated,
  round(100.0 * sum(violated) / nullif(sum(applicable), 0), 2)::double as violation_rate,
  sum(findings)::bigint as findings, sum(problems)::bigint as problems
from {{ ref('rule_quality') }}
group by institution_code, dimension
