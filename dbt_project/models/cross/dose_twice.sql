-- 同一剂次重复 (VAC-U-001): more than one record of one vaccine and dose of a child, at any institution. One finding a
-- child, on its last record of such a dose; all such doses are told.
{% set rules = rules_on('dose_twice') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='told', expected=sql_text(rule.params.max_count)) }}
from (
  with counted as (
    select
      d.*, count(*) over same_dose as records, row_number() over (same_dose order by _service_date desc, _record_key) as place,
      coalesce(v.name, d.vaccine_code) || '第' || d.dose_no::integer || '剂 ' || records || ' 条' as dose
    from {{ ref('judged_' ~ rule.form_id) }} as d
    left join (
      select code, any_value(name) as name from {{ input('code_list') }} where list_id = {{ sql_text(rule.params.vaccines) }} group by code
    ) as v on v.code = d.vaccine_code
    where d.archive_no is not null and d.child_code is not null and d.vaccine_code is not null and d.dose_no is not null
    window same_dose as (partition by d.child_code, d.vaccine_code, d.dose_no)
  ),
  listed as (
    select
      *, records > {{ rule.params.max_count }} as violated,
      string_agg(case when records > {{ rule.params.max_count }} and place = 1 then dose end, '、') over (partition by archive_no) as told
    from counted
  )
  select * from listed
  {{ first_of('archive_no', 'violated desc, _service_date desc, _record_key') }}
)
{% endfor %}
