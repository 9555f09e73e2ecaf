-- What points at something points at something that is there.
select 'qc.finding_current → qc.rule' as broken, rule_id as key from {{ ref('qc_finding_current') }}
where rule_id not in (select rule_id from {{ ref('qc_rule') }}) group by all
union all
select 'qc.finding → qc.run', run_id from {{ ref('qc_finding') }}
where run_id not in (select run_id from {{ ref('qc_run') }}) group by all
union all
select 'ingest.rejected_row → ingest.file', file_id from {{ ref('ingest_rejected_row') }}
where file_id not in (select file_id from {{ ref('ingest_file') }}) group by all
{% for form_id in catalogue_forms() %}
union all
select 'records.{{ form_id }} → ingest.file', _file_id from {{ ref('records_' ~ form_id) }}
where _file_id not in (select file_id from {{ ref('ingest_file') }}) group by all
{% endfor %}
