-- 转出未跟踪 (REF-T-001): a referral out of which nothing came back in so many days, neither a slip nor a follow-up of the
-- person, at any institution; the last of those days lies in the period. One finding a person, on the last such referral.
{% set rules = rules_on('referral_untracked') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='_service_date::varchar',
  expected="'≤' || (_service_date + " ~ rule.params.within_days ~ ')::varchar') }}
from (
  with results as (
    {% for form_id in other_forms(rule) %}
    select archive_no, _service_date, '{{ form_id }}' = {{ sql_text(rule.params.slip_form) }} as is_slip
    from {{ ref('judged_' ~ form_id) }} where archive_no is not null
    {{ "union all" if not loop.last }}
    {% endfor %}
  )
  select r.*, b.archive_no is null as violated
  from {{ ref('judged_' ~ rule.form_id) }} as r
  left join results as b
    on b.archive_no = r.archive_no and b._service_date <= r._service_date + {{ rule.params.within_days }}
    and (b._service_date > r._service_date or b.is_slip and b._service_date = r._service_date)
  where r.archive_no is not null
    and r._service_date + {{ rule.params.within_days }} + {{ in_period('1') }}
  {{ first_of('r.archive_no', 'violated desc, r._service_date desc, r._record_key') }}
)
{% endfor %}
