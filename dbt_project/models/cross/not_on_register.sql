-- 不在登记名单: a record of an institution that is not in the institutions' register (COM-F-016), or signed by somebody
-- who was not on the doctors' list on the day of service (COM-F-017). The list is that of the record's own institution
-- or of the one that delivers it; where neither has a list nothing is judged.
{% set rules = rules_on('not_on_register') %}

{{ no_findings() }}

{% for one in over_forms(rules | selectattr('params.register', 'equalto', 'institution') | list) %}
{{ finding(one.rule, observed='own_code', form='form_id') }}
from (
  select j.*, j.institution_code as own_code, case
    when j.institution_code is not null and exists (from {{ ref('institution') }})
    then i.institution_code is null end as violated
  from {{ ref('judged_record') }} as j
  left join {{ ref('institution') }} as i on i.institution_code = j.institution_code
  where j.form_id in {{ sql_list(one.forms) }} and {{ in_force(one.rule, 'j._service_date') }}
)
{% endfor %}

{% for one in over_forms(rules | selectattr('params.register', 'equalto', 'doctor') | list) %}
{{ finding(one.rule, observed='doctor_name', institution='deliverer', form='form_id') }}
from (
  with listed as (
    select institution_code, {{ normal_name('doctor_name') }} as name,
      coalesce(from_date, date '0001-01-01') as from_date, coalesce(to_date, date '9999-12-31') as to_date
    from {{ ref('doctor') }}
  ),
  records as (
    select *, _institution_code as deliverer, coalesce(institution_code, _institution_code) as own_code
    from {{ ref('judged_record') }}
    where form_id in {{ sql_list(one.forms) }} and {{ in_force(one.rule) }}
  ),
  -- who signed where on which day: far fewer than records
  signed as (
    select distinct deliverer, own_code, doctor_name, coalesce(_service_date, {{ today() }}) as day
    from records where doctor_name is not null
  ),
  found as (
    select distinct s.deliverer, s.own_code, s.doctor_name, s.day
    from signed as s
    join listed as l on l.name = {{ normal_name('s.doctor_name') }} and s.day between l.from_date and l.to_date
      and (l.institution_code = s.own_code or l.institution_code = s.deliverer)
  )
  select r.*, case when r.doctor_name is not null then f.doctor_name is null end as violated
  from records as r
  left join found as f on f.deliverer = r.deliverer and f.own_code = r.own_code and f.doctor_name = r.doctor_name
    and f.day = coalesce(r._service_date, {{ today() }})
  where r.own_code in (select institution_code from listed) or r.deliverer in (select institution_code from listed)
)
{% endfor %}
