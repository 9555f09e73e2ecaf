-- 不用药而一直正常 (DM-X-002): managed in the period, seen several times in it, every value normal and no drug told once. One
-- finding a person, on the registration made last.
{% set rules = rules_on('normal_without_treatment') %}

{{ no_findings() }}

{% for rule in rules %}
{% set value = rule.params.value %}
{{ finding(rule, observed=plain_number('highest'), expected=sql_text('≥' ~ rule.params.normal_below), day='register_date') }}
from (
  with visits as (
    select
      archive_no, count(distinct _service_date) as visits, max({{ value }}) as highest,
      bool_or({% for column in rule.params.treatment %}{{ column }} is not null{{ " or " if not loop.last }}{% endfor %}) as treated
    from {{ ref('judged_' ~ rule.params.visit_form) }}
    where {{ in_period() }}
    group by archive_no
  )
  select
    m.*, v.highest,
    case
      when m.managed_days > 0 and v.visits >= {{ rule.params.min_visits }}
      then v.highest < {{ rule.params.normal_below }} and not v.treated
    end as violated
  from {{ ref('managed_days') }} as m
  left join visits as v on v.archive_no = m.archive_no
  where m.disease = {{ sql_text(rule.params.disease) }}
)
{% endfor %}
