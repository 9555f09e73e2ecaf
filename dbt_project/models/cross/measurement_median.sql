-- 偏离本人中位数 (XFM-X-006): a measurement of a grown person too far from the median of all of theirs, on whichever of the
-- rule's forms. One finding a person and form, on the measurement farthest off. A single measurement tells nothing.
{% set rules = rules_on('measurement_median') %}
{{ config(enabled=rules | length > 0) }}

{{ no_findings() }}

{% for one in over_forms(rules) %}{% set rule = one.rule %}
{% set columns = {} %}{% for form_id in one.forms %}{% do columns.update({form_id: [rule.params.column]}) %}{% endfor %}
union all by name
select
  {{ of_rule(rule, form='form_id') }}, _institution_code as institution_code, {{ of_record('violated', 'archive_no') }},
  case when violated then {{ plain_number('value') }} end as observed,
  case when violated then {{ plain_number('middle') }} || '±{{ rule.params.over }}' end as expected, violated
from (
  with taken as (
    {{ measured(columns, "date '0001-01-01'", '(select today from ' ~ ref('night') ~ ')') }}
  ),
  grown as (select * from taken where {{ age_on('_service_date', 'birth_date') }} >= {{ rule.params.min_age }}),
  own as (select archive_no, median(value) as middle, count(*) as times from grown group by all)
  select g.*, o.middle, round(abs(g.value - o.middle), 6) as off,
    case when o.times > 1 then off > {{ rule.params.over }} end as violated
  from grown as g join own as o on o.archive_no = g.archive_no
  qualify row_number() over (partition by g.archive_no, g.form_id order by off desc, g._service_date desc) = 1
)
{% endfor %}
