-- 测量值雷同 (CHD-A-001): children of one village born in one month with exactly the same measurements. Every child of
-- such a group is told, with the size of the group.
{% set rules = rules_on('same_measurements') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
{% set columns = [] %}
{% for c in rule.params.compare if c in var('forms')[rule.form_id].columns %}{% do columns.append(c) %}{% endfor %}
union all by name
select
  {{ of_rule(rule) }}, _institution_code as institution_code, {{ of_record('violated', 'archive_no') }},
  case when violated then told || '，' || children || ' 人' end as observed,
  case when violated then '<{{ rule.params.min_children }}' end as expected, violated
from (
  select
    *, concat_ws('/', {% for c in columns %}{{ plain_number(c) }}{{ ", " if not loop.last }}{% endfor %}) as told,
    case when region_code is not null and birth_date is not null
      {%- for c in columns %} and {{ c }} is not null{% endfor %} then children >= {{ rule.params.min_children }} end as violated
  from (
    select *, count(distinct archive_no) over (
        partition by region_code, date_trunc('month', birth_date), {{ columns | join(', ') }}
      ) as children
    from {{ ref('judged_' ~ rule.form_id) }}
    where archive_no is not null and {{ in_force(rule) }}
  )
  qualify row_number() over (
    partition by archive_no order by coalesce(violated, false) desc, violated is null, _service_date desc, _record_key
  ) = 1
)
{% endfor %}
