{#
  Two names compared by characters. DuckDB's own functions compare bytes, of which a Chinese character has three; so the
  characters of both are first numbered, one letter each.
#}
{% macro letters(name, a, b) -%}
array_to_string(list_transform(string_split({{ name }}, ''),
  lambda c: chr(33 + list_position(list_distinct(string_split({{ a }} || {{ b }}, '')), c)::integer)), '')
{%- endmacro %}

{# Jaro and Winkler's similarity; two names that differ by one character (put in, left out or another) count as 0.8. #}
{% macro name_similarity(a, b) -%}
greatest(round(jaro_winkler_similarity({{ letters(a, a, b) }}, {{ letters(b, a, b) }}), 6),
  case when damerau_levenshtein({{ letters(a, a, b) }}, {{ letters(b, a, b) }}) <= 1
    and least(length({{ a }}), length({{ b }})) >= 2 then 0.8 else 0 end)
{%- endmacro %}

{# What of an identity number two archives of one person share: 17 digits of a valid one, the same of an old one of 15. #}
{% macro number_body(id='id_card_no', valid='_id_ok') -%}
case when {{ valid }} then left(upper({{ id }}), 17)
  when regexp_full_match({{ id }}, '[0-9]{15}') then left({{ id }}, 6) || '19' || substr({{ id }}, 7) end
{%- endmacro %}

{# The birth date in an identity number that is right in structure and check digit (GB 11643). #}
{% macro number_born(id) -%}
case when regexp_full_match(upper({{ id }}), '[0-9]{17}[0-9X]')
  and upper(substr({{ id }}, 18)) = substr('10X98765432', 1 + (list_sum(list_transform(range(1, 18),
    lambda i: try_cast(substr({{ id }}, i, 1) as integer) * [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2][i])) % 11)::integer, 1)
  then try_strptime(substr({{ id }}, 7, 8), '%Y%m%d')::date end
{%- endmacro %}
