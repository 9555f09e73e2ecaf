-- One row a key, and no key empty, in everything that is published.
select * from (
  select 'qc.finding' as broken, finding_id as key from {{ ref('qc_finding') }} group by all having count(*) > 1
  union all
  select 'qc.run', run_id from {{ ref('qc_run') }} group by run_id having count(*) > 1
  union all
  select 'qc.rule', rule_id || ' ' || version from {{ ref('qc_rule') }} group by rule_id, version having count(*) > 1
  union all
  select 'qc.rule_result', concat_ws(' ', run_id, institution_code, form_id, rule_id, field)
  from {{ ref('qc_rule_result') }} group by run_id, institution_code, form_id, rule_id, field having count(*) > 1
  union all
  select 'ingest.file', file_id from {{ ref('ingest_file') }} group by file_id having count(*) > 1 or file_id is null
  union all
  select 'ingest.rejected_row', file_id || ' ' || row_number from {{ ref('ingest_rejected_row') }}
  group by file_id, row_number having count(*) > 1
  union all
  select 'report.value', concat_ws(' ', report_id, institution_code, year, period, item) from {{ ref('published_report_value') }}
  group by report_id, institution_code, year, period, item having count(*) > 1
  {% for form_id in catalogue_forms() %}
  union all
  select 'records.{{ form_id }}', _institution_code || ' ' || _record_key from {{ ref('records_' ~ form_id) }}
  group by _institution_code, _record_key having count(*) > 1
  {% endfor %}
)
