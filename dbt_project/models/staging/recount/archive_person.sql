-- Whose an archive is (reports.md 4.2): people are told apart by a right identity number, else by archive number. Of
-- several profiles of one archive the one made last stands.
{{ config(materialized='table') }}

{% if 'resident_profile' in catalogue_forms() %}
select
  archive_no, case when _id_ok then upper(id_card_no) else archive_no end as person, _institution_code as institution_code,
  doctor_name, birth_date, archive_date, archive_status, archive_status_date
from {{ ref('judged_resident_profile') }}
where archive_no is not null
qualify row_number() over (
  partition by archive_no order by archive_date desc nulls last, _institution_code, _record_key
) = 1
{% else %}
select
  null::varchar as archive_no, null::varchar as person, null::varchar as institution_code, null::varchar as doctor_name,
  null::date as birth_date, null::date as archive_date, null::varchar as archive_status, null::date as archive_status_date
where false
{% endif %}
