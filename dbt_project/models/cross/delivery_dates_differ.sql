-- 分娩日期不一致 (PRG-X-002): the forms on one delivery of a woman — its own record, the visit and the examination after
-- it — do not tell one and the same day. Records are of one delivery when no more than so many days lie between one and
-- the next. One finding a woman, on her last such delivery, at the home form's record where there is one
-- (of another form's record only the institution, the doctor and the day are told).
{% set rules = rules_on('delivery_dates_differ') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='told') }}
from (
  with told as (
    {% for form_id in [rule.form_id] + other_forms(rule) %}
    select
      '{{ form_id }}' as form, {{ sql_text(catalogue_forms()[form_id].title) }} as title, {{ loop.index }} as place, archive_no,
      _institution_code, {{ 'record_id' if loop.first else 'null::varchar as record_id' }}, _record_key, doctor_name, _service_date, delivery_date
    from {{ ref('judged_' ~ form_id) }}
    where archive_no is not null and _service_date is not null and delivery_date is not null
    {{ "union all" if not loop.last }}
    {% endfor %}
  ),
  of_deliveries as (
    select *, sum(case when apart <= {{ rule.params.same_delivery_days }} then 0 else 1 end) over (
        partition by archive_no order by _service_date, place, _record_key rows unbounded preceding
      ) as delivery
    from (
      select *, _service_date - lag(_service_date) over (
          partition by archive_no order by _service_date, place, _record_key
        ) as apart
      from told
    )
  ),
  days as (select archive_no, delivery, delivery_date, count(distinct form) as forms from of_deliveries group by all),
  deliveries as (
    select
      t.archive_no, t.delivery, count(distinct t.form) as forms, max(d.forms) as agreeing,
      string_agg(distinct t.title || ' ' || t.delivery_date, '、' order by t.title || ' ' || t.delivery_date) as told
    from of_deliveries as t join days as d using (archive_no, delivery, delivery_date)
    group by all
  )
  select t.*, d.told, case when d.forms > 1 then d.agreeing < d.forms end as violated
  from of_deliveries as t join deliveries as d using (archive_no, delivery)
  {{ worst_of('t.archive_no', 't.delivery desc, t.place, t._service_date, t._record_key') }}
)
{% endfor %}
