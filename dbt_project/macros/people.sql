{# Who is known as a patient of the rule's disease (`history_code` among past diseases, or `disease` in the register):
   archive_no, known. `known` is NULL where the profile's past diseases are empty and no register speaks, or where a card of
   the person's does not tell its disease and nothing else speaks of this one. #}
{% macro patients(rule) %}
select archive_no, case when bool_or(known) then true when not bool_or(unsaid) then bool_or(known) end as known
from (
  select archive_no, list_contains(past_disease_codes, {{ sql_text(rule.params.history_code) }}) as known,
    false as unsaid
  from {{ ref('judged_resident_profile') }}
  union all
  select archive_no, disease = {{ sql_text(rule.params.disease) }}, disease is null
  from {{ ref('judged_chronic_registry') }} where coalesce(disease = {{ sql_text(rule.params.disease) }}, true)
)
where archive_no is not null group by archive_no
{% endmacro %}

{# Whether somebody joined to `patients` as `t` is one: not so, where neither profile nor register has the person. #}
{% macro is_patient(t) -%}
  case when {{ t }}.archive_no is null then false else {{ t }}.known end
{%- endmacro %}

{# Whole years from a birth to a day (0a.15): born on 29 February turns on 1 March in common years. #}
{% macro age_on(day, birth) -%}
  case when {{ day }} >= {{ birth }} then year({{ day }}) - year({{ birth }})
    - case when month({{ day }}) * 100 + day({{ day }}) < month({{ birth }}) * 100 + day({{ birth }}) then 1 else 0 end end
{%- endmacro %}

{# The last record of each person on a form, as far as today. #}
{% macro latest_of(form_id, columns) %}
select
  archive_no, _service_date, _institution_code, _record_key, record_id, doctor_name
  {%- for column in columns %}, {{ column }}{% endfor %}
from {{ ref('judged_' ~ form_id) }}
where archive_no is not null and _service_date <= {{ today() }}
qualify row_number() over (
  partition by archive_no order by _service_date desc, created_at desc nulls last, _record_key desc, _institution_code
) = 1
{% endmacro %}

{# A column measured on several forms, one row a person and day: the last entered of the day. Columns: form_id, keys,
   birth_date, value. `columns`: form → columns, of which the greatest counts. #}
{% macro measured(columns, from_date, to_date) %}
select * from (
  {% for form_id, names in columns.items() %}
  select
    '{{ form_id }}' as form_id, archive_no, _service_date, created_at, _record_key, _institution_code, record_id,
    doctor_name, birth_date, greatest({{ names | join(', ') }}) as value
  from {{ ref('judged_' ~ form_id) }}
  {% if not loop.last %}union all{% endif %}
  {% endfor %}
)
where archive_no is not null and value is not null and _service_date between {{ from_date }} and {{ to_date }}
qualify row_number() over (
  partition by archive_no, _service_date order by created_at desc nulls last, _record_key desc, _institution_code, form_id
) = 1
{% endmacro %}

{#
  The active archives on the rule's form of whom it asks something by the year, one row an institution and archive, with
  what `due` needs: period_days, and managed_days, those of the period in which the archive was there. `who`: SQL over the
  archive `p` and the night `n`.
#}
{% macro active_people(rule, who) %}
select
  p.*, n.period_end - n.period_start + 1 as period_days,
  greatest(0, least(n.period_end, n.today) - greatest(p.archive_date, n.period_start) + 1) as managed_days
from {{ ref('judged_' ~ rule.form_id) }} as p cross join {{ ref('night') }} as n
where p.archive_no is not null and p.archive_status = {{ sql_text(rule.params.active_status) }} and {{ who }}
{{ first_of('p._institution_code, p.archive_no', 'p._record_key') }}
{% endmacro %}
