-- 报告肺结核而无管理记录 (TB-X-001): a case reported, and no registration of the person for the disease, at any institution.
-- A report without an archive number is the archive's that has its identity number; without any archive there is nobody
-- to report on. Suspected cases are not asked. One finding a person, on the last report.
{% set rules = rules_on('tb_reported') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, day='service_date', institution='institution_code') }}
from (
  with archives as (
    select upper(id_card_no) as id_card_no, min(archive_no) as archive_no
    from {{ ref('judged_resident_profile') }}
    where id_card_no is not null and archive_no is not null
    group by all
  ),
  cases as (
    select
      r._institution_code as institution_code, r._record_key, r.record_id, r.doctor_name, r._service_date as service_date,
      coalesce(r.archive_no, a.archive_no) as archive_no, upper(r.id_card_no) as id_card_no
    from {{ ref('judged_' ~ rule.form_id) }} as r
    left join archives as a on a.id_card_no = upper(r.id_card_no)
    where r.disease_code = {{ sql_text(rule.params.reported) }}
      and coalesce(r.case_class_code not in {{ sql_list(rule.params.uncertain) }}, true)
  ),
  registered as (
    select archive_no, upper(id_card_no) as id_card_no from {{ ref('judged_chronic_registry') }}
    where disease = {{ sql_text(rule.params.disease) }}
  )
  select
    c.*, not exists (select 1 from registered as g where g.archive_no = c.archive_no)
      and not exists (select 1 from registered as g where g.id_card_no = c.id_card_no) as violated
  from cases as c
  where c.archive_no is not null
  {{ first_of('c.archive_no', 'violated desc, c.service_date desc, c._record_key desc') }}
)
{% endfor %}
