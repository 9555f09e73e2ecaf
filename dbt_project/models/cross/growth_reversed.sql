-- 生长倒退 (CHD-L-005 shorter, CHD-L-006 lighter than at the examination before): two examinations one behind the other,
-- over all the sheets the rule is on, the later one in the period (0a.13). One finding a child and sheet, on the last
-- such examination. `may_fall_by`: what may be lost by measuring,
-- `may_fall_to`: the share of the value before that must be left, each in the order of `compare`.
{% set rules = rules_on('growth_reversed') %}

{{ no_findings() }}

{% for one in over_forms(rules) %}{% set rule = one.rule %}
{% set columns = rule.params.compare %}{% set least = {} %}
{% for c in columns %}
{% if rule.params.may_fall_by %}{% do least.update({c: 'previous_' ~ c ~ ' - ' ~ rule.params.may_fall_by[loop.index0]}) %}
{% else %}{% do least.update({c: 'previous_' ~ c ~ ' * ' ~ rule.params.may_fall_to[loop.index0]}) %}{% endif %}
{% endfor %}
{{ finding(rule, observed='told', expected='limits', day='visit_date', form='form_id') }}
from (
  with visits as (
    {% for form_id in one.forms %}
    select
      '{{ form_id }}' as form_id, archive_no, _service_date as visit_date, _institution_code, _record_key, record_id,
      doctor_name, created_at
      {%- for c in columns %}, {{ c if c in catalogue_forms()[form_id].columns else 'null::double' }} as {{ c }}{% endfor %}
    from {{ ref('judged_' ~ form_id) }}
    where archive_no is not null
      and _service_date between {{ before_period(rule.params.look_back_days) }}
        and {{ period_until_today() }}
    {{ "union all" if not loop.last }}
    {% endfor %}
  ),
  ordered as (
    select * from visits
    {{ first_of('archive_no, visit_date', 'created_at desc nulls last, _record_key desc') }}
  ),
  pairs as (
    select
      *, {% for c in columns %}lag({{ c }}) over earlier as previous_{{ c }}, {% endfor %}
      lag(visit_date) over earlier as previous_date
    from ordered
    window earlier as (partition by archive_no order by visit_date)
  ),
  compared as (
    select
      *,
      {% for c in columns %}
      round({{ least[c] }}, 6) as least_{{ c }},
      {% endfor %}
      {% for c in columns %}coalesce({{ c }} < least_{{ c }}, false){{ " or " if not loop.last }}{% endfor %} as fallen,
      {% for c in columns %}{{ c }} < least_{{ c }} is not null{{ " or " if not loop.last }}{% endfor %} as comparable
    from pairs
    where visit_date >= {{ period_start() }}
  )
  select
    *, case when comparable then fallen end as violated,
    concat_ws('、', {% for c in columns %}case when {{ c }} < least_{{ c }} then {{ plain_number('previous_' ~ c) }} || '→' || {{ plain_number(c) }} end
      {{- ", " if not loop.last }}{% endfor %}) as told,
    concat_ws('、', {% for c in columns %}case when {{ c }} < least_{{ c }} then '≥' || {{ plain_number('least_' ~ c) }} end
      {{- ", " if not loop.last }}{% endfor %}) as limits
  from compared
  {{ worst_of('form_id, archive_no', 'visit_date desc') }}
)
{% endfor %}
