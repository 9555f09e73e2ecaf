-- Worked out by phqc_pipeline/billing; loaded as it is.
{{ config(alias='usage_night') }}
select * from {{ input('billing_usage_night') }}
