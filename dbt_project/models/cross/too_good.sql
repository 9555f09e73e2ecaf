-- 异常乐观: nearly all visits of a doctor without symptoms and controlled (AUT-A-019), new patients controlled on the day
-- of diagnosis (023), people of 90 and more without exception well (034).
{% set rules = rules_on('too_good') %}

{{ no_findings() }}

{% for rule in rules %}{% set p = rule.params %}
{% set is_doctor = rule.subject_kind == 'doctor' %}
{{ finding_of(rule, 'subject',
  observed='n || ' ~ sql_text(p.counted) ~ " || '中 ' || hits || '，占 ' || " ~ told_share('hits::double / n'),
  expected="'≤' || " ~ told_share(p.max_share), doctor='subject' if is_doctor else 'null::varchar') }}
from (
  with outcomes as (
    {% if p.among == 'visits' %}
    select _institution_code as institution_code, doctor_name as subject,
      symptom_codes = ['{{ p.no_symptom }}'] and class_code = '{{ p.controlled }}' as good
    from {{ ref('judged_' ~ rule.form_id) }}
    where doctor_name is not null and symptom_codes is not null and class_code is not null
      and {{ in_period() }}
    {% elif p.among == 'first visits' %}
    select v._institution_code as institution_code, v.doctor_name as subject, v.class_code = '{{ p.controlled }}' as good
    from {{ ref('judged_' ~ rule.form_id) }} as v
    semi join {{ ref('judged_chronic_registry') }} as r
      on r.archive_no = v.archive_no and r.diagnosis_date = v._service_date and r.disease = '{{ p.disease }}'
    where v.doctor_name is not null and v.class_code is not null
      and {{ in_period('v._service_date') }}
    {% else %}
    select institution_code, institution_code as subject, bool_and(good) as good
    from (
      select _institution_code as institution_code, archive_no,
        symptom_codes = ['{{ p.no_symptom }}'] and class_code = '{{ p.controlled }}' as good
      from {{ ref('judged_' ~ rule.form_id) }}
      where archive_no is not null and symptom_codes is not null and class_code is not null
        and {{ age_on('_service_date', 'birth_date') }} >= {{ p.old_age }}
        and {{ in_period() }}
      union all
      select _institution_code, archive_no, grade_code = '{{ p.independent }}'
      from {{ ref('judged_elderly_self_care') }}
      where archive_no is not null and grade_code is not null
        and {{ age_on('_service_date', 'birth_date') }} >= {{ p.old_age }}
        and {{ in_period() }}
    )
    group by institution_code, archive_no
    {% endif %}
  )
  select institution_code, subject, count(*) as n, count(*) filter (good) as hits,
    case when count(*) >= {{ p.min_n }} then count(*) filter (good) > {{ p.max_share }} * count(*) end as violated
  from outcomes group by all
)
{% endfor %}
