-- 接种率 (VAC-R-001): the rate an institution reports (doses given of doses due) against the rate in its cards and doses.
-- Due are the routine doses of children with a card whose least age, and the days of grace after it, passed in the
-- report's period; given are those with a dose on record by today. Only where both rates stand.
{% set rules = rules_on('vaccination_rate') %}

{{ no_findings() }}

{% for rule in rules %}
{% set cards, doses = (other_forms(rule) | sort)[0], (other_forms(rule) | sort)[1] %}
{{ finding_of(rule, 'institution_code', observed="round(reported, 1) || '%'",
  expected="round(registered, 1) || '%'", period=report_period()) }}
from (
  with reports as (
    select
      institution_code, year, period,
      {{ report_first_day('year') }} as from_day, {{ report_last_day('year', 'period') }} as to_day,
      round(100 * max(value) filter (item = {{ sql_text(rule.params.done_item) }})
        / nullif(max(value) filter (item = {{ sql_text(rule.params.due_item) }}), 0), 6) as reported
    from {{ ref('report_cells') }}
    where report_id = '{{ rule.form_id }}'
    group by all
  ),
  programme as (
    select
      code, split_part(code, '-', 1) as vaccine, split_part(code, '-', 2)::integer as dose_no,
      coalesce(valid_from, date '0001-01-01') as valid_from, coalesce(valid_to, date '9999-12-31') as valid_to,
      max(value) filter (attribute = 'min_age_months')::integer as months
    from {{ input('code_list') }}
    where list_id in {{ sql_list(rule.params.programmes) }} and code in {{ sql_list(rule.params.doses) }}
    group by all
  ),
  given as (
    select child, vaccine, dose_no, min(dose_date) as given_on
    from ({{ doses_in_series(doses, rule.params.vaccines, 'd.child_code') }}) group by all
  ),
  due as (
    select c._institution_code as institution_code, ready_on, g.child is not null as done
    from (
      select c.*, p.*, (c.birth_date + to_months(p.months))::date + {{ rule.params.grace_days }} as ready_on
      from {{ ref('judged_' ~ cards) }} as c cross join programme as p
      where c.child_code is not null and ready_on between p.valid_from and p.valid_to
        and coalesce(c.moveout_date > ready_on, true)
    ) as c
    left join given as g on g.child = c.child_code and g.vaccine = c.vaccine and g.dose_no >= c.dose_no
    {{ first_of('c._institution_code, c.child_code, c.code', 'g.dose_no') }}
  )
  select
    r.institution_code, r.year, r.period, any_value(r.reported) as reported,
    round(100.0 * count(*) filter (d.done) / nullif(count(d.ready_on), 0), 6) as registered,
    abs(any_value(r.reported) - registered) > {{ rule.params.max_difference }} as violated
  from reports as r
  left join due as d on d.institution_code = r.institution_code and d.ready_on between r.from_day and least(r.to_day, {{ today() }})
  group by r.institution_code, r.year, r.period
)
{% endfor %}
