-- 住院期间的随访 (HTN-L-021): a visit at the surgery or at home on a day that some examination tells to have been
-- spent in hospital, the days of coming and going included.
{% set rules = rules_on('visit_in_hospital') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='_service_date::varchar', expected="came || '～' || went || ' 以外'") }}
from (
  with stays as (
    select archive_no, {{ rule.params.came }} as came, {{ rule.params.went }} as went
    from {{ ref('judged_health_exam') }}
    where archive_no is not null and {{ rule.params.came }} <= {{ rule.params.went }}
  )
  select
    v.*, s.came, s.went,
    case when v.visit_mode_code in {{ sql_list(rule.params.face_to_face) }} then s.came is not null end as violated
  from {{ ref('judged_' ~ rule.form_id) }} as v
  left join stays as s on s.archive_no = v.archive_no and v._service_date between s.came and s.went
  where {{ in_force(rule, 'v._service_date') }}
  {{ first_of('v._institution_code, v._record_key', 's.came, s.went') }}
)
{% endfor %}
