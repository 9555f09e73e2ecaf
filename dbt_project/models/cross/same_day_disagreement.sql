-- 同日随访不一致 (HTN-X-007): two forms of one person and day that tell different measurements. One finding a person, on
-- the last such day, at the institution of the home form's record.
{% set rules = rules_on('same_day_disagreement') %}

{{ no_findings() }}

{% for rule in rules %}
{% set other = other_forms(rule) | first %}
{{ finding(rule, observed='here', expected='there') }}
from (
  select
    a._institution_code, a.archive_no, a.record_id, a._record_key, a.doctor_name, a._service_date,
    concat_ws('/', {% for c in rule.params.compare %}{{ plain_number('a.' ~ c) }}{{ ", " if not loop.last }}{% endfor %}) as here,
    concat_ws('/', {% for c in rule.params.compare %}{{ plain_number('b.' ~ c) }}{{ ", " if not loop.last }}{% endfor %}) as there,
    {% for c in rule.params.compare %}a.{{ c }} <> b.{{ c }}{{ " or " if not loop.last }}{% endfor %} as violated
  from {{ ref('judged_' ~ rule.form_id) }} as a
  join {{ ref('judged_' ~ other) }} as b on b.archive_no = a.archive_no and b._service_date = a._service_date
  where {{ in_force(rule, 'a._service_date') }}
  {{ worst_of('a.archive_no', 'a._service_date desc, a._record_key, b._record_key') }}
)
{% endfor %}
