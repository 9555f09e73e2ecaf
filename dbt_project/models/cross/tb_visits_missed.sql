-- 肺结核督导访视 (TB-T-003, T-004: too many days between two visits; TB-T-002: months of treatment without a visit). The
-- first visit at home counts as one, and as that of the first month. Who watches the doses is told by the later visit of
-- two (by the last one for months), the phase by the month of treatment that it tells. One finding a person; who has
-- only the first visit has no record of follow-up to point at.
{% set rules = rules_on('tb_visits_missed') %}

{{ no_findings() }}

{% for rule in rules if rule.params.max_gap_days %}
{{ finding(rule, observed='gap_days::varchar', expected=sql_text('≤' ~ rule.params.max_gap_days), day='visit_date') }}
from (
  with follow_ups as (
    {{ visits_in_order('tb_followup', ['treatment_month', 'supervisor_code', 'stop_date']) }}
  ),
  first_visits as (
    {{ visits_in_order('tb_first_visit', []) }}
  ),
  visits as (
    select *, true as follows from follow_ups
    union all by name
    select f.*, false as follows from first_visits as f
    anti join follow_ups as u on u.archive_no = f.archive_no and u.visit_date = f.visit_date
  ),
  gaps as (
    select
      *, case when lag(stop_date) over before is null then visit_date - lag(visit_date) over before end as gap_days
    from visits
    window before as (partition by archive_no order by visit_date)
  )
  select
    *,
    case
      when supervisor_code in {{ sql_list(rule.params.supervisors) }}
        and treatment_month between {{ rule.params.from_month }} and {{ rule.params.to_month }}
      then gap_days > {{ rule.params.max_gap_days }}
    end as violated
  from gaps
  where follows
  {{ worst_of('archive_no', 'gap_days desc nulls last, visit_date desc') }}
)
{% endfor %}

{% for rule in rules if not rule.params.max_gap_days %}
-- A month is one of the calendar from the first visit of the person's last treatment; it is judged when it is over, while
-- the treatment lasts, and lies in the period with its last day. A visit stands for the month it tells and for the one
-- its date lies in.
{{ finding(rule, observed='missed', day='visit_date') }}
from (
  with started as (
    select * from {{ ref('judged_tb_first_visit') }}
    where archive_no is not null and _service_date <= {{ period_until_today() }}
    {{ first_of('archive_no', '_service_date desc, _record_key desc') }}
  ),
  visits as (
    select u.*, s._service_date as started_on
    from {{ ref('judged_tb_followup') }} as u
    join started as s on s.archive_no = u.archive_no and u._service_date >= s._service_date
    where u._service_date <= {{ period_until_today() }}
  ),
  last_visit as (
    select *,
      min(stop_date) over person as stopped_on, max(treatment_month) over person as last_month
    from visits
    window person as (partition by archive_no)
    {{ first_of('archive_no', '_service_date desc, _record_key desc') }}
  ),
  treatments as (
    select
      s.archive_no, s._service_date as started_on,
      coalesce(v._institution_code, s._institution_code) as _institution_code,
      v.record_id, coalesce(v.doctor_name, s.doctor_name) as doctor_name,
      coalesce(v._service_date, s._service_date) as visit_date,
      coalesce(v.supervisor_code, s.supervisor_code) as supervisor_code,
      greatest(v.last_month, {{ rule.params.course_months }})::integer as months,
      least({{ period_until_today() }}, v.stopped_on, case
        when coalesce(v.archive_status, s.archive_status) in {{ sql_list(rule.params.closed_status) }}
        then coalesce(v.archive_status_date, s.archive_status_date) end) as until
    from started as s left join last_visit as v on v.archive_no = s.archive_no
  ),
  months as (
    select
      t.archive_no, m.month, (t.started_on + to_months(m.month - 1))::date as from_day,
      (t.started_on + to_months(m.month))::date as next_day
    from treatments as t, unnest(range(2, t.months + 1)) as m(month)
    where next_day <= t.until and next_day - {{ in_period('1') }}
  ),
  seen as (
    select m.archive_no, m.month, bool_or(v._service_date is not null) as visited
    from months as m
    left join visits as v on v.archive_no = m.archive_no
      and (v.treatment_month = m.month or (v._service_date >= m.from_day and v._service_date < m.next_day))
    group by all
  ),
  judged as (
    select archive_no, string_agg(month::varchar, '、' order by month) filter (not visited) as missed from seen group by archive_no
  )
  select
    t.*, j.missed,
    case
      when t.supervisor_code in {{ sql_list(rule.params.supervisors) }} and j.archive_no is not null
      then j.missed is not null
    end as violated
  from treatments as t left join judged as j on j.archive_no = t.archive_no
)
{% endfor %}
