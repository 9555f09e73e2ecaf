-- 禁忌与活疫苗 (VAC-L-006): a live vaccine given to a child whose card tells a contraindication to it. Clauses that deny
-- one (无…, 否认…) do not count.
{% set rules = rules_on('live_vaccine_contraindicated') %}

{{ no_findings() }}

{% for rule in rules %}
{% set denied = "(" ~ rule.params.negations | join('|') ~ ")[^，,。；;、]*" %}
{{ finding(rule, observed='found') }}
from (
  select
    d.*, concat_ws('、', {% for word in rule.params.contraindications %}case when contains(c.told, {{ sql_text(word) }}) then {{ sql_text(word) }} end
      {{- ", " if not loop.last }}{% endfor %}) as found,
    case when k.code is not null and c.told is not null then found <> '' end as violated
  from {{ ref('judged_' ~ rule.form_id) }} as d
  left join {{ code_attribute(rule.params.vaccines, 'kind') }} as k on k.code = d.vaccine_code and k.value = {{ sql_text(rule.params.kind) }}
  left join (
    select child_code, string_agg(regexp_replace(contraindication, {{ sql_text(denied) }}, '', 'g'), '；') as told
    from {{ ref('judged_' ~ other_forms(rule) | first) }} where child_code is not null group by child_code
  ) as c on c.child_code = d.child_code
  where {{ in_force(rule, 'd._service_date') }}
)
{% endfor %}
