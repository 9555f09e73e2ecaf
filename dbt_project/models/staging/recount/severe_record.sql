-- Records that a record rule found a severe problem in (规范管理: 每次随访无“严重”命中). Cross rules come later in the
-- night and do not count here.
{{ config(materialized='table') }}
select form_id, institution_code, record_key from {{ input('severe_record') }}
