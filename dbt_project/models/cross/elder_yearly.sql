-- 老年人年度服务 (ELD-T-001 no examination, ELD-C-001 examination without self-care assessment): people who turn 65 in
-- the year of the period or before, and the services of the period they have or lack.
{% set rules = rules_on('elder_yearly') %}

{{ no_findings() }}

{% for rule in rules if not rule.params.has_form %}
-- due(1): only who was in the archive for the whole period, up to its last day, can have missed it (0a.12)
{{ finding(rule, observed='services::varchar', expected='due::varchar', day='archive_date') }}
from (
  with services as ({{ days_served([rule.params.needs_form], 'services') }}),
  elders as ({{ active_people(rule, 'year(n.period_end) - year(p.birth_date) >= ' ~ rule.params.elder_age) }})
  select
    e.*, coalesce(s.services, 0) as services, {{ due(1) }} as due,
    case when e.archive_date is not null then coalesce(s.services, 0) < {{ due(1) }} end as violated
  from elders as e left join services as s on s.archive_no = e.archive_no
)
{% endfor %}

{% for rule in rules if rule.params.has_form %}
{{ finding(rule) }}
from (
  select a.*, b.archive_no is null as violated
  from {{ ref('judged_' ~ rule.form_id) }} as a
  cross join {{ ref('night') }} as n
  left join (
    select distinct archive_no from {{ ref('judged_' ~ rule.params.needs_form) }}
    where {{ in_period() }}
  ) as b on b.archive_no = a.archive_no
  where a.archive_no is not null and {{ in_period('a._service_date') }}
    and year(n.period_end) - year(a.birth_date) >= {{ rule.params.elder_age }}
  {{ first_of('a.archive_no', 'a._service_date desc, a._record_key desc') }}
)
{% endfor %}
