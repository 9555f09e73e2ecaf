-- Worked out by phqc_pipeline/billing; loaded as it is.
{{ config(alias='confirmation') }}
select * from {{ input('billing_confirmation') }}
