-- 应做名单: who is due which service (rules/services.yaml): overdue, to be done this month, or falling due soon. Whom: those
-- under management with a disease today, or of an age; when: so long after the last service, by its class, or within the
-- year. Only what was done by today counts.
{{ config(materialized='table') }}
{% set services = [] %}
{% for one in catalogue_services() if one.form_id in catalogue_forms() and (one.elder_age is not none or 'chronic_registry' in catalogue_forms()) %}{% do services.append(one) %}{% endfor %}

with night as (
  select *, make_date(year(period_end), 1, 1) as year_start, last_day(make_date(year(period_end), 12, 1)) as year_end
  from {{ ref('night') }}
),

listed as (
  select null::varchar as institution_code, null::varchar as archive_no, null::varchar as doctor_name,
    null::varchar as service_id, null::varchar as service_title, null::varchar as form_id, null::date as last_service,
    null::varchar as last_class, null::date as due_by, null::integer as lead_days, null::integer as horizon_days,
    null::bigint as done, null::bigint as needed
  where false
  {% for one in services %}
  {% set ends = one.ended_by and has_column(one.form_id, one.ended_by) %}
  {% set with_class = one.class_field and has_column(one.form_id, one.class_field) %}
  union all by name
  select
    institution_code, archive_no, doctor_name, '{{ one.service_id }}' as service_id, {{ sql_text(one.title) }} as service_title,
    '{{ one.form_id }}' as form_id, last_service, last_class,
    {% if one.interval_days %}
    coalesce(last_service, since) + (
      {% if one.class_days %}case {% for code, days in one.class_days.items() %}when last_class = {{ sql_text(code) }} then {{ days }} {% endfor %}else {{ one.interval_days }} end
      {% else %}{{ one.interval_days }}{% endif %}
    )::integer
    {% else %}case when done < needed then year_end end{% endif %} as due_by,
    {{ one.lead_days }} as lead_days, {{ one.horizon_days }} as horizon_days, done, needed
  from (
    with who as (
      {% if one.elder_age is not none %}
      select p.institution_code, p.archive_no, p.doctor_name, greatest(p.archive_date, n.year_start) as since,
        {{ one.times }}::bigint as needed, n.year_end
      from {{ ref('archive_person') }} as p cross join night as n
      where year(n.year_end) - year(p.birth_date) >= {{ one.elder_age }} and coalesce(p.archive_status, '1') = '1'
        and p.archive_date <= n.today
      {% else %}
      select m.institution_code, m.archive_no, m.doctor_name, m.register_date as since,
        greatest(1, ({{ one.times }} * m.managed_days) // m.year_days)::bigint as needed, n.year_end
      from {{ ref('managed_span') }} as m
      join night as n on n.year_end = m.to_day
      where m.disease = {{ sql_text(one.disease) }} and m.managed_days > 0 and m.ended_on > n.today and not m.left_open
      {% endif %}
    ),
    served as (
      select
        s.archive_no, max(s._service_date) as last_service,
        {% if with_class %}arg_max_null(s.{{ one.class_field }}, (s._service_date, coalesce(s.created_at, timestamp '0001-01-01'), s._record_key)){% else %}null::varchar{% endif %} as last_class,
        {% if ends %}max(s._service_date) filter (s.{{ one.ended_by }} is not null){% else %}null::date{% endif %} as ended_on,
        count(distinct s._service_date) filter (s._service_date >= n.year_start) as done
      from {{ ref('judged_' ~ one.form_id) }} as s cross join night as n
      where s.archive_no is not null and s._service_date <= n.today
        {% if one.modes %}and s.visit_mode_code in {{ sql_list(one.modes) }}{% endif %}
      group by s.archive_no
    )
    select w.*, s.last_service, s.last_class, coalesce(s.done, 0) as done
    from who as w left join served as s on s.archive_no = w.archive_no
    where not coalesce(s.ended_on >= w.since, false)
  )
  {% endfor %}
)

select
  l.institution_code, i.institution_name, l.archive_no, l.doctor_name, l.service_id, l.service_title, l.form_id,
  {{ form_title('l.form_id') }} as form_title, l.last_service, l.last_class, l.due_by - l.lead_days as due_from, l.due_by,
  case
    when l.due_by < n.today then '逾期'
    when l.due_by <= last_day(n.today) then '本月应做'
    else '将到期'
  end as state,
  greatest(0, n.today - l.due_by) as overdue_days, l.done, l.needed
from listed as l
cross join night as n
left join {{ ref('institution') }} as i on i.institution_code = l.institution_code
where l.due_by <= greatest(n.today + l.horizon_days, last_day(n.today))
