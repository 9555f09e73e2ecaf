-- 剂次间隔不足 (VAC-L-002): a dose given sooner after the one before it than the programme in force on that day allows.
-- The one before is the dose the programme names (`previous`), else the same vaccine's with the number before.
{% set rules = rules_on('dose_interval') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='_service_date::varchar', expected="'≥' || earliest::varchar") }}
from (
  with given as (
    {{ doses_in_series(rule.form_id, rule.params.vaccines, 'coalesce(d.child_code, d.archive_no)') }}
  ),
  last_given as (select child, vaccine, dose_no, max(dose_date) as dose_date from given where child is not null group by all),
  programme as (
    select
      code, coalesce(valid_from, date '0001-01-01') as valid_from, coalesce(valid_to, date '9999-12-31') as valid_to,
      max(value) filter (attribute = 'previous') as previous,
      coalesce(max(value) filter (attribute = 'min_interval_days'), '0')::integer as gap_days,
      coalesce(max(value) filter (attribute = 'min_interval_months'), '0')::integer as gap_months
    from {{ input('code_list') }}
    where list_id in {{ sql_list(rule.params.programmes) }}
    group by all
    having gap_days + gap_months > 0
  )
  select
    d.*, coalesce(named.dose_date, same.dose_date) + to_months(p.gap_months) + to_days(p.gap_days) as due,
    due::date as earliest, d._service_date < earliest as violated
  from {{ ref('judged_' ~ rule.form_id) }} as d
  left join programme as p
    on d.dose_no = floor(d.dose_no) and p.code = d.vaccine_code || '-' || d.dose_no::integer
    and d._service_date between p.valid_from and p.valid_to
  left join last_given as named
    on named.child = coalesce(d.child_code, d.archive_no) and named.vaccine = split_part(p.previous, '-', 1)
    and named.dose_no = split_part(p.previous, '-', 2)::integer
  left join last_given as same
    on same.child = coalesce(d.child_code, d.archive_no) and same.vaccine = d.vaccine_code and same.dose_no = d.dose_no - 1
  where {{ in_force(rule, 'd._service_date') }}
)
{% endfor %}
