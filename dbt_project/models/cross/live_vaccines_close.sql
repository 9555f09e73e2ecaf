-- 两种减毒活疫苗间隔 (VAC-L-005): two different live vaccines, both injected, on days too near to each other. On one day
-- is right. One finding a child, on the later dose of its last such pair.
{% set rules = rules_on('live_vaccines_close') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='gap_days::varchar', expected=sql_text('≥' ~ rule.params.min_gap_days)) }}
from (
  with live as (
    select d.*
    from {{ ref('judged_' ~ rule.form_id) }} as d
    semi join {{ code_attribute(rule.params.vaccines, 'kind') }} as k on k.code = d.vaccine_code and k.value = {{ sql_text(rule.params.kind) }}
    semi join {{ code_attribute(rule.params.vaccines, 'route') }} as r on r.code = d.vaccine_code and r.value = {{ sql_text(rule.params.route) }}
    where d.archive_no is not null and d._service_date is not null
  )
  select b.*, b._service_date - a._service_date as gap_days, gap_days between 1 and {{ rule.params.min_gap_days - 1 }} as violated
  from live as b join live as a
    on a.archive_no = b.archive_no and a.vaccine_code <> b.vaccine_code and a._service_date <= b._service_date
  {{ first_of('b.archive_no', 'violated desc, b._service_date desc, gap_days, b._record_key, a._record_key') }}
)
{% endfor %}
