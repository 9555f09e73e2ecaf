-- 既往史与专项登记不符 (HTN-X-001, DM-X-001, CPD-X-002, SMI-X-003: told, but on no register; HTN-X-002, SMI-X-002: on the
-- register, but not told): what the profile says of a person's diseases (or disability) against the registrations of
-- the disease. A registration that was ended because it was refused or excluded accounts for what was told; one that
-- was excluded need not be told. Archives that are closed are not asked for a registration, and of somebody whose card does
-- not tell its disease nothing is known. Compared over all institutions.
{% set rules = rules_on('history_and_register') %}

{{ no_findings() }}

{% for rule in rules %}
{% set is_it = 'disease = ' ~ sql_text(rule.params.disease) %}
{% set is_told = 'list_contains(' ~ rule.params.column ~ ', ' ~ sql_text(rule.params.code) ~ ')' %}
{{ finding(rule) }}
from (
  with registered as (
    select archive_no,
      coalesce(bool_or({{ is_it }}), false) as is_on, bool_or(disease is null) as is_unknown,
      bool_or({{ is_it }} and coalesce(manage_status not in {{ sql_list(rule.params.excluded_status) }}, true)) as has_it
    from {{ ref('judged_chronic_registry') }}
    where archive_no is not null
    group by archive_no
  ),
  told as (
    select archive_no, bool_or({{ is_told }}) as is_told
    from {{ ref('judged_resident_profile') }}
    where archive_no is not null
    group by archive_no
  )
  select
    h.*,
    {% if rule.params.asks == 'registration' %}
    case
      when {{ is_told }} and coalesce(h.archive_status not in {{ sql_list(rule.params.closed_status) }}, true)
      then case when coalesce(r.is_on, false) then false when r.is_unknown then null else true end
    end as violated
    {% else %}
    case
      when r.has_it {% if rule.form_id == 'chronic_registry' %}and coalesce(h.manage_status not in {{ sql_list(rule.params.excluded_status) }}, true){% endif %}
      then not t.is_told
    end as violated
    {% endif %}
  from {{ ref('judged_' ~ rule.form_id) }} as h
  left join registered as r on r.archive_no = h.archive_no
  left join told as t on t.archive_no = h.archive_no
  where h.archive_no is not null
    {% if rule.form_id == 'chronic_registry' %}and h.disease = {{ sql_text(rule.params.disease) }}{% endif %}
  qualify row_number() over (
    partition by h.archive_no {%- if rule.form_id != 'chronic_registry' %}, h._institution_code{% endif %}
    order by coalesce(violated, false) desc, violated is null, h._service_date desc nulls last, h._record_key desc
  ) = 1
)
{% endfor %}
