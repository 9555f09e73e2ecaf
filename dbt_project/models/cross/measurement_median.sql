-- 偏离本人中位数 (XFM-X-006): a measurement of a grown person too far from the median of all of theirs, on whichever of the
-- rule's forms. One finding a person and form, on the measurement farthest off. A single measurement tells nothing.
{% set rules = rules_on('measurement_median') %}

{{ no_findings() }}

{% for one in over_forms(rules) %}{% set rule = one.rule %}
{% set columns = {} %}{% for form_id in one.forms %}{% do columns.update({form_id: [rule.params.column]}) %}{% endfor %}
{{ finding(rule, observed=plain_number('value'),
  expected=plain_number('middle') ~ " || '±" ~ rule.params.over ~ "'", form='form_id') }}
from (
  with taken as (
    {{ measured(columns, "date '0001-01-01'", today()) }}
  ),
  grown as (select * from taken where {{ age_on('_service_date', 'birth_date') }} >= {{ rule.params.min_age }}),
  own as (select archive_no, median(value) as middle, count(*) as times from grown group by all)
  select g.*, o.middle, round(abs(g.value - o.middle), 6) as off,
    case when o.times > 1 then off > {{ rule.params.over }} end as violated
  from grown as g join own as o on o.archive_no = g.archive_no
  {{ first_of('g.archive_no, g.form_id', 'off desc, g._service_date desc') }}
)
{% endfor %}
