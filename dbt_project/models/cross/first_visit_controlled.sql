-- 新确诊即控制满意 (HTN-L-023): a person's first visit, soon after the registered diagnosis, already judged controlled.
{% set rules = rules_on('first_visit_controlled') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='(_service_date - diagnosed_on)::varchar',
  expected=sql_text('≥' ~ rule.params.within_days)) }}
from (
  with diagnosed as (
    select archive_no, min(diagnosis_date) as diagnosed_on
    from {{ ref('judged_chronic_registry') }}
    where disease = {{ sql_text(rule.params.disease) }} and archive_no is not null
    group by archive_no
  ),
  visits as (
    select
      *, archive_no is not null and _service_date is not null and row_number() over (
        partition by archive_no order by _service_date, created_at desc nulls last, _record_key desc
      ) = 1 as is_first
    from {{ ref('judged_' ~ rule.form_id) }}
  )
  select
    v.*, d.diagnosed_on,
    case
      when v.is_first
      then v._service_date - d.diagnosed_on < {{ rule.params.within_days }}
        and v.class_code in {{ sql_list(rule.params.controlled) }}
    end as violated
  from visits as v
  left join diagnosed as d on d.archive_no = v.archive_no
  where {{ in_force(rule, 'v._service_date') }}
)
{% endfor %}
