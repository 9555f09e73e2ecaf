-- The registry's doctors: who is on which institution's list, and from when to when. Empty without doctor.csv.
{{ config(materialized='table') }}
select distinct institution_code, doctor_name, from_date, to_date from {{ input('doctor') }}
where institution_code is not null and doctor_name is not null
