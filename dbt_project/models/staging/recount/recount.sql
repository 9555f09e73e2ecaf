-- Every figure that can be counted in the records, for each institution that delivered what it takes and each span that
-- the item's report speaks of: nought where nobody counts, no row where nobody can tell.
{{ config(materialized='table') }}
{% set items = catalogue_items() | selectattr('recomputed') | list %}

with needs (report_id, item, any_suffices, form_id, columns) as (
  values (null::varchar, null::varchar, null::boolean, null::varchar, null::varchar[])
  {% for item in items %}{% for form_id, columns in item.reads.items() %}
  , ('{{ item.report_id }}', '{{ item.item }}', {{ item.reads_any }}, '{{ form_id }}', {{ columns }})
  {%- endfor %}{% endfor %}
),

-- An institution can be compared on an item when it delivered the forms, with the columns, that the item is counted from.
comparable as (
  select n.report_id, n.item, i.institution_code
  from needs as n
  cross join (select distinct institution_code from {{ ref('delivery') }}) as i
  left join {{ ref('delivery') }} as d
    on d.institution_code = i.institution_code and d.form_id = n.form_id
    and not list_has_any(coalesce(d.missing_columns, []), n.columns)
  where n.item is not null
  group by n.report_id, n.item, i.institution_code
  having case when bool_or(n.any_suffices) then bool_or(d.form_id is not null) else bool_and(d.form_id is not null) end
),

spans as (
  select distinct n.report_id, s.from_day, s.to_day
  from {{ ref('report_span') }} as s
  join (select distinct report_id from needs) as n on n.report_id = s.report_id or s.report_id is null
),

counted as (
  select report_id, item, from_day, to_day, institution_code, count(*)::double as recomputed
  from {{ ref('recount_person') }} where rank = 1 group by all
  {% for model in recount_models() if model in ['recount_archive', 'recount_event'] %}
  union all by name select * from {{ ref(model) }}
  {% endfor %}
),

single as (
  select c.report_id, c.item, s.from_day, s.to_day, c.institution_code, coalesce(f.recomputed, 0) as recomputed
  from comparable as c
  join spans as s on s.report_id = c.report_id
  left join counted as f
    on f.report_id = c.report_id and f.item = c.item and f.to_day = s.to_day and f.institution_code = c.institution_code
)

select * from single
where item not in ({% for item in items if item.params.sum_of %}'{{ item.item }}', {% endfor %}'')
{% for item in items if item.params.sum_of %}
union all by name
select
  '{{ item.report_id }}' as report_id, '{{ item.item }}' as item, from_day, to_day, institution_code, sum(recomputed) as recomputed
from single where report_id = '{{ item.report_id }}' and starts_with(item, '{{ item.params.sum_of }}')
group by all
{% endfor %}
-- what an item comes to by other definitions of it (规范化档案 S1, S2, S3)
{% if 'recount_archive' in recount_models() %}
union all by name select * from {{ ref('recount_archive') }} where starts_with(item, 'ehr_standard_')
{% endif %}
