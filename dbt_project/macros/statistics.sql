{# Probabilities that DuckDB has no function for, exact or to seven digits; tests/warehouse/test_authenticity.py holds
   them against scipy. #}

{# erfc(z) for z >= 0, relative error below 1.2e-7 everywhere (the rational Chebyshev fit of Numerical Recipes, erfcc). #}
{% macro erfc(z) -%}
{%- set t = '(1 / (1 + 0.5 * (' ~ z ~ ')))' -%}
{%- set factors = [0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196,
  1.00002368, -1.26551223] -%}
{%- set sum = namespace(text=factors[0] | string) -%}
{%- for factor in factors[1:] -%}{%- set sum.text = '(' ~ factor ~ ' + ' ~ t ~ ' * ' ~ sum.text ~ ')' -%}{%- endfor -%}
({{ t }} * exp(-(({{ z }}) * ({{ z }})) + {{ sum.text }}))
{%- endmacro %}

{# Upper tail of the normal distribution beyond z, and its distribution function. #}
{% macro normal_tail(z) -%}
(case when {{ z }} >= 0 then 0.5 * {{ erfc('abs(' ~ z ~ ') / sqrt(2)') }} else 1 - 0.5 * {{ erfc('abs(' ~ z ~ ') / sqrt(2)') }} end)
{%- endmacro %}

{# Upper tail of chi-square with 9 degrees of freedom (ten digits), or with 4 (five even digits): both in closed form. #}
{% macro chi_square_tail(x, degrees) -%}
{%- if degrees == 9 -%}
({{ erfc('sqrt(' ~ x ~ ' / 2)') }} + sqrt(2 * {{ x }} / pi()) * exp(-{{ x }} / 2)
  * (1 + {{ x }} / 3 + {{ x }} * {{ x }} / 15 + {{ x }} * {{ x }} * {{ x }} / 105))
{%- else -%}
(exp(-{{ x }} / 2) * (1 + {{ x }} / 2))
{%- endif -%}
{%- endmacro %}

{# Kolmogorov's limit for a distance d over n values, with Stephens' correction for small n. #}
{% macro kolmogorov_tail(d, n) -%}
{%- set l = '((sqrt(' ~ n ~ ') + 0.12 + 0.11 / sqrt(' ~ n ~ ')) * ' ~ d ~ ')' -%}
(case when {{ l }} < 0.3 then 1 else least(1, greatest(0, 2 * (exp(-2 * {{ l }} * {{ l }}) - exp(-8 * {{ l }} * {{ l }})
  + exp(-18 * {{ l }} * {{ l }}) - exp(-32 * {{ l }} * {{ l }})))) end)
{%- endmacro %}

{# Benjamini and Hochberg's adjusted p within a rule's tests of the night: all its subjects of all institutions and
   forms. NULL where nothing was tested. #}
{% macro adjusted(p='p', family='rule_id') -%}
case when {{ p }} is not null then min(least(1, {{ p }} * tests / place)) over (
  partition by {{ family }} order by {{ p }} desc nulls first rows between unbounded preceding and current row
) end
{%- endmacro %}

{# What Benjamini and Hochberg need beside p: how many tests there are, and the place of each. #}
{% macro ranked(p='p', family='rule_id') -%}
count({{ p }}) over (partition by {{ family }}) as tests,
  row_number() over (partition by {{ family }} order by {{ p }} nulls last) as place
{%- endmacro %}

{# A probability as people read it, and a share as per cent. #}
{% macro told_p(p) -%}
case when {{ p }} < 1e-6 then '<0.000001' else '=' || printf('%.6f', {{ p }}) end
{%- endmacro %}
{% macro told_share(share) -%}
printf('%.1f%%', 100.0 * {{ share }})
{%- endmacro %}
