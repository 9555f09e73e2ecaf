-- 孤儿记录 (XFM-X-005): a service record whose archive number has no judged record on the form that is the home of
-- archives (the form the rule reads) at any institution. What is no archive number is the business of COM-F-001.
{% set rules = rules_on('orphan_records') %}

{{ no_findings() }}

{% for one in over_forms(rules) %}{% set rule = one.rule %}
{{ finding(rule, form='form_id') }}
from (
  select j.*, case when regexp_full_match(j.archive_no, '[0-9]{17}') then p.archive_no is null end as violated
  from {{ ref('judged_record') }} as j
  left join (
    select distinct archive_no from {{ ref('judged_record') }} where form_id in {{ sql_list(rule.reads) }}
  ) as p on p.archive_no = j.archive_no
  where j.form_id in {{ sql_list(one.forms) }} and {{ in_force(rule, 'j._service_date') }}
)
{% endfor %}
