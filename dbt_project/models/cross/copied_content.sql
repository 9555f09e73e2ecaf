-- 整条复制: a visit that says what the one before said (AUT-A-008), one content on many residents of a doctor (009), two
-- examinations of a person in one year alike (030). Records with hardly anything filled in say nothing.
{% set rules = rules_on('copied_content') %}

{{ no_findings() }}

{% for one in over_forms(rules) %}{% set rule = one.rule %}{% set p = rule.params %}
{% set forms = sql_list(one.forms) %}
{% if p.alike == 'last visit' %}
{{ finding(rule, observed="before::varchar || ' → ' || _service_date::varchar", form='form_id') }}
from (
  with told as (
    select j.form_id, j.archive_no, j._service_date, j._institution_code, j._record_key, j.record_id, j.doctor_name,
      c.content, c.filled
    from {{ ref('judged_record') }} as j
    join {{ ref('record_content') }} as c
      on c.form_id = j.form_id and c._institution_code = j._institution_code and c._record_key = j._record_key
    where j.form_id in {{ forms }} and {{ in_force(rule, 'j._service_date') }}
    {{ first_of('j.form_id, j.archive_no, j._service_date', 'j.created_at desc nulls last, j._record_key desc') }}
  )
  select *, lag(_service_date) over visits as before,
    case when lag(_service_date) over visits is not null
      then content = lag(content) over visits and filled >= {{ p.min_filled }} end as violated
  from told
  window visits as (partition by form_id, archive_no order by _service_date)
)
{% elif p.alike == 'other residents' %}
{{ finding_of(rule, 'doctor_name', observed="residents || ' 名居民的 ' || records || ' 条记录内容完全相同'",
  expected=sql_text('<' ~ p.min_residents), doctor='doctor_name', day='service_date', form='form_id') }}
from (
  with alike as (
    select
      j.form_id, j._institution_code as institution_code, j.doctor_name, c.content,
      count(distinct j.archive_no) as residents, count(*) as records, max(j._service_date) as service_date,
      min(c.filled) >= {{ p.min_filled }} as says_something
    from {{ ref('judged_record') }} as j
    join {{ ref('record_content') }} as c
      on c.form_id = j.form_id and c._institution_code = j._institution_code and c._record_key = j._record_key
    where j.form_id in {{ forms }} and j.doctor_name is not null and {{ in_force(rule, 'j._service_date') }}
    group by all
  )
  select *, says_something and residents >= {{ p.min_residents }} as violated
  from alike
  {{ first_of('form_id, institution_code, doctor_name', 'violated desc, residents desc, service_date desc, content') }}
)
{% else %}
{{ finding(rule, observed="year || ' 年 ' || records || ' 份'", institution='institution_code', form='form_id') }}
from (
  with alike as (
    select
      j.form_id, j._institution_code as institution_code, j.archive_no, j.record_id, j.doctor_name, j._service_date,
      j._record_key, year(j._service_date) as year, c.filled,
      count(*) over (partition by j.form_id, j.archive_no, year(j._service_date), c.content) as records
    from {{ ref('judged_record') }} as j
    left join {{ ref('record_content') }} as c
      on c.form_id = j.form_id and c._institution_code = j._institution_code and c._record_key = j._record_key
    where j.form_id in {{ forms }} and j.archive_no is not null and j._service_date is not null
      and {{ in_force(rule, 'j._service_date') }}
  )
  select *, coalesce(filled >= {{ p.min_filled }} and records > 1, false) as violated
  from alike
  {{ first_of('form_id, institution_code, archive_no', 'violated desc, _service_date desc, _record_key') }}
)
{% endif %}
{% endfor %}
