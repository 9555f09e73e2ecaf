-- 分布异常集中 (AUT-A-024): the distance of an institution's values from the population's normal distribution
-- (Kolmogorov and Smirnov). Real populations differ from any norm, so the distance itself must be large; p after
-- Benjamini and Hochberg over the institutions tested tonight.
{% set rules = rules_on('distribution_shape') %}

{{ no_findings() }}

{% for rule in rules %}{% set p = rule.params %}
{{ finding_of(rule, 'institution_code',
  observed="'n=' || n || '，与常模最大差距 D=' || printf('%.2f', effect) || '，p' || " ~ told_p('p') ~ " || '，校正后 p' || "
    ~ told_p('adjusted_p') ~ " || '，最多的一个值 ' || commonest || ' 占 ' || " ~ told_share('most_share'),
  expected=sql_text('常模均值 ' ~ p.norm_mean ~ '，标准差 ' ~ p.norm_sd)) }}
from (
  with measured as (
    select _institution_code as institution_code, {{ p.column }} as value
    from {{ ref('judged_' ~ rule.form_id) }}
    where {{ p.column }} is not null and {{ in_period() }}
      and {{ age_on('_service_date', 'birth_date') }} >= {{ p.adult_age }}
  ),
  valued as (select institution_code, value, count(*) as times from measured group by all),
  running as (
    select *, sum(times) over (partition by institution_code) as n,
      sum(times) over (partition by institution_code order by value) as upto,
      1 - {{ normal_tail('((value - ' ~ p.norm_mean ~ ') / ' ~ p.norm_sd ~ ')') }} as norm
    from valued
  ),
  tested as (
    select
      institution_code, max(n)::bigint as n, arg_max(value, (times, -value)) as commonest, max(times) / max(n)::double as most_share,
      max(greatest(abs(upto / n - norm), abs((upto - times) / n - norm))) as effect
    from running group by institution_code
  ),
  placed as (
    select *, {{ ranked(family='true') }}
    from (select *, case when n >= {{ p.min_n }} then {{ kolmogorov_tail('effect', 'n') }} end as p from tested)
  ),
  corrected as (select *, {{ adjusted(family='true') }} as adjusted_p from placed)
  select *,
    case when p is not null
      then p < {{ p.max_p }} and effect >= {{ p.min_effect }} and adjusted_p <= {{ p.false_rate }} end as violated
  from corrected
)
{% endfor %}
