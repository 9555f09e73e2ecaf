-- 久无新数据 (COM-T-004): the latest entry of an institution, on any form, lies too long before today.
{% set rules = rules_on('upload_stale') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding_of(rule, 'institution_code', observed='entered_on::varchar',
  expected="'≥' || (today - " ~ rule.params.max_days ~ ')::varchar') }}
from (
  select e.*, n.today, e.entered_on < n.today - {{ rule.params.max_days }} as violated
  from (
    select _institution_code as institution_code, max(created_at::date) filter (created_at::date <= {{ today() }}) as entered_on
    from {{ ref('judged_record') }} group by all
  ) as e cross join {{ ref('night') }} as n
)
{% endfor %}
