-- 表间身份不一致 (XFM-X-001 sex, 002 birth date, 003 name): does an item of a person differ between two forms? Compared
-- over all forms that have it and all institutions; reported on the profile.
{% set rules = rules_on('cross_form_identity') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='spellings::varchar', expected=sql_text('1')) }}
from (
  with told as (
    select distinct archive_no, form_id,
      {% if rule.params.normalize_name %}{{ normal_name(rule.params.item) }}{% else %}{{ rule.params.item }}{% endif %} as value
    from {{ ref('judged_record') }}
    where archive_no is not null and {{ rule.params.item }} is not null
      and form_id in {{ sql_list([rule.form_id] + other_forms(rule)) }}
  ),
  -- where two forms have a value and there is more than one value, some two forms differ
  differing as (
    select archive_no, count(distinct value) as spellings, count(distinct form_id) as forms from told group by archive_no
  )
  select
    p._institution_code, p.archive_no, p.record_id, p.doctor_name, p._service_date, d.spellings,
    case when d.forms > 1 then d.spellings > 1 end as violated
  from {{ ref('judged_record') }} as p
  left join differing as d on d.archive_no = p.archive_no
  where p.form_id = '{{ rule.form_id }}' and p.archive_no is not null and {{ in_force(rule, 'p._service_date') }}
  {{ first_of('p._institution_code, p.archive_no', 'p._record_key') }}
)
{% endfor %}
