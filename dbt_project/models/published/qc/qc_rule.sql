{{ config(alias='rule') }}
select
  rule_id, version, title, form_id, dimension, severity, grain, carrier, expression, message, basis, verified,
  valid_from, valid_to, fingerprint
from {{ input('rule') }}
