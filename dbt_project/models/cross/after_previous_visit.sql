-- 前后两次随访 (HTN-T-004 and T-005, DM-T-005, SMI-T-003: when the next visit came; SMI-L-017, L-021, X-004: what it
-- says): a visit judged by the one before it (0a.13), the later one in the period. A rule tells what it asks of the pair
-- and all of it must hold. Of its column: previous, previous_not, current (codes), previous_without (a code that a
-- multiple choice has not). Of the days: more_than_days, fewer_than_days (between the two), next_more_than_days (from the
-- later visit to the next one agreed). lower: some of these counts is lower than before, where both visits have it. On
-- people: one finding, the last pair, or that of the longest (shortest) interval.
{% set rules = rules_on('after_previous_visit') %}

{{ no_findings() }}

{% for rule in rules %}
{% set p = rule.params %}
{% set told = [p.column] + (p.lower or []) %}
{% set columns = told + (['next_visit_date'] if p.next_more_than_days else []) %}
{% set given = [] %}{# whom it concerns #}
{% set asked = [] %}{# what is wrong then #}
{% if p.previous %}{% do given.append('before_' ~ p.column ~ ' in ' ~ sql_list(p.previous)) %}{% endif %}
{% if p.previous_not %}{% do given.append('before_' ~ p.column ~ ' not in ' ~ sql_list(p.previous_not)) %}{% endif %}
{% if p.previous_without %}{% do given.append('not list_contains(before_' ~ p.column ~ ', ' ~ sql_text(p.previous_without) ~ ')') %}{% endif %}
{% if p.current %}{% do asked.append(p.column ~ ' in ' ~ sql_list(p.current)) %}{% endif %}
{% if p.more_than_days %}{% do asked.append('gap_days > ' ~ p.more_than_days) %}{% endif %}
{% if p.fewer_than_days %}{% do asked.append('gap_days < ' ~ p.fewer_than_days) %}{% endif %}
{% if p.next_more_than_days %}{% do asked.append('next_visit_date - visit_date > ' ~ p.next_more_than_days) %}{% endif %}
{% if p.lower %}
{% set fallen = [] %}
{% for column in p.lower %}{% do fallen.append('coalesce(' ~ column ~ ' < before_' ~ column ~ ', false)') %}{% endfor %}
{% do asked.append('(' ~ fallen | join(' or ') ~ ')') %}
{% endif %}
{% set observed %}
{% if p.more_than_days or p.fewer_than_days %}gap_days::varchar
{% elif p.next_more_than_days %}(next_visit_date - visit_date)::varchar
{% elif p.lower %}concat_ws('/',
  {%- for c in p.lower %} case when {{ c }} < before_{{ c }} then {{ plain_number(c) }} end{{ "," if not loop.last }}{% endfor %})
{% else %}{{ p.column }}
{% endif %}
{% endset %}
{% set expected %}
{% if p.more_than_days %}'≤{{ p.more_than_days }}'
{% elif p.fewer_than_days %}'≥{{ p.fewer_than_days }}'
{% elif p.next_more_than_days %}'≤{{ p.next_more_than_days }}'
{% elif p.lower %}'≥' || concat_ws('/',
  {%- for c in p.lower %} case when {{ c }} < before_{{ c }} then {{ plain_number('before_' ~ c) }} end{{ "," if not loop.last }}{% endfor %})
{% else %}before_{{ p.column }}
{% endif %}
{% endset %}
{{ finding(rule, observed=observed, expected=expected, day='visit_date') }}
from (
  with visits as (
    {{ visits_with_previous(rule.form_id, columns, told, p.look_back_days) }}
  )
  select *, case when {{ given | join(' and ') }} then {{ asked | join(' and ') }} end as violated
  from visits
  where gap_days is not null and {{ in_force(rule, 'visit_date') }}
  {% if rule.subject_kind == 'person' %}
  qualify row_number() over (
    partition by archive_no
    order by coalesce(violated, false) desc, violated is null,
      {% if p.more_than_days %}gap_days desc,{% elif p.fewer_than_days %}gap_days,{% endif %} visit_date desc
  ) = 1
  {% endif %}
)
{% endfor %}
