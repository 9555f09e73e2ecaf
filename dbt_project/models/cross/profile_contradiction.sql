-- 与档案矛盾: people with records on a form whom their profile says cannot or would not have them — men with records of a
-- pregnancy (XFM-X-015), mothers archived as unmarried (XFM-X-016). One finding a person, on the last such record.
{% set rules = rules_on('profile_contradiction') %}

{{ no_findings() }}

{% for rule in rules %}
{% set profile = other_forms(rule) | first %}
{{ finding(rule, observed='told') }}
from (
  with profiles as (
    select archive_no, max({{ rule.params.column }}) filter ({{ rule.params.column }} in {{ sql_list(rule.params.codes) }}) as bad,
      max({{ rule.params.column }}) as told
    from {{ ref('judged_' ~ profile) }} where archive_no is not null group by all
  )
  select r.*, coalesce(p.bad, p.told) as told, case when p.told is not null then p.bad is not null end as violated
  from {{ ref('judged_' ~ rule.form_id) }} as r
  left join profiles as p on p.archive_no = r.archive_no
  where r.archive_no is not null
  {{ first_of('r.archive_no', 'r._service_date desc nulls last, r._record_key desc') }}
)
{% endfor %}
