-- What each visit or examination says, as one number: everything but numbers, dates, times of entry and signatures
-- (the dictionary's business columns), as delivered. Of examinations only where a person has several in one year.
{% set rules = rules_on('copied_content') %}

{% set kinds = {} %}
{% for rule in rules if rule.form_id in delivered_forms() %}{% do kinds.update({rule.form_id: rule.params.alike}) %}{% endfor %}
select
  null::varchar as form_id, null::varchar as _institution_code, null::varchar as _record_key, null::ubigint as content,
  null::bigint as filled
where false
{% for form_id, alike in kinds.items() %}
{% set business = catalogue_forms()[form_id].business %}
union all
select
  '{{ form_id }}', j._institution_code, j._record_key,
  hash({% for column in business %}s.{{ column }}, s.{{ column }}__raw{{ ', ' if not loop.last }}{% endfor %}),
  {% for column in business %}(s.{{ column }} is not null)::int{{ ' + ' if not loop.last }}{% endfor %}
from {{ ref('judged_record') }} as j
join {{ ref('stg_' ~ form_id) }} as s on s._file_id = j._file_id and s._row_number = j._row_number
{% if alike == 'in one year' %}
semi join (
  select archive_no, year(_service_date) as year from {{ ref('judged_record') }}
  where form_id = '{{ form_id }}' and archive_no is not null and _service_date is not null
  group by all having count(*) > 1
) as several on several.archive_no = j.archive_no and several.year = year(j._service_date)
{% endif %}
where j.form_id = '{{ form_id }}' and j.archive_no is not null and j._service_date is not null
{% endfor %}
