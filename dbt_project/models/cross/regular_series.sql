-- 过于规律: a person's readings never change (AUT-A-007), rise or fall by the same step (021), hardly vary (022), or the
-- visits lie exactly as many days apart, time after time (032). Visits in order as 0a.13 has them; one finding a person,
-- on the last visit.
{% set rules = rules_on('regular_series') %}

{{ no_findings() }}

{% for rule in rules %}{% set p = rule.params %}
{% set by_date = p.regular == 'equal intervals' %}
{{ finding(rule, observed='told', day='visit_date') }}
from (
  with visits as (
    {{ visits_in_order(rule.form_id, ['sbp', 'dbp'], none if by_date else "date '0001-01-01'") }}
  ),
  steps as (
    select *, visit_date - lag(visit_date) over visit as days, sbp - lag(sbp) over visit as sbp_step,
      dbp - lag(dbp) over visit as dbp_step
    from visits
    {% if not by_date %}where sbp is not null{% if p.regular != 'no change' %} and dbp is not null{% endif %}{% endif %}
    window visit as (partition by archive_no order by visit_date)
  ),
  people as (
    select
      archive_no, count(*) as n, max(visit_date) as visit_date, arg_max_null(_institution_code, visit_date) as _institution_code,
      arg_max_null(record_id, visit_date) as record_id, arg_max_null(doctor_name, visit_date) as doctor_name,
      min(days) as least_days, max(days) as most_days, min(sbp) as least_sbp, max(sbp) as most_sbp,
      min(sbp_step) as least_step, max(sbp_step) as most_step, min(dbp_step) as least_dbp_step,
      max(dbp_step) as most_dbp_step, stddev_pop(sbp) as sbp_sd, stddev_pop(dbp) as dbp_sd
    from steps group by archive_no
  )
  select *,
    case when n >= {{ p.min_n }} then
    {% if p.regular == 'no change' %}
      least_sbp = most_sbp end as violated, n || ' 次都是 ' || {{ plain_number('least_sbp') }} as told
    {% elif p.regular == 'equal steps' %}
      round(least_step - most_step, 6) = 0 and least_step <> 0 and round(least_dbp_step - most_dbp_step, 6) = 0 end as violated,
      n || ' 次，收缩压每次相差 ' || {{ plain_number('least_step') }} || '，舒张压每次相差 '
        || {{ plain_number('least_dbp_step') }} as told
    {% elif p.regular == 'hardly varying' %}
      round(sbp_sd, 6) < {{ p.max_sd }} and round(dbp_sd, 6) < {{ p.max_sd }} end as violated,
      n || ' 次，收缩压标准差 ' || printf('%.2f', sbp_sd) || '，舒张压标准差 ' || printf('%.2f', dbp_sd) as told
    {% else %}
      least_days = most_days end as violated, n || ' 次随访，每次相隔 ' || least_days || ' 天' as told
    {% endif %}
  from people
)
{% endfor %}
