-- 35 rules on htn_followup as someone who knows DuckDB would write them by hand, in one query: a row a violation.
-- $lake: the Parquet file of one institution. Of a record number the row changed last is judged; today is 2024-12-31,
-- the period its year. Unusable cells (outside the hard range, unreadable) read as empty, but do not count as not
-- filled in. Kept honest by a test and by the benchmark: it must find what the rules find.
with shared as (
  select _record_key from read_parquet($lake) group by _record_key having count(*) > 1
),
replaced as (
  select _record_key, _row_number
  from (select _record_key, _row_number, updated_at from read_parquet($lake)) semi join shared using (_record_key)
  qualify row_number() over (partition by _record_key order by updated_at desc nulls last, _row_number desc) > 1
),
judged as materialized (
  select
    _record_key, record_id, archive_no, person_name, sex_code, sex_code__raw, birth_date, birth_date__raw,
    institution_code, doctor_name, created_at, created_at__raw, visit_date, next_visit_date, next_visit_date__raw,
    id_card_no, visit_mode_code, class_code, class_code__raw, adherence_code, adherence_code__raw, adr_code,
    adr_code__raw, adr_desc, referral_flag, referral_reason, drug1_name, weight_kg as weight_cell,
    weight_kg__raw, bmi as bmi_cell, bmi__raw, heart_rate as heart_rate_cell, heart_rate__raw,
    sbp as sbp_cell, sbp__raw, dbp as dbp_cell, dbp__raw, drink_target,
    case when sbp between 60 and 280 then sbp end as sbp,
    case when dbp between 30 and 160 then dbp end as dbp,
    case when weight_kg between 20 and 250 then weight_kg end as weight_kg,
    case when height_cm between 100 and 230 then height_cm end as height_cm,
    case when bmi between 10 and 70 then bmi end as bmi,
    case when smoke_per_day between 0 and 150 then smoke_per_day end as smoke_per_day,
    case when smoke_target between 0 and 150 then smoke_target end as smoke_target,
    case when drink_per_day between 0 and 30 then drink_per_day end as drink_per_day,
    case when visit_date >= birth_date then
      year(visit_date) - year(birth_date)
        - ((month(visit_date), day(visit_date)) < (month(birth_date), day(birth_date)))::int
    end as age
  from read_parquet($lake)
  anti join replaced using (_record_key, _row_number)
  where coalesce(record_status in ('1', '5'), true)
)
select 'COM-C-001' as rule_id, _record_key from judged where record_id is null
union all select 'COM-C-002' as rule_id, _record_key from judged where archive_no is null
union all select 'COM-C-003' as rule_id, _record_key from judged where person_name is null
union all select 'COM-C-005' as rule_id, _record_key from judged
where (sex_code is null and sex_code__raw is null) or sex_code in ('0', '9')
union all select 'COM-C-006' as rule_id, _record_key from judged where birth_date is null and birth_date__raw is null
union all select 'COM-C-007' as rule_id, _record_key from judged where institution_code is null
union all select 'COM-C-008' as rule_id, _record_key from judged where doctor_name is null
union all select 'COM-C-009' as rule_id, _record_key from judged where created_at is null and created_at__raw is null
union all select 'COM-F-001' as rule_id, _record_key from judged where not regexp_matches(archive_no, '^[0-9]{17}$')
union all select 'COM-F-006' as rule_id, _record_key from judged where length(id_card_no) = 15
union all select 'COM-F-018' as rule_id, _record_key from judged
where regexp_matches(person_name, '[0-9A-Za-z]') or length(person_name) < 2
union all select 'COM-L-005' as rule_id, _record_key from judged where visit_date > date '2024-12-31'
union all select 'COM-L-006' as rule_id, _record_key from judged where visit_date < birth_date
union all select 'COM-L-007' as rule_id, _record_key from judged where created_at::date < visit_date
union all select 'COM-L-008' as rule_id, _record_key from judged where next_visit_date <= visit_date
union all select 'COM-L-009' as rule_id, _record_key from judged
where round(abs(bmi - weight_kg / ((height_cm / 100) * (height_cm / 100))), 6) > 0.3
union all select 'COM-L-011' as rule_id, _record_key from judged
where referral_flag = '1' and referral_reason not in ('无', '没有', '无转诊', '未转诊')
union all select 'COM-L-012' as rule_id, _record_key from judged where adr_code = '2' and adr_desc is null
union all select 'COM-L-015' as rule_id, _record_key from judged where adherence_code = '3' and drug1_name is not null
union all select 'COM-T-001' as rule_id, _record_key from judged
where visit_date between date '2024-01-01' and date '2024-12-31' and date_diff('day', visit_date, created_at) > 7
union all select 'COM-T-002' as rule_id, _record_key from judged
where visit_date between date '2024-01-01' and date '2024-12-31' and date_diff('day', visit_date, created_at) > 30
union all select 'HTN-C-001' as rule_id, _record_key from judged
where (sbp_cell is null and sbp__raw is null) or (dbp_cell is null and dbp__raw is null)
union all select 'HTN-C-003' as rule_id, _record_key from judged
where visit_mode_code <> '3' and ((weight_cell is null and weight_kg__raw is null) or (bmi_cell is null
  and bmi__raw is null) or (heart_rate_cell is null and heart_rate__raw is null))
union all select 'HTN-C-006' as rule_id, _record_key from judged
where (adherence_code is null and adherence_code__raw is null) or (adr_code is null and adr_code__raw is null)
union all select 'HTN-C-007' as rule_id, _record_key from judged where class_code is null and class_code__raw is null
union all select 'HTN-C-008' as rule_id, _record_key from judged
where next_visit_date is null and next_visit_date__raw is null
union all select 'HTN-L-001' as rule_id, _record_key from judged
where coalesce(visit_date, date '2024-12-31') >= date '2017-02-28' and class_code = '1' and age is not null
  and not (dbp < 90 and sbp < case when age >= 65 then 150 else 140 end) and sbp is not null and dbp is not null
union all select 'HTN-L-003' as rule_id, _record_key from judged where adr_code = '2' and class_code in ('1', '2')
union all select 'HTN-L-006' as rule_id, _record_key from judged
where class_code in ('2', '3') and date_diff('day', visit_date, next_visit_date) > 14
union all select 'HTN-L-007' as rule_id, _record_key from judged
where class_code = '1' and date_diff('day', visit_date, next_visit_date) > 92
union all select 'HTN-L-010' as rule_id, _record_key from judged
where (sbp >= 180 or dbp >= 110) and referral_reason is null
union all select 'HTN-L-011' as rule_id, _record_key from judged where sbp <= dbp
union all select 'HTN-L-012' as rule_id, _record_key from judged where sbp - dbp < 20 or sbp - dbp > 100
union all select 'HTN-L-013' as rule_id, _record_key from judged
where smoke_target > smoke_per_day or drink_target > drink_per_day
union all select 'HTN-L-016' as rule_id, _record_key from judged where smoke_per_day = 0 and smoke_target > 0
