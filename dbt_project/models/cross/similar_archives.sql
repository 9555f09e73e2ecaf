-- 疑似重复档案 (UNI-U-003: same name, sex and birth date, the number another or missing; UNI-U-004: one birth date, sex,
-- village and telephone, the names alike). Across institutions; every archive is reported, with the size of its group and
-- nothing of the others (0a.10). Two valid and different numbers are two people, twins most of all: no pair of UNI-U-004.
{% set rules = rules_on('similar_archives') %}

{{ no_findings() }}

{% for rule in rules %}{% set p = rule.params %}
{{ finding(rule, observed='size::varchar', expected=sql_text('1'), day='service_date', institution='institution_code') }}
from (
  with members as (
    select
      _institution_code as institution_code, archive_no, record_id, doctor_name, _service_date as service_date,
      {{ normal_name('person_name') }} as name, upper(id_card_no) as number, {{ number_body() }} as body,
      {% if p.alike == 'same name' %}
      case when person_name is not null and birth_date is not null and sex_code is not null
        then concat_ws(chr(31), {{ normal_name('person_name') }}, birth_date, sex_code) end as held_by
      {% else %}
      case when person_name is not null and birth_date is not null and sex_code is not null and village_name is not null
        and regexp_full_match(phone, {{ sql_text(p.phone_pattern) }})
        then concat_ws(chr(31), birth_date, sex_code, village_name, phone) end as held_by
      {% endif %}
    from {{ ref('judged_' ~ rule.form_id) }}
    where archive_no is not null and {{ in_force(rule) }}
  ),
  several as (
    select m.* from members as m
    semi join (
      select held_by from members where held_by is not null group by held_by having count(distinct archive_no) > 1
    ) as s on s.held_by = m.held_by
  ),
  pairs as (
    select distinct a.archive_no, b.archive_no as other_no, a.held_by
    from several as a
    join several as b on b.held_by = a.held_by and b.archive_no <> a.archive_no
    where
      {% if p.alike == 'same name' %}
      a.number is null or b.number is null or a.number <> b.number
      {% else %}
      coalesce(a.body = b.body, true) and {{ name_similarity('a.name', 'b.name') }} >= {{ p.min_similarity }}
      {% endif %}
  ),
  groups as (
    {% if p.alike == 'same name' %}
    select distinct p.archive_no, p.held_by, g.size
    from pairs as p
    join (select held_by, count(distinct archive_no) as size from several group by held_by) as g using (held_by)
    {% else %}
    select archive_no, held_by, count(distinct other_no) + 1 as size from pairs group by archive_no, held_by
    {% endif %}
  )
  select m.*, g.size, case when m.held_by is not null then g.size is not null end as violated
  from members as m
  left join groups as g on g.archive_no = m.archive_no and g.held_by = m.held_by
  {{ worst_of('m.institution_code, m.archive_no', 'g.size desc nulls last, m.record_id') }}
)
{% endfor %}
