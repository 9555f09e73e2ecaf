-- 两项服务不相配 (ELD-T-004 too far apart, XFM-X-022 not in one year): a record against the person's records of another
-- service that belongs to it. Without any of the other there is nothing to compare.
{% set rules = rules_on('nearest_service') %}

{{ no_findings() }}

{% for rule in rules %}
{% set in_days = rule.params.max_days is defined %}
{{ finding(rule, observed='days::varchar' if in_days else 'nearest::varchar',
  expected=sql_text('≤' ~ rule.params.max_days) if in_days else 'year(_service_date)::varchar') }}
from (
  with nearest as (
    select
      r._institution_code, r._record_key, min(abs(o._service_date - r._service_date)) as days,
      bool_or(year(o._service_date) = year(r._service_date)) as same_year,
      arg_min(o._service_date, (abs(o._service_date - r._service_date), o._service_date)) as nearest
    from {{ ref('judged_' ~ rule.form_id) }} as r
    join {{ ref('judged_' ~ (other_forms(rule) | first)) }} as o on o.archive_no = r.archive_no
    where o._service_date is not null and r._service_date is not null
    group by all
  )
  select r.*, n.days, n.nearest,
    {% if in_days %}
    -- a service of another year long away belongs to another examination
    case when n.same_year or n.days <= {{ rule.params.max_days }} then n.days > {{ rule.params.max_days }} end as violated
    {% else %}
    not n.same_year as violated
    {% endif %}
  from {{ ref('judged_' ~ rule.form_id) }} as r
  left join nearest as n on n._institution_code = r._institution_code and n._record_key = r._record_key
  where {{ in_force(rule, 'r._service_date') }}
)
{% endfor %}
