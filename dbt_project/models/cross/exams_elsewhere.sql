-- 跨机构重复体检 (UNI-U-010): profiles whose identity number was examined at more than one institution in the period.
{% set rules = rules_on('exams_elsewhere') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
union all by name
select
  {{ of_rule(rule) }}, _institution_code as institution_code, {{ of_record('violated', 'archive_no') }},
  case when violated then institutions::varchar end as observed, case when violated then '1' end as expected, violated
from (
  with examined as (
    select upper(id_card_no) as number, count(distinct _institution_code) as institutions
    from {{ ref('judged_' ~ (other_forms(rule) | first)) }}
    where _id_ok and _service_date between {{ period_start() }} and {{ period_until_today() }}
    group by all
  )
  select p.*, e.institutions, e.institutions > {{ rule.params.max_institutions }} as violated
  from {{ ref('judged_' ~ rule.form_id) }} as p
  left join examined as e on p._id_ok and e.number = upper(p.id_card_no)
  where p.archive_no is not null
  qualify row_number() over (
    partition by p._institution_code, p.archive_no order by coalesce(violated, false) desc, violated is null, p._record_key
  ) = 1
)
{% endfor %}
