-- 记录重复: is one record number used twice (COM-U-001), is there a second record of one person and day (COM-U-002)?
-- 0a.9: only current rows are judged; that a number was used twice is itself one finding on the current row.
-- 0a.10: every record of a group is reported; groups reach across institutions.
{% set rules = rules_on('duplicate_records') %}

{{ no_findings() }}

{% for one in over_forms(rules | selectattr('params.by', 'equalto', 'record_id') | list) %}
{{ finding(one.rule, observed='_copies::varchar', expected=sql_text('1'), form='form_id') }}
from (
  select *, case when record_id is not null then _copies > 1 end as violated
  from {{ ref('judged_record') }}
  where form_id in {{ sql_list(one.forms) }} and {{ in_force(one.rule) }}
)
{% endfor %}

{% for one in over_forms(rules | selectattr('params.by', 'equalto', 'service') | list) %}
{{ finding(one.rule, observed='size::varchar', expected=sql_text('1'), form='form_id') }}
from (
  select
    j.*, g.size,
    case when j.archive_no is not null and j._service_date is not null and j._stage is not null
      then g.size is not null end as violated
  from {{ ref('judged_record') }} as j
  left join (
    select form_id, archive_no, _service_date, _stage, count(*) as size
    from {{ ref('judged_record') }}
    where archive_no is not null and _service_date is not null
    group by all having count(*) > 1
  ) as g
    on g.form_id = j.form_id and g.archive_no = j.archive_no and g._service_date = j._service_date
      and g._stage = j._stage
  where j.form_id in {{ sql_list(one.forms) }} and {{ in_force(one.rule, 'j._service_date') }}
)
{% endfor %}
