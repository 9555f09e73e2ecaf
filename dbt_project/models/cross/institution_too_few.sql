-- 机构年度工作不足 (SUP-T-002 rounds, HED-T-002 consultations, HED-T-003 printed and HED-T-004 shown materials): fewer
-- records, or kinds of something, in the period than are due by the days of it that have gone by (0a.12). Institutions
-- that delivered the form; where the rule asks a level, those of it. Records of stations that are registered below an
-- institution are the stations' own.
{% set rules = rules_on('institution_too_few') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding_of(rule, 'institution_code', observed='done::varchar', expected='due::varchar') }}
from (
  with work as (
    select
      _institution_code as institution_code,
      count({{ 'distinct trim(' ~ rule.params.kinds_of ~ ')' if rule.params.kinds_of else '*' }}) as counted
    from ({{ work_of_institutions(rule.form_id, rule.params.stations_apart) }})
    where {{ in_period() }}
      {% if rule.params.where_column %}and {{ rule.params.where_column }} = {{ sql_text(rule.params.where_code) }}{% endif %}
    group by all
  )
  select
    i.institution_code, coalesce(d.counted, 0) as done, {{ rule.params.min_count }} * i.managed_days // i.period_days as due,
    {% if rule.params.levels %}case when i.level in {{ sql_list(rule.params.levels) }} then done < due end{% else %}done < due{% endif %} as violated
  from ({{ working_institutions(rule.form_id) }}) as i
  left join work as d using (institution_code)
  {% if rule.params.levels %}where i.level is not null{% endif %}
)
{% endfor %}
