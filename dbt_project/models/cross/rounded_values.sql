-- 多为整数 (DM-L-014): a measurement that is a whole number, of a doctor who has whole numbers nearly always and enough
-- of them to tell. One finding a record.
{% set rules = rules_on('rounded_values') %}

{{ no_findings() }}

{% for rule in rules %}
{% set value = rule.params.value %}
{{ finding(rule, observed="round(100.0 * whole / measured)::integer || '%'",
  expected="'≤' || round(100 * " ~ rule.params.max_share ~ ")::integer || '%'") }}
from (
  select
    *, count({{ value }}) over doctor as measured, count_if({{ value }} = round({{ value }})) over doctor as whole,
    case
      when doctor_name is not null and count({{ value }}) over doctor >= {{ rule.params.min_records }}
      then {{ value }} = round({{ value }})
        and round(1.0 * count_if({{ value }} = round({{ value }})) over doctor / count({{ value }}) over doctor, 6)
          > {{ rule.params.max_share }}
    end as violated
  from {{ ref('judged_' ~ rule.form_id) }}
  where {{ in_force(rule) }}
  window doctor as (partition by _institution_code, doctor_name)
)
{% endfor %}
