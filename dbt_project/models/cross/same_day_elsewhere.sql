-- 同日异地 (XFM-X-020): services of one person on one day at institutions farther apart than the limit, by the places told
-- on the records. One finding a person, on the last such day, on the profile. Who has no record with a place is not judged.
{% set rules = rules_on('same_day_elsewhere') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed="day || '：' || round(km)::bigint || ' 公里'",
  expected=sql_text('≤' ~ rule.params.max_km ~ ' 公里'), day='day') }}
from (
  with placed as (
    select archive_no, _service_date as day, coalesce(institution_code, _institution_code) as place,
      radians(service_lng) as lng, radians(service_lat) as lat
    from {{ ref('judged_record') }}
    where form_id in {{ sql_list(other_forms(rule)) }} and archive_no is not null and _service_date is not null
      and service_lng is not null and service_lat is not null
  ),
  -- days on which one person was at several institutions: few
  several as (select archive_no, day from placed group by all having count(distinct place) > 1),
  apart as (
    select a.archive_no, a.day, max(2 * {{ rule.params.earth_radius_km }} * asin(sqrt(least(1,
      pow(sin((b.lat - a.lat) / 2), 2) + cos(a.lat) * cos(b.lat) * pow(sin((b.lng - a.lng) / 2), 2))))) as km
    from several as s
    join placed as a on a.archive_no = s.archive_no and a.day = s.day
    join placed as b on b.archive_no = s.archive_no and b.day = s.day and b.place > a.place
    group by all
  ),
  worst as (
    select archive_no, arg_max(km, day) as km, max(day) as day from apart
    where round(km, 6) > {{ rule.params.max_km }} group by all
  )
  select p._institution_code, p.archive_no, p.record_id, p.doctor_name, w.day, w.km,
    w.archive_no is not null as violated
  from {{ ref('judged_' ~ rule.form_id) }} as p
  semi join placed as k on k.archive_no = p.archive_no
  left join worst as w on w.archive_no = p.archive_no
  where p.archive_no is not null
  {{ first_of('p._institution_code, p.archive_no', 'p._record_key') }}
)
{% endfor %}
