{# Ages in whole months, the doses of children and the pregnancies of women, as the rules on them ask. #}

{# Whole months from one day to another (0a.15: the month is full on its day, or on the first day after a shorter one). #}
{% macro full_months(from_day, to_day) -%}
  ((year({{ to_day }}) - year({{ from_day }})) * 12 + month({{ to_day }}) - month({{ from_day }})
    - case when day({{ to_day }}) < day({{ from_day }}) then 1 else 0 end)
{%- endmacro %}

{# The day on which so many months from a day are full (see full_months). #}
{% macro months_full_on(from_day, months) -%}
  (({{ from_day }} + to_months({{ months }}))::date
    + case when day({{ from_day }} + to_months({{ months }})) < day({{ from_day }}) then 1 else 0 end)
{%- endmacro %}

{# What one attribute of a code list says: code, value. #}
{% macro code_attribute(list_id, attribute) -%}
  (select code, value from {{ input('code_list') }}
   where list_id = {{ sql_text(list_id) }} and attribute = {{ sql_text(attribute) }})
{%- endmacro %}

{#
  Every dose a child got, once for each vaccine it stands for: a combined vaccine counts in the series of each of those
  it covers. Columns: child, vaccine, dose_no (as told: 2.75 is no dose of the series), dose_date. `by`: what tells
  children apart.
#}
{% macro doses_in_series(form_id, list_id, by) %}
select
  {{ by }} as child, d.dose_no, d._service_date as dose_date,
  unnest(string_split(coalesce(c.value, d.vaccine_code), '|')) as vaccine
from {{ ref('judged_' ~ form_id) }} as d
left join {{ code_attribute(list_id, 'covers') }} as c on c.code = d.vaccine_code
where d.vaccine_code is not null and d.dose_no is not null and d._service_date is not null
{% endmacro %}

{#
  Bookings of pregnancies, each with the pregnancy it is of: those whose last periods lie no more than `days` apart are
  of one. Columns beside the record's: began (last period, or reckoned from the weeks), pregnancy (number of it).
#}
{% macro bookings(form_id, days) %}
select
  *, sum(case when began - previous <= {{ days }} then 0 else 1 end) over (
    partition by archive_no order by began, _service_date, _record_key rows unbounded preceding
  ) as pregnancy
from (
  select
    *, coalesce(lmp_date, _service_date - (7 * gest_weeks)::integer) as began,
    lag(coalesce(lmp_date, _service_date - (7 * gest_weeks)::integer)) over (
      partition by archive_no order by coalesce(lmp_date, _service_date - (7 * gest_weeks)::integer), _service_date, _record_key
    ) as previous
  from {{ ref('judged_' ~ form_id) }}
  where archive_no is not null and coalesce(lmp_date, _service_date - (7 * gest_weeks)::integer) is not null
)
{% endmacro %}

{# The days a report row speaks of: figures add up since New Year; Y, Q1 … Q4, M01 … M12 say until when. #}
{% macro report_first_day(year) -%}make_date({{ year }}, 1, 1){%- endmacro %}
{% macro report_last_day(year, period) -%}
  last_day(make_date({{ year }}, case when {{ period }} = 'Y' then 12 when {{ period }} like 'Q%' then 3 * right({{ period }}, 1)::integer
    else right({{ period }}, 2)::integer end, 1))
{%- endmacro %}

{# The institutions that delivered a form, with their level and the days of the period that have gone by. #}
{% macro working_institutions(form_id) %}
select
  d.institution_code, any_value(i.level) as level, any_value(n.period_end - n.period_start + 1) as period_days,
  any_value(least(n.period_end, n.today) - n.period_start + 1) as managed_days
from {{ ref('delivery') }} as d
cross join {{ ref('night') }} as n
left join {{ ref('institution') }} as i using (institution_code)
where d.form_id = '{{ form_id }}'
group by d.institution_code
{% endmacro %}

{# An institution's records; with `apart`, without those of the stations that are registered below it. #}
{% macro work_of_institutions(form_id, apart) %}
select a.* from {{ ref('judged_' ~ form_id) }} as a
{% if apart %}
anti join {{ ref('institution') }} as s
  on s.institution_code = a.station_code and s.parent_code = a._institution_code and s.institution_code <> a._institution_code
{% endif %}
{% endmacro %}
