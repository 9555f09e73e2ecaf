-- 与当年体检不符 (TCM-L-013, TCM-L-014: a question graded by a measurement; ELD-X-001: the same grade told twice): a record
-- against the person's examination of the same year that is nearest to it. Of a rule on people, their last record.
{% set rules = rules_on('same_year_exam') %}

{{ no_findings() }}

{% for rule in rules %}
{% set there = rule.params.there %}
{{ finding(rule, observed=plain_number('here'), expected=plain_number('wanted')) }}
from (
  with records as (
    {% if rule.subject_kind == 'person' %}{{ latest_of(rule.form_id, [rule.params.here]) }}
    {% else %}select * from {{ ref('judged_' ~ rule.form_id) }} where {{ in_force(rule) }}{% endif %}
  )
  select
    r._institution_code, r._record_key, r.archive_no, r.record_id, r.doctor_name, r._service_date, r.{{ rule.params.here }} as here,
    {% if rule.params.bands is defined %}
    case when e.{{ there }} is not null then 1{% for limit in rule.params.bands %} + (e.{{ there }} >= {{ limit }})::int{% endfor %} end
    {% else %}e.{{ there }}{% endif %} as wanted,
    here <> wanted as violated
  from records as r
  left join {{ ref('judged_' ~ rule.params.exam) }} as e
    on e.archive_no = r.archive_no and year(e._service_date) = year(r._service_date)
  {{ first_of('r._institution_code, r._record_key', 'abs(e._service_date - r._service_date) nulls last, e._service_date desc, e._record_key desc') }}
)
{% endfor %}
