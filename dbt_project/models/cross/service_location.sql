-- 定位: two residents too far apart for the time between their entries (AUT-A-016), nearly all of an institution's services
-- at one point (017). The place is the platform's (service_lng, service_lat); the time is that of entry, since a record is
-- made where it is located; a time of exactly midnight is a date without time.
{% set rules = rules_on('service_location') %}

{{ no_findings() }}

{% for one in over_forms(rules) %}{% set rule = one.rule %}{% set p = rule.params %}
{% if p.impossible == 'speed' %}
{{ finding_of(rule, 'doctor_name',
  observed="strftime(before_at, '%Y-%m-%d %H:%M') || ' 至 ' || strftime(created_at, '%H:%M') || '，相距 '
    || printf('%.0f', distance_km) || ' 公里'",
  expected=sql_text(p.max_minutes ~ ' 分钟内 ≤' ~ p.max_km ~ ' 公里'), doctor='doctor_name', day='day', form='form_id') }}
from (
  with placed as (
    select form_id, _institution_code as institution_code, doctor_name, archive_no, created_at, created_at::date as day,
      radians(service_lng) as lng, radians(service_lat) as lat
    from {{ ref('judged_record') }}
    where form_id in {{ sql_list(one.forms) }} and doctor_name is not null and archive_no is not null
      and service_lng is not null and service_lat is not null and created_at <> created_at::date::timestamp
      and created_at::date = _service_date and {{ in_force(rule) }}
  ),
  moves as (
    select *, lag(archive_no) over entry as before_no, lag(created_at) over entry as before_at,
      2 * 6371 * asin(least(1, sqrt(pow(sin((lat - lag(lat) over entry) / 2), 2)
        + cos(lat) * cos(lag(lat) over entry) * pow(sin((lng - lag(lng) over entry) / 2), 2)))) as distance_km
    from placed
    window entry as (partition by form_id, institution_code, doctor_name, day order by created_at, archive_no)
  )
  select *, before_no <> archive_no and distance_km > {{ p.max_km }}
    and created_at - before_at < interval {{ p.max_minutes }} minute as violated
  from moves
  where before_at is not null
  {{ first_of('form_id, institution_code, doctor_name', 'violated desc, distance_km desc, created_at desc') }}
)
{% else %}
{{ finding_of(rule, 'institution_code', observed="n || ' 条中 ' || " ~ told_share('most::double / n') ~ " || ' 在同一点'",
  expected="'≤' || " ~ told_share(p.max_share), form='form_id') }}
from (
  with points as (
    select form_id, _institution_code as institution_code, count(*) as times
    from {{ ref('judged_record') }}
    where form_id in {{ sql_list(one.forms) }} and service_lng is not null and service_lat is not null
      and {{ in_period() }}
    group by form_id, _institution_code, round(service_lng, {{ p.decimals }}), round(service_lat, {{ p.decimals }})
  )
  select form_id, institution_code, sum(times)::bigint as n, max(times) as most,
    case when sum(times) >= {{ p.min_n }} then max(times) > {{ p.max_share }} * sum(times) end as violated
  from points group by all
)
{% endif %}
{% endfor %}
