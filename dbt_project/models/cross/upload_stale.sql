-- 久无新数据 (COM-T-004): the latest entry of an institution, on any form, lies too long before today.
{% set rules = rules_on('upload_stale') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
union all by name
select
  {{ of_rule(rule) }}, institution_code, institution_code as subject_id, null::varchar as record_id,
  null::varchar as archive_no, null::varchar as doctor_name, null::date as service_date,
  case when violated then entered_on::varchar end as observed,
  case when violated then '≥' || (today - {{ rule.params.max_days }})::varchar end as expected, violated
from (
  select e.*, n.today, e.entered_on < n.today - {{ rule.params.max_days }} as violated
  from (
    select _institution_code as institution_code, max(created_at::date) filter (created_at::date <= (select today from {{ ref('night') }})) as entered_on
    from {{ ref('judged_record') }} group by all
  ) as e cross join {{ ref('night') }} as n
)
{% endfor %}
