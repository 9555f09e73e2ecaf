-- 宣传栏更新 (HED-T-005): too many days between two updates of the boards one behind the other, both in the period
-- (0a.14). One finding an institution, on its longest gap.
{% set rules = rules_on('board_gap') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules %}
union all by name
select
  {{ of_rule(rule) }}, institution_code, institution_code as subject_id, null::varchar as record_id,
  null::varchar as archive_no, null::varchar as doctor_name, updated_on as service_date,
  case when violated then gap_days::varchar end as observed,
  case when violated then '≤{{ rule.params.max_gap_days }}' end as expected, violated
from (
  with updates as (
    select distinct _institution_code as institution_code, _service_date as updated_on
    from ({{ work_of_institutions(rule.form_id, rule.params.stations_apart) }})
    where {{ rule.params.where_column }} = {{ sql_text(rule.params.where_code) }}
      and _service_date between {{ period_start() }} and {{ period_until_today() }}
  ),
  gaps as (
    select *, updated_on - lag(updated_on) over (partition by institution_code order by updated_on) as gap_days from updates
  )
  select i.institution_code, g.updated_on, g.gap_days, g.gap_days > {{ rule.params.max_gap_days }} as violated
  from ({{ working_institutions(rule.form_id) }}) as i left join gaps as g using (institution_code)
  qualify row_number() over (partition by i.institution_code order by g.gap_days desc nulls last, g.updated_on desc) = 1
)
{% endfor %}
