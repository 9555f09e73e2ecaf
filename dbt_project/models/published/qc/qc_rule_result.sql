-- In full for the newest night; of the nights before, each rule's total over its fields (night.py lays both down).
{{ config(alias='rule_result') }}
select
  run_id, snapshot_date, institution_code, form_id, rule_id, field, status, checked, applicable, violated, reason
from {{ input('result') }}
