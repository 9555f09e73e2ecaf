-- Worked out by phqc_pipeline/billing; loaded as it is.
{{ config(alias='adjustment') }}
select * from {{ input('billing_adjustment') }}
