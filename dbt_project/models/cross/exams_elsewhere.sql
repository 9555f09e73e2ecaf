-- 跨机构重复体检 (UNI-U-010): profiles whose identity number was examined at more than one institution in the period.
{% set rules = rules_on('exams_elsewhere') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='institutions::varchar', expected=sql_text('1')) }}
from (
  with examined as (
    select upper(id_card_no) as number, count(distinct _institution_code) as institutions
    from {{ ref('judged_' ~ (other_forms(rule) | first)) }}
    where _id_ok and {{ in_period() }}
    group by all
  )
  select p.*, e.institutions, e.institutions > {{ rule.params.max_institutions }} as violated
  from {{ ref('judged_' ~ rule.form_id) }} as p
  left join examined as e on p._id_ok and e.number = upper(p.id_card_no)
  where p.archive_no is not null
  {{ worst_of('p._institution_code, p.archive_no', 'p._record_key') }}
)
{% endfor %}
