-- 产前检查不足 (PRG-T-002): pregnancies that ended in the period — by a delivery on record, else so many days after the
-- day expected — with too few days on which the woman was examined. One of which nothing is known but that another one
-- began before it could end is left out. One finding a woman, on her last such pregnancy.
{% set rules = rules_on('prenatal_visits_few') %}

{{ no_findings() }}

{% for rule in rules %}
{% set later, deliveries = other_forms(rule)[0], other_forms(rule)[1] %}
{{ finding(rule, observed='visits::varchar', expected=sql_text(rule.params.min_visits)) }}
from (
  with booked as (
    select *, lead(began) over (partition by archive_no order by pregnancy) as next_began
    from (
      select * from ({{ bookings(rule.form_id, rule.params.same_pregnancy_days) }})
      {{ first_of('archive_no, pregnancy', '_service_date, _record_key') }}
    )
  ),
  pregnancies as (
    select
      *, case when delivered_on is not null then delivered_on when next_began <= over_on then null else over_on end as ended_on
    from (
      select
        b.*, coalesce(b.edd_date, b.began + {{ rule.params.term_days }}) + {{ rule.params.overdue_days }} as over_on,
        d._service_date as delivered_on
      from booked as b
      left join {{ ref('judged_' ~ deliveries) }} as d
        on d.archive_no = b.archive_no and d._service_date > b.began
        and d._service_date between b._service_date and b.began + {{ rule.params.longest_days }}
      {{ first_of('b.archive_no, b.pregnancy', 'd._service_date') }}
    )
  ),
  examined as (
    select archive_no, _service_date from {{ ref('judged_' ~ rule.form_id) }}
    union
    select archive_no, _service_date from {{ ref('judged_' ~ later) }}
  ),
  counted as (
    select p.*, count(distinct e._service_date) as visits
    from pregnancies as p
    left join examined as e on e.archive_no = p.archive_no and e._service_date between p.began and p.ended_on
    where {{ in_period('p.ended_on') }}
    group by all
  )
  select *, visits < {{ rule.params.min_visits }} as violated
  from counted
  {{ first_of('archive_no', 'violated desc, ended_on desc, _record_key') }}
)
{% endfor %}
