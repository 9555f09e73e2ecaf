{# What all cross models say alike: the head of a rule's query, and which of several rows speaks for a subject. #}

{#
  The head of a rule's query, up to its `from`. The relation behind it has `violated` (NULL: the rule does not apply) and
  the columns of a judged record; its subject is that record or, where the rule asks of people, the record's person.
  `observed`, `expected`: SQL, told where violated. `day`, `institution`: the columns that tell them. `form`: a column
  that tells the form, where one query asks several. `period`: SQL, where not all findings of the rule are of the same.
#}
{% macro finding(
  rule, observed=none, expected=none, day='_service_date', institution='_institution_code', form=none, period=none
) -%}
union all by name
select
  {{ of_rule(rule, period, form) }}, {{ institution }} as institution_code,
  {{ of_record('violated', 'archive_no' if rule.subject_kind == 'person' else '_record_key', day) }},
  {{ where_violated(observed) }} as observed, {{ where_violated(expected) }} as expected, violated
{%- endmacro %}

{#
  The same for a rule on who does the work, an institution or a doctor, or on a household: its subject is no record's.
  `subject`, `doctor`, `day`: SQL; told of everybody, since subjects that are there, violated or not, are known by it.
#}
{% macro finding_of(
  rule, subject, observed=none, expected=none, doctor='null::varchar', day='null::date', form=none, period=none
) -%}
union all by name
select
  {{ of_rule(rule, period, form) }}, institution_code, {{ subject }} as subject_id, null::varchar as record_id,
  null::varchar as archive_no, {{ doctor }} as doctor_name, {{ day }} as service_date,
  {{ where_violated(observed) }} as observed, {{ where_violated(expected) }} as expected, violated
{%- endmacro %}

{# A text of findings: the rest of the population is there to be counted, and tells nothing. #}
{% macro where_violated(text) -%}
  {% if text is none %}null::varchar{% else %}case when violated then {{ text }} end{% endif %}
{%- endmacro %}

{# Of the rows of one `of`, the first in `order`. #}
{% macro first_of(of, order) -%}
  qualify row_number() over (partition by {{ of }} order by {{ order }}) = 1
{%- endmacro %}

{# Of the rows of one `of`, one that is violated; else one the rule applies to; of these the first in `order`. #}
{% macro worst_of(of, order) -%}
  qualify row_number() over (
    partition by {{ of }} order by coalesce(violated, false) desc, violated is null, {{ order }}
  ) = 1
{%- endmacro %}
