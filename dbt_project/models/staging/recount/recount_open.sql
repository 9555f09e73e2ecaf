-- Who belongs to an item's population and does not count, with the reason; `is_open`: could still be won in the span.
{{ config(materialized='view') }}
{% set models = recount_models() | reject('in', ['recount_archive', 'recount_event', 'recount_dose']) | list %}

{{ no_people() }}
{% for model in models %}
union all by name select * from {{ ref(model) }} where not counted
{% endfor %}
