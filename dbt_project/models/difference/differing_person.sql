-- Of figures of people that differ: too many reported, who does not count and might have been counted (not as required,
-- counted elsewhere, by drafts, by services just outside the span); too few, who counts and might have been left out.
{% set days = var('difference_days') %}
{% set watched = [] %}
{% for item in catalogue_items() if item.model and item.model not in ['recount_archive', 'recount_event'] %}
{% set forms = [item.params.visit_form] if item.params.visit_form else item.reads.keys() | reject('equalto', 'chronic_registry') | list %}
{% if item.model == 'recount_maternal' %}{% set forms = forms[:1] %}{% endif %}
{% for form_id in forms if form_id in catalogue_forms() %}{% do watched.append((item, form_id)) %}{% endfor %}
{% endfor %}

with differing as (
  select * from {{ ref('differing_item') }}
  where report_id <> 'r_archive'
),

watched (report_id, item, form_id) as (
  values (null::varchar, null::varchar, null::varchar)
  {% for item, form_id in watched %}, ('{{ item.report_id }}', '{{ item.item }}', '{{ form_id }}'){% endfor %}
),

counted as (
  select d.*, p.archive_no, p.person, p.entered_on, p.rank
  from differing as d
  join {{ ref('recount_person') }} as p
    on p.report_id = d.report_id and p.item = d.item and p.to_day = d.to_day and p.institution_code = d.institution_code
),

not_counted as (
  select
    d.*, o.archive_no,
    case o.cause
      when '在管无随访' then '在管无随访'
      when '死亡未销或档案已终止' then '死亡未销'
      else '不合口径' end as cause,
    o.cause as detail
  from differing as d
  join {{ ref('recount_open') }} as o
    on o.report_id = d.report_id and o.item = d.item and o.to_day = d.to_day and o.institution_code = d.institution_code
  where d.is_over and not (o.cause = '本年未体检' and o.day is null)
),

duplicates as (
  select
    p.* exclude (person, entered_on, rank), '重复' as cause,
    case when f.institution_code <> p.institution_code then '同一人已在 ' || f.institution_code || ' 计入'
      else '同一人已按档案 ' || f.archive_no || ' 计入' end as detail
  from counted as p
  join {{ ref('recount_person') }} as f
    on f.report_id = p.report_id and f.item = p.item and f.to_day = p.to_day and f.person = p.person and f.rank = 1
  where p.is_over and p.rank > 1
),

drafts as (
  select d.*, s.archive_no, s.record_id, '暂存/作废/退回' as cause, '记录状态：' || s.status as detail
  from differing as d
  join watched as w on w.report_id = d.report_id and w.item = d.item
  join {{ ref('draft_record') }} as s
    on s.form_id = w.form_id and s.institution_code = d.institution_code and s.day between d.from_day and d.to_day
  where d.is_over
),

{% if watched %}
outside as (
  {% for item, form_id in watched %}
  select
    d.*, s.archive_no, case when s.archive_no is null then s.record_id end as record_id, '跨期' as cause,
    '服务日期 ' || min(s._service_date)
      || case when bool_or(s._service_date > d.to_day) then ' 在期后' else ' 在期前' end as detail
  from differing as d
  join {{ ref('judged_' ~ form_id) }} as s
    on s._institution_code = d.institution_code
    and (s._service_date > d.to_day and s._service_date <= d.to_day + {{ days }}
      or s._service_date < d.from_day and s._service_date >= d.from_day - {{ days }})
    {% if item.params.elder_age %}and year(d.to_day) - year(s.birth_date) >= {{ item.params.elder_age }}{% endif %}
    {% if item.model == 'recount_dose' and not item.params.sum_of %}and s.dose_no = floor(s.dose_no) and d.item = concat('vac_done_', lower(s.vaccine_code), '_', s.dose_no::integer){% endif %}
  where d.is_over and d.report_id = '{{ item.report_id }}' and d.item = '{{ item.item }}'
  group by all
  {{ "union all by name" if not loop.last }}
  {% endfor %}
),
{% endif %}

-- who counts, yet is gone by the end, is told by another institution too, or was entered after it
left_out as (
  select
    c.* exclude (person, entered_on, rank),
    case when c.entered_on > c.to_day then '跨期' when f.person is not null then '重复' when a.archive_no is not null then '状态口径' end as cause,
    case
      when c.entered_on > c.to_day then '期内服务，' || c.entered_on || ' 才录入'
      when f.person is not null then '同一人在 ' || f.others || ' 也有记录，归本机构计入'
      else case a.archive_status when '2' then '迁出' when '3' then '死亡' when '4' then '失访' else '注销' end
        || '，状态变更日期 ' || a.archive_status_date || '，期内服务过仍应计入'
    end as detail
  from counted as c
  left join (
    select report_id, item, to_day, person, min(institution_code) filter (rank > 1) as others
    from {{ ref('recount_person') }} group by all having count(distinct institution_code) > 1
  ) as f on f.report_id = c.report_id and f.item = c.item and f.to_day = c.to_day and f.person = c.person
  left join {{ ref('archive_person') }} as a
    on a.archive_no = c.archive_no and a.archive_status in ('2', '3', '4', '9') and a.archive_status_date <= c.to_day
  where not c.is_over and c.rank = 1
)

select *, null::varchar as record_id from not_counted
union all by name select *, null::varchar as record_id from duplicates
union all by name select * from drafts
{% if watched %}
union all by name
select o.* from outside as o
anti join counted as c
  on c.report_id = o.report_id and c.item = o.item and c.to_day = o.to_day and c.archive_no = o.archive_no
{% endif %}
union all by name select *, null::varchar as record_id from left_out where cause is not null
