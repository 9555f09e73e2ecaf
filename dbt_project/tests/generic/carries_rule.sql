{#
  Names a rule on the model that carries it, and selects what violates it. Severity warn: findings are the product of a
  night, not its failure.
#}
{% test carries_rule(model, rule_id) %}
  {{ config(severity='warn') }}
  select * from {{ model }} where rule_id = '{{ rule_id }}' and violated
{% endtest %}
