-- 家庭 (RES-L-016 not exactly one head, RES-L-017 too many members): the households of an institution, by their archives.
-- Where nobody's relation to the head is told, nothing is said of heads.
{% set rules = rules_on('households') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
union all by name
select
  {{ of_rule(rule) }}, institution_code, case when violated then household_id end as subject_id,
  null::varchar as record_id, null::varchar as archive_no, null::varchar as doctor_name, null::date as service_date,
  case when violated then counted::varchar end as observed,
  case when violated then {{ sql_text(rule.params.expected) }} end as expected, violated
from (
  select
    _institution_code as institution_code, household_id,
    {% if rule.params.head %}
    count(distinct archive_no) filter (household_relation = {{ sql_text(rule.params.head) }}) as counted,
    case when count(household_relation) > 0 then counted <> 1 end as violated
    {% else %}
    count(distinct archive_no) as counted, counted > {{ rule.params.max_members }} as violated
    {% endif %}
  from {{ ref('judged_' ~ rule.form_id) }}
  where household_id is not null and archive_no is not null
  group by all
)
{% endfor %}
