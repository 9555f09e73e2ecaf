{{ config(alias='finding_current') }}
select * from {{ ref('qc_finding') }} where state in ('open', 'reopened', 'waived')
