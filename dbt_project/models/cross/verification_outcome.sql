-- 核查结果: what telephone and home verification (registry/verification.csv) found of an institution: too few answered and
-- agreeing (AUT-A-026), blood pressure taken again far from the record (027), too many dead numbers (031).
{% set rules = rules_on('verification_outcome') %}

{{ no_findings() }}

{% for rule in rules %}{% set p = rule.params %}
{{ finding_of(rule, 'institution_code',
  observed="n || ' 份中 ' || hits || ' 份，占 ' || " ~ told_share('hits::double / n'), expected=sql_text(p.expected)) }}
from (
  with checked as (
    {% if p.outcome == 'measured again' %}
    select v.institution_code, greatest(abs(v.sbp - r.sbp), abs(v.dbp - r.dbp)) > {{ p.max_mmhg }} as hit
    from {{ input('verification') }} as v
    join {{ ref('judged_' ~ rule.form_id) }} as r
      on r._institution_code = v.institution_code and r.archive_no = v.archive_no and r.record_id = v.record_id
    where v.form_id = '{{ rule.form_id }}' and v.sbp is not null and v.dbp is not null
      and r.sbp is not null and r.dbp is not null
      and {{ in_period('v.verified_on') }}
    {% else %}
    select institution_code, outcome in {{ sql_list(p.outcomes) }} as hit
    from {{ input('verification') }}
    where method = '电话' and {{ in_period('verified_on') }}
    {% endif %}
  )
  select institution_code, count(*) as n, count(*) filter (hit) as hits,
    case when count(*) >= {{ p.min_n }} then
      {% if p.outcome == 'too few' %}count(*) filter (hit) < {{ p.min_share }} * count(*)
      {% else %}count(*) filter (hit) > {{ p.max_share }} * count(*){% endif %} end as violated
  from checked group by all
)
{% endfor %}
