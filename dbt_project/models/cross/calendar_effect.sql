-- 日期集中: an institution's entries in the last week of the period (AUT-A-013), visits face to face on public holidays and
-- Sundays that no make-up day turns into working days (014), visits on the last day of a month (015).
{% set rules = rules_on('calendar_effect') %}

{{ no_findings() }}

{% for one in over_forms(rules) %}{% set rule = one.rule %}{% set p = rule.params %}
{{ finding_of(rule, 'institution_code',
  observed="n || ' 条中 ' || hits || ' 条，占 ' || " ~ told_share('hits::double / n'),
  expected="'≤' || " ~ told_share(p.max_share), form='form_id') }}
from (
  with dated as (
    {% if p.effect == 'last week' %}
    select form_id, _institution_code as institution_code,
      created_at::date > (select period_end from {{ ref('night') }}) - {{ p.days }} as hit
    from {{ ref('judged_record') }}
    where form_id in {{ sql_list(one.forms) }}
      and {{ in_period('created_at::date') }}
    {% elif p.effect == 'month end' %}
    select form_id, _institution_code as institution_code, _service_date = last_day(_service_date) as hit
    from {{ ref('judged_record') }}
    where form_id in {{ sql_list(one.forms) }}
      and {{ in_period() }}
    {% else %}
    {% for form_id in one.forms %}
    select '{{ form_id }}' as form_id, v._institution_code as institution_code, c.is_rest as hit
    from {{ ref('judged_' ~ form_id) }} as v
    join {{ input('calendar') }} as c on c.day = v._service_date
    where v.visit_mode_code in {{ sql_list(p.face_to_face) }}
      and {{ in_period('v._service_date') }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
    {% endif %}
  )
  select form_id, institution_code, count(*) as n, count(*) filter (hit) as hits,
    case when count(*) >= {{ p.min_n }} then count(*) filter (hit) > {{ p.max_share }} * count(*) end as violated
  from dated
  group by all
)
{% endfor %}
