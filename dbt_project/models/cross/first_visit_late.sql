-- 首次访视逾期 (NBV-T-001): the first home visit of a newborn came too many days after birth, or after the discharge that
-- the mother's record of delivery tells. One finding a child.
{% set rules = rules_on('first_visit_late') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='_service_date::varchar', expected="'≤' || latest::varchar") }}
from (
  select
    v.*, least(
      v.birth_date + {{ rule.params.max_days_after_birth }},
      d.discharged_on + {{ rule.params.max_days_after_discharge }}
    ) as latest,
    v._service_date > latest as violated
  from {{ ref('judged_' ~ rule.form_id) }} as v
  left join (
    select child_archive_no, max(discharge_date) as discharged_on
    from {{ ref('judged_' ~ other_forms(rule) | first) }} where child_archive_no is not null group by child_archive_no
  ) as d on d.child_archive_no = v.archive_no
  where v.archive_no is not null and v._service_date is not null and {{ in_force(rule, 'v._service_date') }}
  {{ first_of('v.archive_no', 'v._service_date, v._record_key') }}
)
{% endfor %}
