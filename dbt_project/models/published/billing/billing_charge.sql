-- Worked out by phqc_pipeline/billing; loaded as it is.
{{ config(alias='charge') }}
select * from {{ input('billing_charge') }}
