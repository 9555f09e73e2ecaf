-- Every change of every finding, night by night (the fold writes down what each night moved).
{{ config(alias='finding_history') }}
select finding_id, snapshot_date, run_id, from_state, to_state, cause from {{ input('change') }}
