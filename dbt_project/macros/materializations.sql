{#
  How tables and views are made here: in their place. A night begins with an empty working file and dies as a whole, so
  nobody ever sees a half of it; dbt's own way (made aside, the old one renamed, the new one renamed, the old one dropped)
  costs five statements more a model, a fifth of its time. A model that fails leaves nothing, as there.
#}
{% materialization table, adapter='duckdb', supported_languages=['sql'] %}
  {{ return(made_in_place('table')) }}
{% endmaterialization %}

{% materialization view, adapter='duckdb', supported_languages=['sql'] %}
  {{ return(made_in_place('view')) }}
{% endmaterialization %}

{% macro made_in_place(kind) %}
  {% set target = this.incorporate(type=kind) %}
  {% call statement('main') %}
    create or replace {{ kind }} {{ target }} as (
{{ compiled_code }}
    )
  {% endcall %}
  {% do adapter.commit() %}
  {{ return({'relations': [target]}) }}
{% endmacro %}
