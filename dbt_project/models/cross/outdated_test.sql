-- 检查过期 (DM-T-006): the last date of a test that the visits tell is too long ago. Who never had one is not asked, nor
-- whose archive the last visit tells to be closed. One finding a person, at the institution of the last visit.
{% set rules = rules_on('outdated_test') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='tested_on::varchar', expected="'≥' || (today - " ~ rule.params.max_days ~ ')::varchar') }}
from (
  select
    v.*, n.today, max(case when v.{{ rule.params.test_date }} <= n.today then v.{{ rule.params.test_date }} end)
      over (partition by v.archive_no) as tested_on,
    case
      when coalesce(v.archive_status not in {{ sql_list(rule.params.closed_status) }}, true)
      then n.today - tested_on > {{ rule.params.max_days }}
    end as violated
  from {{ ref('judged_' ~ rule.form_id) }} as v cross join {{ ref('night') }} as n
  where v.archive_no is not null and v._service_date <= n.today
  {{ first_of('v.archive_no', 'v._service_date desc, v.created_at desc nulls last, v._record_key desc') }}
)
{% endfor %}
