-- 两病只随访一种 (HTN-X-008): a person with both diseases, by the history told or by a registration, who has visits for one of
-- them and none for the other. Who was registered for the other only lately is given time. Reported on the profile.
{% set rules = rules_on('one_of_two_follow_ups') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='lacking') }}
from (
  with
  {% for disease in rule.params.diseases %}
  registered_{{ loop.index }} as (
    select archive_no, min(register_date) as since from {{ ref('judged_chronic_registry') }}
    where disease = {{ sql_text(disease) }} and archive_no is not null
      and coalesce(manage_status not in {{ sql_list(rule.params.excluded_status) }}, true)
    group by archive_no
  ),
  visited_{{ loop.index }} as (
    select distinct archive_no from {{ ref('judged_' ~ rule.params.visit_forms[loop.index0]) }}
    where archive_no is not null and _service_date <= {{ period_until_today() }}
  ),
  {% endfor %}
  people as (
    select
      p._institution_code, p._record_key, p.archive_no, p.record_id, p.doctor_name, p._service_date
      {% for code in rule.params.codes %},
      coalesce(list_contains(p.past_disease_codes, {{ sql_text(code) }}), false)
        or r{{ loop.index }}.archive_no is not null as has_{{ loop.index }},
      v{{ loop.index }}.archive_no is not null as seen_{{ loop.index }},
      coalesce(r{{ loop.index }}.since + {{ rule.params.first_visit_days }} >= {{ period_until_today() }}, false) as fresh_{{ loop.index }}
      {% endfor %}
    from {{ ref('judged_' ~ rule.form_id) }} as p
    {% for disease in rule.params.diseases %}
    left join registered_{{ loop.index }} as r{{ loop.index }} on r{{ loop.index }}.archive_no = p.archive_no
    left join visited_{{ loop.index }} as v{{ loop.index }} on v{{ loop.index }}.archive_no = p.archive_no
    {% endfor %}
    where p.archive_no is not null
    {{ first_of('p._institution_code, p.archive_no', 'p._record_key desc') }}
  )
  select
    *, case when seen_1 then {{ sql_text(rule.params.titles[1]) }} else {{ sql_text(rule.params.titles[0]) }} end as lacking,
    case
      when has_1 and has_2 and (seen_1 or seen_2)
      then seen_1 <> seen_2 and not (case when seen_1 then fresh_2 else fresh_1 end)
    end as violated
  from people
)
{% endfor %}
