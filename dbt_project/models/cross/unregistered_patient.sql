-- 多次异常未纳入管理 (XFM-X-013 blood sugar, 014 blood pressure): too high on so many different days, and neither the past
-- diseases nor the register know of the disease. One finding a person, on the form of the last high value.
{% set rules = rules_on('unregistered_patient') %}

{{ no_findings() }}

{% for one in over_forms(rules) %}{% set rule = one.rule %}
{% set columns = {} %}
{% for form_id in one.forms %}
{% set names = [] %}
{% for name in rule.params.columns if name in rule.reads[form_id] %}{% do names.append(name) %}{% endfor %}
{% do columns.update({form_id: names}) %}
{% endfor %}
{{ finding(rule, observed='days::varchar', expected=sql_text('<' ~ rule.params.min_times), form='form_id') }}
from (
  with known as ({{ patients(rule) }}),
  readings as (
    {% for form_id, names in columns.items() %}
    select '{{ form_id }}' as form_id, archive_no, _service_date, created_at, _record_key, _institution_code, record_id,
      doctor_name, greatest({{ names | join(', ') }}) >= {{ rule.params.limit }} as high
    from {{ ref('judged_' ~ form_id) }}
    where archive_no is not null and _service_date <= {{ today() }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
  ),
  counted as (
    select archive_no, count(distinct _service_date) as days,
      arg_max(form_id, (_service_date, coalesce(created_at, timestamp '0001-01-01'), _record_key)) as last_form
    from readings where high group by all
  )
  select r.*, c.days, case when not ({{ is_patient('k') }})
    then coalesce(c.days >= {{ rule.params.min_times }} and c.last_form = r.form_id and r.high, false) end as violated
  from readings as r
  left join counted as c on c.archive_no = r.archive_no
  left join known as k on k.archive_no = r.archive_no
  where r.high is not null
  {{ first_of('r.archive_no, r.form_id', 'r.high desc, r._service_date desc, r.created_at desc nulls last, r._record_key desc') }}
)
{% endfor %}
