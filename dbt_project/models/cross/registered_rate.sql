-- 登记率异常 (AUT-A-029): the share of adult residents in management for a disease, against the population's prevalence.
{% set rules = rules_on('registered_rate') %}

{{ no_findings() }}

{% for rule in rules %}{% set p = rule.params %}
{% set expected %}
{%- for disease in p.diseases -%}
'{{ disease }} ' || {{ told_share(p.prevalence[loop.index0]) }} || '±' || {{ told_share(p.max_difference[loop.index0]) }}
{{- " || '；' || " if not loop.last }}{% endfor %}
{%- endset %}
{{ finding_of(rule, 'institution_code', observed='told', expected=expected) }}
from (
  with adults as (
    select distinct _institution_code as institution_code, archive_no
    from {{ ref('judged_resident_profile') }}
    where archive_status = '1' and {{ age_on(period_until_today(), 'birth_date') }} >= {{ p.adult_age }}
      and archive_no is not null
  ),
  totals as (select institution_code, count(*) as adults from adults group by all),
  registered as (
    select a.institution_code, r.disease, count(distinct a.archive_no) as registered
    from {{ ref('judged_chronic_registry') }} as r
    join adults as a on a.archive_no = r.archive_no and a.institution_code = r._institution_code
    where r.end_date is null
    group by all
  ),
  rates as (
    {% for disease in p.diseases %}
    select t.institution_code, '{{ disease }}' as disease, t.adults,
      coalesce(r.registered, 0)::double / t.adults as rate,
      {{ p.prevalence[loop.index0] }} as norm, {{ p.max_difference[loop.index0] }} as greatest_difference
    from totals as t
    left join registered as r on r.institution_code = t.institution_code and r.disease = '{{ disease }}'
    {{ 'union all' if not loop.last }}
    {% endfor %}
  )
  select institution_code, bool_or(odd) as violated,
    string_agg(disease || ' ' || {{ told_share('rate') }}, '；' order by disease) filter (odd) || '（成人 '
      || max(adults) || ' 人）' as told
  from (
    select *, case when adults >= {{ p.min_n }} then round(abs(rate - norm), 6) > greatest_difference end as odd from rates
  )
  group by institution_code
)
{% endfor %}
