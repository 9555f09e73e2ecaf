-- 肺结核结案 (TB-C-004: a closed treatment without the numbers of visits and doses; TB-L-003: less than 90 % of the doses
-- taken, while the report counts more people as regular than there are with 90 % and more). One finding a person.
{% set rules = rules_on('tb_closing') %}

{{ no_findings() }}

{% for rule in rules if rule.params.columns %}
{% set empty = [] %}
{% for column in rule.params.columns %}{% do empty.append('(' ~ column ~ ' is null and not coalesce(' ~ column ~ '__unusable, false))') %}{% endfor %}
{% set observed %}
concat_ws('、',
  {%- for one in empty %} case when {{ one }} then {{ sql_text(rule.params.titles[loop.index0]) }} end{{ "," if not loop.last }}{% endfor %})
{%- endset %}
{{ finding(rule, observed=observed) }}
from (
  select *, case when stop_date is not null then {{ empty | join(' or ') }} end as violated
  from {{ ref('judged_' ~ rule.form_id) }}
  where archive_no is not null
  {{ worst_of('archive_no', '_service_date desc nulls last, _record_key desc') }}
)
{% endfor %}

{% for rule in rules if not rule.params.columns %}
{% set rate = rule.params.rate %}
{{ finding(rule, observed=plain_number(rate) ~ " || '%'", expected=sql_text('≥' ~ rule.params.min_rate ~ '%')) }}
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
    {{ first_of('institution_code', 'to_day desc, period desc') }}
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
  {{ worst_of('archive_no', '_service_date desc, _record_key') }}
)
{% endfor %}
