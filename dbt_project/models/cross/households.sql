-- 家庭 (RES-L-016 not exactly one head, RES-L-017 too many members): the households of an institution, by their archives.
-- Where nobody's relation to the head is told, nothing is said of heads.
{% set rules = rules_on('households') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding_of(rule, 'case when violated then household_id end', observed='counted::varchar',
  expected=sql_text(rule.params.expected)) }}
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
