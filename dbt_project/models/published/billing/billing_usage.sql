-- Worked out by phqc_pipeline/billing; loaded as it is.
{{ config(alias='usage') }}
select * from {{ input('billing_usage') }}
