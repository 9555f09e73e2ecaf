-- 专项登记与专用表 (SMI-X-001: managed in the period without the form; SMI-T-005: the form filled in too long after the
-- diagnosis). The diagnosis is the earliest on the register, else the form's own.
{% set rules = rules_on('register_and_form') %}

{{ no_findings() }}

{% for rule in rules if rule.params.needs_form %}
{{ finding(rule, day='register_date') }}
from (
  select
    m.*, case when m.managed_days > 0 then f.archive_no is null end as violated
  from {{ ref('managed_days') }} as m
  left join (
    select distinct archive_no from {{ ref('judged_' ~ rule.params.needs_form) }} where archive_no is not null
  ) as f on f.archive_no = m.archive_no
  where m.disease = {{ sql_text(rule.params.disease) }}
)
{% endfor %}

{% for rule in rules if not rule.params.needs_form %}
{{ finding(rule, observed='_service_date::varchar', expected="'≤' || last_day::varchar") }}
from (
  with diagnosed as (
    select archive_no, min(diagnosis_date) as diagnosed_on
    from {{ ref('judged_chronic_registry') }}
    where disease = {{ sql_text(rule.params.disease) }} and archive_no is not null
    group by archive_no
  ),
  filled as (
    select *, row_number() over (partition by archive_no order by _service_date, _record_key) = 1 as is_first
    from {{ ref('judged_' ~ rule.form_id) }}
  )
  select
    f.*, coalesce(d.diagnosed_on, f.diagnosis_date) + {{ rule.params.within_days }} as last_day,
    case when f.is_first or f.archive_no is null then f._service_date > last_day end as violated
  from filled as f
  left join diagnosed as d on d.archive_no = f.archive_no
  where {{ in_force(rule, 'f._service_date') }}
)
{% endfor %}
