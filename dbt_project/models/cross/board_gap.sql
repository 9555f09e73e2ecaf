-- 宣传栏更新 (HED-T-005): too many days between two updates of the boards one behind the other, both in the period
-- (0a.14). One finding an institution, on its longest gap.
{% set rules = rules_on('board_gap') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding_of(rule, 'institution_code', observed='gap_days::varchar',
  expected=sql_text('≤' ~ rule.params.max_gap_days), day='updated_on') }}
from (
  with updates as (
    select distinct _institution_code as institution_code, _service_date as updated_on
    from ({{ work_of_institutions(rule.form_id, rule.params.stations_apart) }})
    where {{ rule.params.where_column }} = {{ sql_text(rule.params.where_code) }}
      and {{ in_period() }}
  ),
  gaps as (
    select *, updated_on - lag(updated_on) over (partition by institution_code order by updated_on) as gap_days from updates
  )
  select i.institution_code, g.updated_on, g.gap_days, g.gap_days > {{ rule.params.max_gap_days }} as violated
  from ({{ working_institutions(rule.form_id) }}) as i left join gaps as g using (institution_code)
  {{ first_of('i.institution_code', 'g.gap_days desc nulls last, g.updated_on desc') }}
)
{% endfor %}
