-- 末位数偏好 (AUT-A-001, 004: last digits uneven by chi-square; 002, 005: too many end in 0). Per doctor and institution,
-- measurements of the period. Judged by three things at once: enough values, an effect that matters, and a p that stays
-- below the stated rate of false ones after Benjamini and Hochberg over all doctors the rule tests tonight. A doctor
-- whose readings are even throughout reads a mercury column: the five even digits are compared with each other then.
{% set rules = rules_on('digit_preference') %}

{{ no_findings() }}

{% for one in over_forms(rules) %}{% set rule = one.rule %}{% set p = rule.params %}
{{ finding_of(rule, 'doctor_name',
  observed="told || '，p' || " ~ told_p('p') ~ " || '，' || tests || ' 名医生同检，校正后 p' || " ~ told_p('adjusted_p'),
  expected=sql_text(p.expected), doctor='doctor_name', day='last_service', form='form_id') }}
from (
  with digits as (
    {% for form_id in one.forms %}
    select
      '{{ form_id }}' as form_id, _institution_code as institution_code, doctor_name, _service_date,
      (round({{ p.column }} / {{ p.unit }})::bigint % 10)::integer as digit
    from {{ ref('judged_' ~ form_id) }}
    where doctor_name is not null and {{ p.column }} is not null
      and abs({{ p.column }} / {{ p.unit }} - round({{ p.column }} / {{ p.unit }})) < 1e-6
      and {{ in_period() }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
  ),
  counted as (
    select
      form_id, institution_code, doctor_name, digit, count(*) as n, max(_service_date) as last_service
    from digits group by all
  ),
  doctors as (
    select
      form_id, institution_code, doctor_name, max(last_service) as last_service, sum(n)::bigint as n,
      sum(n * n)::double as squares, sum(n) filter (digit % 2 = 0) as even,
      (sum(n * n) filter (digit % 2 = 0))::double as even_squares,
      coalesce(sum(n) filter (digit = 0), 0) as zeros, arg_max(digit, (n, -digit)) as commonest, max(n) as most
    from counted group by all
  ),
  {% if p.test == 'even spread' %}
  measured as (
    select *, even >= {{ p.even_share }} * n as mercury,
      case when even >= {{ p.even_share }} * n then 5 * even_squares / even - even else 10 * squares / n - n end as chi2
    from doctors
  ),
  tested as (
    select *,
      sqrt(chi2 / (n * case when mercury then 4 else 9 end)) as effect,
      case when n >= {{ p.min_n }} then
        case when mercury then {{ chi_square_tail('chi2', 4) }} else {{ chi_square_tail('chi2', 9) }} end end as p
    from measured
  ),
  {% else %}
  tested as (
    select *, zeros::double / n as effect,
      case when n >= {{ p.min_n }} then
        {{ normal_tail('((zeros - 0.5 - n * ' ~ p.null_share ~ ') / sqrt(n * ' ~ p.null_share * (1 - p.null_share) ~ '))') }}
      end as p
    from doctors
  ),
  {% endif %}
  placed as (select *, {{ ranked(family="'" ~ rule.rule_id ~ "'") }} from tested),
  corrected as (select *, {{ adjusted(family="'" ~ rule.rule_id ~ "'") }} as adjusted_p from placed)
  select *,
    {% if p.test == 'even spread' %}
    'n=' || n || '，卡方=' || printf('%.1f', chi2) || '，效应量 V=' || printf('%.2f', effect) || '，末位 ' || commonest
      || ' 占 ' || {{ told_share('most::double / n') }} || case when mercury then '（读数皆偶，按水银柱只比偶数）' else '' end as told,
    case when p is not null
      then p < {{ p.max_p }} and effect >= {{ p.min_effect }} and adjusted_p <= {{ p.false_rate }} end as violated
    {% else %}
    'n=' || n || '，末位为 0 的占 ' || {{ told_share('effect') }} as told,
    case when p is not null then effect > {{ p.max_share }} and adjusted_p <= {{ p.false_rate }} end as violated
    {% endif %}
  from corrected
)
{% endfor %}
