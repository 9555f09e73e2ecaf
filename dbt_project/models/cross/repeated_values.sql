-- 数值原样重复 (AUT-A-006): several visits of a person one behind the other with exactly the same measurements. Visits in
-- order as 0a.13 has them, the last of the run in the period; one finding a person, on the last such run.
{% set rules = rules_on('repeated_values') %}

{{ no_findings() }}

{% for rule in rules %}
{% set columns = [] %}
{% for column in rule.params.compare if column in catalogue_forms()[rule.form_id].columns %}{% do columns.append(column) %}{% endfor %}
{{ finding(rule, observed='told', day='visit_date') }}
from (
  with visits as (
    {{ visits_in_order(rule.form_id, columns, before_period(rule.params.look_back_days)) }}
  ),
  runs as (
    select
      *, concat_ws('/', {% for c in columns %}{{ plain_number(c) }}{{ ", " if not loop.last }}{% endfor %}) as told,
      count(*) over run as length,
      {% for c in columns %}count({{ c }}) over run = count(*) over run and min({{ c }}) over run = max({{ c }}) over run
      {{- " and " if not loop.last }}{% endfor %} as alike
    from visits
    window run as (
      partition by archive_no order by visit_date rows between {{ rule.params.run_length - 1 }} preceding and current row
    )
  )
  select *, alike as violated
  from runs
  where length = {{ rule.params.run_length }} and visit_date >= {{ period_start() }}
  {{ first_of('archive_no', 'violated desc, visit_date desc') }}
)
{% endfor %}
