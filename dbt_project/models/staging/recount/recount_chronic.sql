-- 慢病与严重精神障碍 (高血压、2型糖尿病、慢阻肺、精神): who is registered, managed, managed as required (规范管理,
-- reports.md 4.1) and under control, person by person. `kind` of an item says which of these it counts.
{% set items = items_on('recount_chronic') %}
{{ config(enabled=items | length > 0 and 'chronic_registry' in catalogue_forms(), materialized='table') }}
{% set forms = [] %}
{% for item in items if item.params.visit_form and item.params.visit_form not in forms %}{% do forms.append(item.params.visit_form) %}{% endfor %}

with span as (select * from {{ ref('recount_span') }}),

-- Every visit of each form, `is_seen` unless it says that nobody was met; `is_last`: of several on one day the one that
-- stands for it (0a.13)
{% for form in forms %}
{% set columns = ['visit_mode_code', 'class_code', 'birth_date', 'sbp', 'dbp'] %}{% set unmet = [] %}
{% for item in items if item.params.visit_form == form %}
{% set asked = ([item.params.test or ''] + (item.params.every or []) + (item.params.once or [])) | join('|') %}
{% for name in asked.split('|') if name and name not in columns %}{% do columns.append(name) %}{% endfor %}
{% for code in item.params.not_class or [] if code not in unmet %}{% do unmet.append(code) %}{% endfor %}
{% endfor %}
{% set is_seen = 'coalesce(s.class_code not in ' ~ sql_list(unmet) ~ ', true)' if unmet else 'true' %}
{{ form }}_visits as materialized (
  select
    s.archive_no, s.created_at, {% for name in columns if has_column(form, name) %}s.{{ name }}, {% endfor %}s._service_date as day, v.record_key is not null as is_severe,
    {{ is_seen }} as is_seen,
    row_number() over (
      partition by s.archive_no, s._service_date, {{ is_seen }} order by s.created_at desc nulls last, s._record_key desc
    ) = 1 as is_last
  from {{ ref('judged_' ~ form) }} as s
  left join {{ ref('severe_record') }} as v
    on v.form_id = '{{ form }}' and v.institution_code = s._institution_code and v.record_key = s._record_key
  where s.archive_no is not null and s._service_date is not null
),
{{ form }}_days as materialized (
  select *, lead(day) over w as next_day, lag(class_code) over w as class_before
  from {{ form }}_visits where is_last and is_seen
  window w as (partition by archive_no order by day)
),
{% endfor %}

people as ({{ no_people() }})

select * from people
{% for item in items %}
{% set p = item.params %}
{% set visits = p.visit_form ~ '_visits' %}
{# a visit with a severe problem fails the patient (no_severe), else it is no visit among those required (valid_visit) #}
{% set valid = 's.is_seen' if p.no_severe or p.kind != 'standard' else 's.is_seen and not s.is_severe' %}
union all by name
select
  '{{ item.report_id }}' as report_id, '{{ item.item }}' as item, from_day, to_day, institution_code, archive_no, person,
  last_day as day, entered_on, cause is null as counted, is_open,
  cause
from (
  with registered as (
    select * from {{ ref('managed_span') }} where disease = {{ sql_text(p.disease) }}
  )
  {% if p.visit_form %},
  visited as (
    select
      e.from_day, e.to_day, s.archive_no, max(s.day) as last_day, min(s.created_at)::date as entered_on,
      count(distinct s.day) filter (s.is_seen) as visits,
      count(distinct s.day) filter ({{ valid }}{% if p.face_to_face %} and s.visit_mode_code in {{ sql_list(p.face_to_face) }}{% endif %}) as met,
      count(distinct s.day) filter ({% if p.test %}s.{{ p.test }} is not null{% else %}true{% endif %}) as tests,
      bool_or(s.is_severe) as is_severe,
      {% if p.able_class %}bool_or(s.class_code in {{ sql_list(p.able_class) }}) filter (s.is_seen) as is_able,{% endif %}
      {% for group in p.once or [] %}
      bool_or({% for column in group.split('|') %}s.{{ column }} is not null{% if not loop.last %} or {% endif %}{% endfor %}) as once_{{ loop.index }},
      {% endfor %}
      bool_and({% for column in p.every or [] %}s.{{ column }} is not null and {% endfor %}true) filter (s.is_seen) as every_time
    from {{ visits }} as s join span as e on s.day between e.from_day and e.to_day
    group by all
  ),
  followed as (
    select
      e.from_day, e.to_day, s.archive_no,
      {% if p.last_class %}
      arg_max_null(coalesce(s.class_code in {{ sql_list(p.last_class) }}, false), s.day) as is_good,
      {% elif p.sbp_below %}
      arg_max_null(coalesce(
        s.sbp < case when {{ whole_years('s.birth_date', 's.day') }} >= {{ p.elder_age }} then {{ p.elder_sbp_below }} else {{ p.sbp_below }} end
        and s.dbp < case when {{ whole_years('s.birth_date', 's.day') }} >= {{ p.elder_age }} then {{ p.elder_dbp_below }} else {{ p.dbp_below }} end
        and s.birth_date <= s.day, false), s.day) as is_good,
      {% elif p.test_below %}
      arg_max_null(coalesce(s.{{ p.test }} < {{ p.test_below }}, false), s.day) as is_good,
      {% endif %}
      bool_or(coalesce(
        s.day + ({{ wait_days(p) }})::integer <= least(e.to_day, m.ended_on)
        and coalesce(s.next_day > s.day + ({{ wait_days(p) }})::integer, true), false)) as is_late
    from {{ p.visit_form }}_days as s
    join span as e on s.day between e.from_day and e.to_day
    join registered as m on m.archive_no = s.archive_no and m.from_day = e.from_day and m.to_day = e.to_day
    group by all
  )
  {% endif %}
  {% if p.exam_form %},
  exams as (
    select e.from_day, e.to_day, s.archive_no, count(distinct s._service_date) as exams
    from {{ ref('judged_' ~ p.exam_form) }} as s join span as e on s._service_date between e.from_day and e.to_day
    where s.archive_no is not null
    group by all
  )
  {% endif %}
  {% if p.consent_form %},
  willing as (
    select distinct archive_no from {{ ref('judged_' ~ p.consent_form) }} where archive_no is not null and consent_code in {{ sql_list(p.consent) }}
  )
  {% endif %}
  select
    m.*,
    {% if p.visit_form %}v.last_day, v.entered_on{% else %}m.register_date as last_day, null::date as entered_on{% endif %},
    {% if p.kind == 'registered' %}false
    {% elif p.kind == 'managed' %}m.managed_days > 0
    {% elif p.kind == 'standard' %}m.managed_days > 0 {% if p.no_severe %}and not coalesce(v.is_severe, false) {% endif %}and not coalesce(f.is_late, false) and coalesce(v.every_time, true)
    {% else %}m.managed_days > 0{% endif %} as is_open,
    case
      when m.managed_days = 0 then '死亡未销或档案已终止'
      {% if p.consent_form %}when m.archive_no not in (select archive_no from willing) then '不同意参加管理'{% endif %}
      {% if p.visit_form %}when coalesce(v.visits, 0) = 0 then '在管无随访'{% endif %}
      {% if p.kind == 'controlled' %}when not f.is_good then '最近一次随访未达标'{% endif %}
      {% if p.kind == 'standard' %}
      {% if p.no_severe %}when v.is_severe then '随访有严重问题'{% endif %}
      when f.is_late then '未按期再随访'
      when not v.every_time then '随访缺必做项目'
      when v.met < ({{ p.min_visits }} * m.managed_days) // m.year_days then '随访次数不足'
      {% if p.min_tests %}when v.tests < ({{ p.min_tests }} * m.managed_days) // m.year_days then '检测次数不足'{% endif %}
      {% for group in p.once or [] %}when not v.once_{{ loop.index }} then '年内应做的检查或评估未做'
      {% endfor %}
      {% if p.exam_form %}when {% if p.able_class %}coalesce(v.is_able, true) and {% endif %}coalesce(x.exams, 0) < {{ p.min_exams }} then '本年未体检'{% endif %}
      {% endif %}
    end as cause
  from registered as m
  {% if p.visit_form %}
  left join visited as v on v.archive_no = m.archive_no and v.from_day = m.from_day and v.to_day = m.to_day
  left join followed as f on f.archive_no = m.archive_no and f.from_day = m.from_day and f.to_day = m.to_day
  {% endif %}
  {% if p.exam_form %}
  left join exams as x on x.archive_no = m.archive_no and x.from_day = m.from_day and x.to_day = m.to_day
  {% endif %}
)
{% endfor %}
