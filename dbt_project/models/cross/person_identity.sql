-- 一人一档: how many of one thing hang on another among the profiles — archives on one identity number (UNI-U-001; in its
-- old and new form UNI-U-005), identity numbers on one archive (UNI-U-002), archives on one telephone (UNI-U-006, 007),
-- heads of one household (UNI-U-008), institutions that hold one archive as active (UNI-U-009)? Across institutions;
-- every archive of a group is reported, with the size of the group and nothing of the others (0a.10). Where `mixed` is
-- given, a group must also hold more than one value of it.
{% set rules = rules_on('person_identity') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='size::varchar', expected=sql_text(rule.params.max_count)) }}
from (
  with members as (
    select
      _institution_code, archive_no, record_id, doctor_name, _service_date, _record_key,
      case when {{ rule.params.where }} then {{ rule.params.by }} end as held_by,
      {{ rule.params.count }} as counted, {{ rule.params.mixed or 'null' }} as mixed
    from {{ ref('judged_' ~ rule.form_id) }}
    where archive_no is not null and {{ in_force(rule) }}
  ),
  sizes as (
    select held_by, count(distinct counted) as size, count(distinct mixed) as kinds
    from members where held_by is not null group by held_by
  )
  select
    m.*, s.size, s.size > {{ rule.params.max_count }}{% if rule.params.mixed %} and s.kinds > 1{% endif %} as violated
  from members as m left join sizes as s on s.held_by = m.held_by
  {{ worst_of('m._institution_code, m.archive_no', 's.size desc nulls last, m._record_key') }}
)
{% endfor %}
