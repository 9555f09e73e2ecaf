-- 应种剂次缺失 (VAC-T-001 at 12 months, 002 at 24, 003 at six years): children with a card, old enough today, who lack a
-- dose. A dose is there when one of its number is on record (a later one does not stand for it), or as many of its series
-- were given on different days while the numbers began anew (another vaccine of the series, a combined one); a combined
-- vaccine counts for those it stands for. Children are known by card or archive number.
{% set rules = rules_on('doses_overdue') %}

{{ no_findings() }}

{% for rule in rules %}
{% set doses = other_forms(rule) | first %}
{{ finding(rule, observed='lacking') }}
from (
  with children as (
    select * from {{ ref('judged_' ~ rule.form_id) }}
    where archive_no is not null and moveout_date is null and not coalesce(moveout_date__unusable, false)
      and archive_status = {{ sql_text(rule.params.active_status) }}
      and {{ full_months('birth_date', today()) }}
        between {{ rule.params.min_age_months }} and {{ rule.params.max_age_months }}
    {{ first_of('_institution_code, archive_no', '_service_date desc, _record_key desc') }}
  ),
  given as (
    select distinct archive_no, vaccine, dose_no, dose_date from (
      select c.archive_no, g.vaccine, g.dose_no, g.dose_date
      from children as c join ({{ doses_in_series(doses, rule.params.vaccines, 'd.child_code') }}) as g on g.child = c.child_code
      union all
      select c.archive_no, g.vaccine, g.dose_no, g.dose_date
      from children as c join ({{ doses_in_series(doses, rule.params.vaccines, 'd.archive_no') }}) as g on g.child = c.archive_no
    )
  ),
  series as (
    select
      archive_no,
      {%- for wanted in rule.params.required %}
      {% for way in wanted.split('|') %}
      {%- set vaccines = sql_list(way.split('-')[0].split('+')) %}{% set number = way.split('-')[1] %}
      coalesce(bool_or(dose_no = {{ number }}) filter (vaccine in {{ vaccines }}), false)
        or count(distinct dose_date) filter (vaccine in {{ vaccines }})
          >= greatest({{ number }}, 1 + count(distinct dose_no) filter (vaccine in {{ vaccines }}))
      {{- " or" if not loop.last }}{% endfor %} as has_{{ loop.index }}{{ "," if not loop.last }}
      {%- endfor %}
    from given group by archive_no
  )
  select
    c.*, concat_ws('、', {% for title in rule.params.required_titles %}case when not coalesce(s.has_{{ loop.index }}, false) then {{ sql_text(title) }} end
      {{- ", " if not loop.last }}{% endfor %}) as lacking,
    lacking <> '' as violated
  from children as c left join series as s using (archive_no)
)
{% endfor %}
