-- Worked out by phqc_pipeline/billing; loaded as it is.
{{ config(alias='charge') }}
select
  order_no, institution_code, basis_report, basis_year::integer as basis_year, basis_period, basis_item,
  quantity::bigint as quantity, unit_price::decimal(12, 4) as unit_price,
  amount_exact::decimal(18, 4) as amount_exact, amount::decimal(18, 2) as amount, amount_words, due_on::date as due_on,
  quantity_from_records::bigint as quantity_from_records, quantity_difference::bigint as quantity_difference,
  penalty::decimal(18, 2) as penalty, status, reason, evidence_file_id, evidence_row::bigint as evidence_row,
  evidence_column, snapshot_date::date as snapshot_date, currency, rounding, signed_on::date as signed_on,
  paid::decimal(18, 2) as paid
from {{ input('charge') }}
