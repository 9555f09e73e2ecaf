-- Worked out by phqc_pipeline/billing; loaded as it is.
{{ config(alias='charge_version') }}
select * from {{ input('billing_charge_version') }}
