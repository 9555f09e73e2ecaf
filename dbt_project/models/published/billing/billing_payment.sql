-- Worked out by phqc_pipeline/billing; loaded as it is.
{{ config(alias='payment') }}
select * from {{ input('billing_payment') }}
