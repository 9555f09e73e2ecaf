-- 子女年长于户主 (RES-L-015): a son or daughter of the head of household who is not younger than the head. The head is the
-- one head of the same household at the institution; else who bears the identity number told as the head's; without either
-- archive, the birth date in that number, if it is right.
{% set rules = rules_on('older_than_head') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed="'早 ' || (head_birth - birth_date) || ' 天'", expected=sql_text('晚于户主')) }}
from (
  with heads as (
    select _institution_code, household_id, min(birth_date) as born
    from {{ ref('judged_' ~ rule.form_id) }}
    where household_relation = {{ sql_text(rule.params.head) }} and household_id is not null
    group by all having count(distinct birth_date) = 1
  ),
  bearers as (
    select upper(id_card_no) as number, min(birth_date) as born
    from {{ ref('judged_' ~ rule.form_id) }} where _id_ok
    group by all having count(distinct birth_date) = 1
  )
  select
    p.*, coalesce(h.born, b.born, {{ number_born('p.household_head_id_card') }}) as head_birth,
    case when p.household_relation in {{ sql_list(rule.params.children) }} then p.birth_date <= head_birth end as violated
  from {{ ref('judged_' ~ rule.form_id) }} as p
  left join heads as h on h._institution_code = p._institution_code and h.household_id = p.household_id
  left join bearers as b on b.number = upper(p.household_head_id_card)
  where {{ in_force(rule, 'p._service_date') }}
)
{% endfor %}
