-- 用药与过敏史冲突 (XFM-X-021): a drug of a visit in the period that the profile's drug allergies name, by class or by
-- name. One finding a person and form, on the last such visit.
{% set rules = rules_on('drug_allergy') %}

{{ no_findings() }}

{% for one in over_forms(rules) %}{% set rule = one.rule %}
{{ finding(rule, observed='drug', form='form_id') }}
from (
  with allergies as (
    select archive_no, flatten(list(allergy_codes)) as codes,
      list_filter(flatten(list(string_split_regex(
        regexp_replace(coalesce(allergy_other, ''), '(类药物|类|过敏|药物)', '', 'g'), '[、，,;；\s]+'))),
        lambda word : length(word) >= {{ rule.params.min_word }}) as words
    from {{ ref('judged_' ~ rule.params.profile) }}
    where archive_no is not null and allergy_codes is not null group by all
  ),
  taken as (
    {% for form_id in one.forms %}
    select '{{ form_id }}' as form_id, archive_no, _service_date, _record_key, _institution_code, record_id, doctor_name,
      unnest([{% for c in rule.params.drugs if c in catalogue_forms()[form_id].columns %}{{ c }}{{ ", " if not loop.last }}{% endfor %}]) as drug
    from {{ ref('judged_' ~ form_id) }}
    where archive_no is not null and {{ in_period() }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
  )
  select t.*, case when a.codes is not null then
      {% for code in rule.params.class_codes -%}
      (list_contains(a.codes, {{ sql_text(code) }}) and regexp_matches(t.drug, {{ sql_text(rule.params.class_words[loop.index0]) }})) or
      {% endfor -%}
      (list_contains(a.codes, {{ sql_text(rule.params.other_code) }})
        and len(list_filter(a.words, lambda word : contains(t.drug, word))) > 0)
    end as violated
  from taken as t
  left join allergies as a on a.archive_no = t.archive_no
  where t.drug is not null
  {{ worst_of('t.archive_no, t.form_id', 't._service_date desc, t._record_key desc, t.drug') }}
)
{% endfor %}
