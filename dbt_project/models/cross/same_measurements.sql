-- 测量值雷同 (CHD-A-001): children of one village born in one month with exactly the same measurements. Every child of
-- such a group is told, with the size of the group.
{% set rules = rules_on('same_measurements') %}

{{ no_findings() }}

{% for rule in rules %}
{% set columns = [] %}
{% for c in rule.params.compare if c in catalogue_forms()[rule.form_id].columns %}{% do columns.append(c) %}{% endfor %}
{{ finding(rule, observed="told || '，' || children || ' 人'", expected=sql_text('<' ~ rule.params.min_children)) }}
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
  {{ worst_of('archive_no', '_service_date desc, _record_key') }}
)
{% endfor %}
