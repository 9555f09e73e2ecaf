-- 肺结核结案 (TB-C-004: a closed treatment without the numbers of visits and doses; TB-L-003: less than 90 % of the doses
-- taken, while the report counts more people as regular than there are with 90 % and more). One finding a person.
{% set rules = rules_on('tb_closing') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for rule in rules if rule.params.columns %}
{% set empty = [] %}
{% for column in rule.params.columns %}{% do empty.append('(' ~ column ~ ' is null and not coalesce(' ~ column ~ '__unusable, false))') %}{% endfor %}
union all by name
select
  {{ of_rule(rule) }}, _institution_code as institution_code, {{ of_record('violated', 'archive_no') }},
  case when violated then concat_ws('、', {% for one in empty %}case when {{ one }} then {{ sql_text(rule.params.titles[loop.index0]) }} end{{ ", " if not loop.last }}{% endfor %}) end as observed,
  null::varchar as expected, violated
from (
  select *, case when stop_date is not null then {{ empty | join(' or ') }} end as violated
  from {{ ref('judged_' ~ rule.form_id) }}
  where archive_no is not null
  qualify row_number() over (
    partition by archive_no
    order by coalesce(violated, false) desc, violated is null, _service_date desc nulls last, _record_key desc
  ) = 1
)
{% endfor %}

{% for rule in rules if not rule.params.columns %}
{% set rate = rule.params.rate %}
union all by name
select
  {{ of_rule(rule) }}, _institution_code as institution_code, {{ of_record('violated', 'archive_no') }},
  case when violated then {{ plain_number(rate) }} || '%' end as observed,
  case when violated then '≥{{ rule.params.min_rate }}%' end as expected, violated
from (
  -- the last report on the period's year, and the day it goes to
  with reported as (
    select
      institution_code, value as regular,
      last_day(make_date(year, case
        when period like 'Q%' then 3 * substr(period, 2)::integer
        when period like 'M%' then substr(period, 2)::integer
        else 12 end, 1)) as to_day
    from {{ ref('report_cells') }}
    where report_id = {{ sql_text(rule.params.report) }} and item = {{ sql_text(rule.params.item) }}
      and year = year({{ period_start() }}) and regexp_full_match(period, 'Y|Q[1-4]|M(0[1-9]|1[0-2])')
    qualify row_number() over (partition by institution_code order by to_day desc, period desc) = 1
  ),
  completed as (
    select c.*, r.regular
    from {{ ref('judged_' ~ rule.form_id) }} as c
    join reported as r on r.institution_code = c._institution_code and c.stop_date between {{ period_start() }} and r.to_day
    where c.archive_no is not null and c.stop_reason_code in {{ sql_list(rule.params.stop_reasons) }}
    qualify row_number() over (
      partition by c._institution_code, c.archive_no order by c.{{ rate }} nulls last, c._service_date desc, c._record_key
    ) = 1
  )
  select
    c.*, case when {{ rate }} is not null then {{ rate }} < {{ rule.params.min_rate }} and regular > most end as violated
  from (
    select *, count_if(coalesce({{ rate }} >= {{ rule.params.min_rate }}, true)) over (partition by _institution_code) as most
    from completed
  ) as c
  qualify row_number() over (
    partition by archive_no order by coalesce(violated, false) desc, violated is null, _service_date desc, _record_key
  ) = 1
)
{% endfor %}
