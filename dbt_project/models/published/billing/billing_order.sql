-- Worked out by phqc_pipeline/billing; loaded as it is.
{{ config(alias='order') }}
select * from {{ input('billing_order') }}
