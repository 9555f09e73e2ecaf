-- 内容重复 (COM-U-003): records of one person and day that are alike in everything but number, dates of entry and
-- signatures. Keys first: only records that share person and day are read whole and compared, column by column.
{% set rules = rules_on('duplicate_content') %}

{{ no_findings() }}

{% for rule in rules if rule.form_id in delivered_forms() %}
{% set business = catalogue_forms()[rule.form_id].business %}
{{ finding(rule, observed='size::varchar', expected=sql_text('1')) }}
from (
  with candidates as (
    select archive_no, _service_date from {{ ref('judged_record') }}
    where form_id = '{{ rule.form_id }}' and archive_no is not null and _service_date is not null
    group by all having count(*) > 1
  ),
  alike as (
    -- as delivered: what could not be read still tells two records apart
    select j._institution_code, j._record_key, count(*) over (
      partition by j.archive_no, j._service_date
        {%- for column in business %}, s.{{ column }}, s.{{ column }}__raw{% endfor %}
    ) as size
    from (
      select * from {{ ref('judged_record') }} as r
      semi join candidates as c on c.archive_no = r.archive_no and c._service_date = r._service_date
      where r.form_id = '{{ rule.form_id }}'
    ) as j
    join {{ ref('stg_' ~ rule.form_id) }} as s on s._file_id = j._file_id and s._row_number = j._row_number
  )
  select
    j.*, g.size,
    case when j.archive_no is not null and j._service_date is not null then g.size is not null end as violated
  from {{ ref('judged_record') }} as j
  left join (select * from alike where size > 1) as g
    on g._institution_code = j._institution_code and g._record_key = j._record_key
  where j.form_id = '{{ rule.form_id }}' and {{ in_force(rule, 'j._service_date') }}
)
{% endfor %}
