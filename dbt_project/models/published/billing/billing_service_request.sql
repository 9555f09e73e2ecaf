-- Worked out by phqc_pipeline/billing; loaded as it is.
{{ config(alias='service_request') }}
select * from {{ input('billing_service_request') }}
