{# Report items as the catalogue has them: which model counts them, by what parameters (rules/reports). #}

{# The items that one model counts, in the catalogue's order. #}
{% macro items_on(model_name) %}
  {{ return(catalogue_items() | selectattr('model', 'equalto', model_name) | list) }}
{% endmacro %}

{# The models that count anything, each once: those of them that list persons have `of_people` in their names' place. #}
{% macro recount_models() %}
  {% set found = [] %}
  {% for item in catalogue_items() if item.model and item.model not in found %}{% do found.append(item.model) %}{% endfor %}
  {{ return(found) }}
{% endmacro %}

{# Whether a form's dictionary has a column. #}
{% macro has_column(form_id, column) %}
  {{ return(form_id in catalogue_forms() and column in catalogue_forms()[form_id].columns) }}
{% endmacro %}

{# Who a record is about (reports.md 4.2): the person of its archive, else its own right identity number, else the
   archive. `s`: the record, `p`: archive_person joined by archive_no. #}
{% macro person_key(form_id, s='s', p='p') -%}
  coalesce({{ p }}.person, {% if has_column(form_id, 'id_card_no') %}case when {{ s }}._id_ok then upper({{ s }}.id_card_no) end, {% endif %}
    {{ s }}.archive_no, {{ s }}._record_key)
{%- endmacro %}

{# Whole years on a day; born on 29 February, older on 1 March (0a.15). #}
{% macro whole_years(birth, day) -%}
  (year({{ day }}) - year({{ birth }}) - (strftime({{ day }}, '%m%d') < strftime({{ birth }}, '%m%d'))::integer)
{%- endmacro %}

{# What every model of persons yields: who counts for an item in a span of days, who does not and why.
   `is_open`: could still be won within the span. #}
{% macro no_people() %}
select
  null::varchar as report_id, null::varchar as item, null::date as from_day, null::date as to_day,
  null::varchar as institution_code, null::varchar as archive_no, null::varchar as person, null::date as day,
  null::date as entered_on, null::boolean as counted, null::boolean as is_open, null::varchar as cause
where false
{% endmacro %}

{# A parameter `code:days` as SQL: case when {{ '{{' }} column {{ '}}' }} = code then days … end. #}
{% macro days_by_code(pairs, column) -%}
  case {{ column }}{% for pair in pairs %} when {{ sql_text(pair.split(':')[0]) }} then {{ pair.split(':')[1] | int }}{% endfor %} end
{%- endmacro %}

{# A figure for people: 12, or 12.5. #}
{% macro figure(column) -%}
  regexp_replace(({{ column }})::double::varchar, '\.0$', '')
{%- endmacro %}

{# Days within which the next visit is due after one of the class it has, NULL where nothing is asked: so many days after
   an uncontrolled one (`uncontrolled`, `revisit_days`), or as `class_days` says, `still_days` where the class stays. #}
{% macro wait_days(p) -%}
  {%- if p.class_days -%}
  {{ p.tolerance_days }} + case when s.class_code = {{ sql_text(p.still_class) }} and s.class_before = {{ sql_text(p.still_class) }}
    then {{ p.still_days }} else {{ days_by_code(p.class_days, 's.class_code') }} end
  {%- elif p.uncontrolled -%}
  case when s.class_code in {{ sql_list(p.uncontrolled) }} then {{ p.revisit_days }} end
  {%- else -%}
  null
  {%- endif -%}
{%- endmacro %}

{# Whether a record `s` was made in time, as an item's parameters have it: `until` no later than `hours` after `since` (of a
   beginning without a time of day, from the end of that day), or by code `hours_by` as the list `hours_list` says;
   `urgent_hours` for `urgent_is` of a class, and while a code was to be treated so (its attributes `urgent_attrs`, first
   and last day). `only_where`/`only_is`: what else is in time whenever it came. Never NULL. #}
{% macro in_time(p) -%}
  {%- set attrs = catalogue_code_attrs().get(p.hours_list, {}) if p.hours_list else {} -%}
  {%- set urgent = p.urgent_attrs or ['', ''] -%}
  coalesce(s.{{ p.until }} <= s.{{ p.since }} + to_days((s.{{ p.since }} = s.{{ p.since }}::date)::integer) + to_hours((case
    {%- if p.urgent_where %} when s.{{ p.urgent_where }} in {{ sql_list(p.urgent_is) }} then {{ p.urgent_hours }}{% endif %}
    {%- for code, first in attrs.get(urgent[0], {}).items() %} when s.{{ p.hours_by }} = {{ sql_text(code) }}
      and s.{{ p.since }}::date between date '{{ first }}' and date '{{ attrs.get(urgent[1], {}).get(code, "9999-12-31") }}' then {{ p.urgent_hours }}{% endfor %}
    {%- for code, hours in attrs.get(p.hours_attr, {}).items() if hours != p.hours %} when s.{{ p.hours_by }} = {{ sql_text(code) }} then {{ hours }}{% endfor %}
    when true then {{ p.hours }} end)::integer)
    {%- if p.only_where %} or s.{{ p.only_where }} not in {{ sql_list(p.only_is) }}{% endif %}, false)
{%- endmacro %}
