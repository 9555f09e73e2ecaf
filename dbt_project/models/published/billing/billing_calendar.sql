-- Worked out by phqc_pipeline/billing; loaded as it is.
{{ config(alias='calendar') }}
select * from {{ input('billing_calendar') }}
