-- 千篇一律: a doctor's texts are one and the same (AUT-A-020), a field of an institution has one answer throughout (025).
{% set rules = rules_on('one_answer') %}

{{ no_findings() }}

{% for rule in rules %}{% set p = rule.params %}
{% set columns = [] %}
{% for column in p.columns if column in catalogue_forms()[rule.form_id].columns %}{% do columns.append(column) %}{% endfor %}
{% set whose = 'doctor_name' if rule.subject_kind == 'doctor' else '_institution_code' %}
{{ finding_of(rule, 'subject', observed='told', expected="'≤' || " ~ told_share(p.max_share),
  doctor='subject' if rule.subject_kind == 'doctor' else 'null::varchar') }}
from (
  with answers as (
    {% for column in columns %}
    select _institution_code as institution_code, {{ whose }} as subject, '{{ column }}' as item,
      {{ column }}::varchar as answer, count(*) as times
    from {{ ref('judged_' ~ rule.form_id) }}
    where {{ column }} is not null and {{ whose }} is not null
      and {{ in_period() }}
    group by all
    {{ 'union all' if not loop.last }}
    {% endfor %}
  ),
  items as (
    select institution_code, subject, item, sum(times)::bigint as n, max(times) as most,
      case when sum(times) >= {{ p.min_n }} then max(times) > {{ p.max_share }} * sum(times) end as same
    from answers group by all
  )
  select institution_code, subject, bool_or(same) as violated,
    string_agg({% if rule.subject_kind == 'doctor' %}n || ' 条中 ' || most || ' 条相同，占 ' || {{ told_share('most::double / n') }}
      {%- else %}item || '：' || n || ' 条中 ' || {{ told_share('most::double / n') }} || ' 相同'{% endif %}, '；' order by item)
      filter (same) as told
  from items group by all
)
{% endfor %}
