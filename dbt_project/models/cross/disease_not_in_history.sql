-- 现存疾病不在既往史 (XFM-X-012): the last examination ticks a disease whose counterpart the profile's past diseases lack.
{% set rules = rules_on('disease_not_in_history') %}

{{ no_findings() }}

{% for rule in rules %}
{% set columns = rule.params.columns %}
{{ finding(rule, observed='lacking') }}
from (
  with exams as ({{ latest_of(rule.form_id, columns) }}),
  history as (
    select archive_no, flatten(list({{ rule.params.history_column }})) as past
    from {{ ref('judged_' ~ (other_forms(rule) | first)) }}
    where archive_no is not null and {{ rule.params.history_column }} is not null
    group by all
  ),
  ticked as (
    select e.*, h.past{% for column in columns %},
      len(list_filter(e.{{ column }}, lambda code : code in {{ sql_list(rule.params.codes) }})) > 0 as has_{{ column }}{% endfor %}
    from exams as e left join history as h on h.archive_no = e.archive_no
  ),
  compared as (
    select *, concat_ws('、'{% for column in columns %},
      case when has_{{ column }} and not list_contains(past, {{ sql_text(rule.params.history_codes[loop.index0]) }})
        then {{ sql_text(rule.params.names[loop.index0]) }} end{% endfor %}) as lacking
    from ticked
  )
  select *, case when past is not null and ({% for column in columns %}has_{{ column }}{{ " or " if not loop.last }}{% endfor %})
    then lacking <> '' end as violated
  from compared
)
{% endfor %}
