{# The catalogue's entries, as cross models use them. Thresholds come from here (rule.params), never from SQL. #}

{# Every rule version × form that a model carries, in the catalogue's order. #}
{% macro rules_on(model_name) %}
  {{ return(catalogue_rules(model_name) or []) }}
{% endmacro %}

{# Every rule version once, with the forms it is on as `forms`: for questions asked of all of them in one pass, since a
   pipeline a form would want memory for all of them at once. #}
{% macro over_forms(rules) %}
  {% set found = {} %}
  {% for rule in rules %}
    {% set key = rule.rule_id ~ '/' ~ rule.version %}
    {% if key not in found %}{% do found.update({key: {'rule': rule, 'forms': []}}) %}{% endif %}
    {% do found[key].forms.append(rule.form_id) %}
  {% endfor %}
  {{ return(found.values() | list) }}
{% endmacro %}

{# A relation of no rows with the columns of every cross model: what the rules' queries are appended to. #}
{% macro no_findings() %}
select
  null::varchar as rule_id, null::integer as rule_version, null::varchar as form_id, null::varchar as field,
  null::varchar as subject_kind, null::varchar as period,
  null::varchar as institution_code, null::varchar as subject_id, null::varchar as record_id,
  null::varchar as archive_no, null::varchar as doctor_name, null::date as service_date,
  null::varchar as observed, null::varchar as expected, null::boolean as violated
where false
{% endmacro %}

{# The columns that are the same for every row of one rule. `form`: a column that tells the form instead. #}
{% macro of_rule(rule, period=none, form=none) %}
  '{{ rule.rule_id }}' as rule_id, {{ rule.version }} as rule_version,
  {% if form %}{{ form }}{% else %}'{{ rule.form_id }}'{% endif %} as form_id,
  '{{ rule.field }}' as field, '{{ rule.subject_kind }}' as subject_kind,
  {% if period %}{{ period }}{% elif rule.period_scoped %}(select period from {{ ref('night') }}){% else %}''{% endif %} as period
{%- endmacro %}

{# The record a finding is about. Told only where it is violated: the rest of the population is there to be counted. #}
{% macro of_record(violated, subject='_record_key', service_date='_service_date', t='') %}
  case when {{ violated }} then {{ t }}{{ subject }} end as subject_id,
  case when {{ violated }} then {{ t }}record_id end as record_id,
  case when {{ violated }} then {{ t }}archive_no end as archive_no,
  case when {{ violated }} then {{ t }}doctor_name end as doctor_name,
  case when {{ violated }} then {{ t }}{{ service_date }} end as service_date
{%- endmacro %}

{# Whether a record is judged by the rule version: its service date lies in the validity (0a.16; without a date, today
   decides) and the plan judges it (records_from, 0a.2). Rules on people, doctors, institutions and households judge all
   there is of them, by the version in force at the period's end. #}
{% macro in_force(rule, service_date='_service_date') %}
  {%- if rule.subject_kind == 'record' and (rule.valid_from or rule.valid_to) -%}
  coalesce({{ service_date }}, {{ today() }}) between
    date '{{ rule.valid_from or "0001-01-01" }}' and date '{{ rule.valid_to or "9999-12-31" }}'
  {%- else -%}
  true
  {%- endif -%}
  {%- if rule.subject_kind == 'record' and plan_records_from() %} and coalesce({{ service_date }} >= date '{{ plan_records_from() }}', true){% endif %}
{%- endmacro %}

{# A text value as SQL, or a list of them. #}
{% macro sql_text(value) -%}
  '{{ value | string | replace("'", "''") }}'
{%- endmacro %}
{% macro sql_list(values) -%}
  ({% for value in values %}{{ sql_text(value) }}{% if not loop.last %}, {% endif %}{% endfor %})
{%- endmacro %}

{# The forms a rule reads beside its home form, in the catalogue's order. #}
{% macro other_forms(rule) %}
  {% set others = [] %}
  {% for form_id in rule.reads if form_id != rule.form_id %}{% do others.append(form_id) %}{% endfor %}
  {{ return(others) }}
{% endmacro %}

{# The period a report row speaks of, as findings name it: 2023 for a year, 2024Q1, 2024M03. #}
{% macro report_period() -%}
  year || case when period = 'Y' then '' else period end
{%- endmacro %}

{# A name as it is compared: without spaces, one kind of middle dot, composed characters, capital letters. #}
{% macro normal_name(column) -%}
  upper(nfc_normalize(regexp_replace(regexp_replace({{ column }}, '[\s\x{3000}]', '', 'g'), '[•・．.‧]', '·', 'g')))
{%- endmacro %}

{# A file that the night handed in. #}
{% macro input(name) -%}
  read_parquet({{ sql_text(inputs_folder() ~ "/" ~ name ~ ".parquet") }})
{%- endmacro %}

{# A number as people write it: 150, not 150.0; nothing where there is none. #}
{% macro plain_number(column) -%}
  coalesce(regexp_replace({{ column }}::varchar, '\.0$', ''), '—')
{%- endmacro %}
