-- Of figures counted from records (activities, reports, patrols, live births) that differ: too many reported, the records
-- that do not count and might have been counted; too few, those that count and were entered too late. `amount`: how much
-- of the figure a record is worth, for a sum what it adds.
{% set days = var('difference_days') %}
{% set items = items_on('recount_event') %}

with differing as (select * from {{ ref('differing_item') }})

select
  null::varchar as institution_code, null::varchar as report_id, null::integer as year, null::varchar as period,
  null::varchar as item, null::varchar as archive_no, null::varchar as record_id, null::varchar as cause,
  null::varchar as detail, null::double as amount
where false
{% for item in items %}
{% set p = item.params %}
{% set form = item.reads.keys() | first %}
{% set amount = 'coalesce(s.' ~ p.column ~ ', ' ~ (p.empty_is or 0) ~ ')' if p.measure == 'sum' else '1' %}
{% set mine = "d.report_id = '" ~ item.report_id ~ "' and d.item = '" ~ item.item ~ "'" %}
{% set of_kind = 'true' if not p.where else 's.' ~ p.where ~ ' in ' ~ sql_list(p.is) %}
union all by name
select
  d.institution_code, d.report_id, d.year, d.period, d.item,
  {% if has_column(form, 'archive_no') %}s.archive_no{% else %}null::varchar as archive_no{% endif %}, s.record_id,
  case when s._service_date between d.from_day and d.to_day and d.is_over then '不合口径' else '跨期' end as cause,
  case
    when not d.is_over then '期内服务，' || s.created_at::date || ' 才录入'
    when s._service_date > d.to_day then '服务日期 ' || s._service_date || ' 在期后'
    when s._service_date < d.from_day then '服务日期 ' || s._service_date || ' 在期前'
    {% if p.where %}when s.{{ p.where }} is null then '没有填明类别或结果'
    when s.{{ p.where }} not in {{ sql_list(p.is) }} then '类别或结果不属于这一项'{% endif %}
    else '没有在时限内报告' end as detail,
  {{ amount }}::double as amount
from differing as d
join {{ ref('judged_' ~ form) }} as s on s._institution_code = d.institution_code
where {{ mine }} and case
    when not d.is_over then {{ of_kind }} and s._service_date between d.from_day and d.to_day and s.created_at::date > d.to_day
    when s._service_date between d.from_day and d.to_day
      then {% if p.hours %}not {{ in_time(p) }}{% elif p.where %}not coalesce({{ of_kind }}, false){% if not p.other_kinds %} and s.{{ p.where }} is null{% endif %}{% else %}false{% endif %}
    else {{ of_kind }} {% if p.hours %}and {{ in_time(p) }} {% endif %}and s._service_date between d.from_day - {{ days }} and d.to_day + {{ days }}
  end
{% endfor %}

{# records that take no part, of any of the kinds that are counted #}
{% for item in items %}
{% set p = item.params %}
{% set form = item.reads.keys() | first %}
union all by name
select
  d.institution_code, d.report_id, d.year, d.period, d.item, s.archive_no, s.record_id, '暂存/作废/退回' as cause,
  '记录状态：' || s.status as detail, {% if p.measure == 'sum' %}null::double{% else %}1::double{% endif %} as amount
from differing as d
join {{ ref('draft_record') }} as s
  on s.form_id = '{{ form }}' and s.institution_code = d.institution_code and s.day between d.from_day and d.to_day
where d.is_over and d.report_id = '{{ item.report_id }}' and d.item = '{{ item.item }}'
{% endfor %}
