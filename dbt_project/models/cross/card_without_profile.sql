-- 有卡无档 (XFM-X-017): a child with a vaccination card whose archive number and identity number both are on no profile.
{% set rules = rules_on('card_without_profile') %}

{{ no_findings() }}

{% for rule in rules %}
{% set profile = other_forms(rule) | first %}
{{ finding(rule) }}
from (
  select c.*, case when {{ age_on('n.today', 'c.birth_date') }} <= {{ rule.params.max_age }}
    then a.archive_no is null and b.number is null end as violated
  from {{ ref('judged_' ~ rule.form_id) }} as c
  cross join {{ ref('night') }} as n
  left join (select distinct archive_no from {{ ref('judged_' ~ profile) }}) as a on a.archive_no = c.archive_no
  left join (select distinct upper(id_card_no) as number from {{ ref('judged_' ~ profile) }} where _id_ok) as b
    on b.number = upper(c.id_card_no)
  where c.archive_no is not null
  {{ first_of('c._institution_code, c.archive_no', 'c._service_date desc nulls last, c._record_key desc') }}
)
{% endfor %}
