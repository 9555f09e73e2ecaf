-- 35 rules on htn_followup as someone who knows DuckDB would write them by hand, in one query: a row a violation.
-- $lake: Parquet files; today is 2024-12-31, the period its year. Unusable cells (outside the hard range, unreadable)
-- read as empty, but do not count as not filled in. Kept honest by the benchmark: it must find what the rules find.
with judged as materialized (
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
  where coalesce(record_status in ('1', '5'), true)
)
select unnest(list_filter([
  case when record_id is null then 'COM-C-001' end,
  case when archive_no is null then 'COM-C-002' end,
  case when person_name is null then 'COM-C-003' end,
  case when (sex_code is null and sex_code__raw is null) or sex_code in ('0', '9') then 'COM-C-005' end,
  case when birth_date is null and birth_date__raw is null then 'COM-C-006' end,
  case when institution_code is null then 'COM-C-007' end,
  case when doctor_name is null then 'COM-C-008' end,
  case when created_at is null and created_at__raw is null then 'COM-C-009' end,
  case when not regexp_matches(archive_no, '^[0-9]{17}$') then 'COM-F-001' end,
  case when length(id_card_no) = 15 then 'COM-F-006' end,
  case when regexp_matches(person_name, '[0-9A-Za-z]') or length(person_name) < 2 then 'COM-F-018' end,
  case when visit_date > date '2024-12-31' then 'COM-L-005' end,
  case when visit_date < birth_date then 'COM-L-006' end,
  case when created_at::date < visit_date then 'COM-L-007' end,
  case when next_visit_date <= visit_date then 'COM-L-008' end,
  case when round(abs(bmi - weight_kg / ((height_cm / 100) * (height_cm / 100))), 6) > 0.3 then 'COM-L-009' end,
  case when referral_flag = '1' and referral_reason not in ('无', '没有', '无转诊', '未转诊') then 'COM-L-011' end,
  case when adr_code = '2' and adr_desc is null then 'COM-L-012' end,
  case when adherence_code = '3' and drug1_name is not null then 'COM-L-015' end,
  case when visit_date between date '2024-01-01' and date '2024-12-31'
    and date_diff('day', visit_date, created_at) > 7 then 'COM-T-001' end,
  case when visit_date between date '2024-01-01' and date '2024-12-31'
    and date_diff('day', visit_date, created_at) > 30 then 'COM-T-002' end,
  case when (sbp_cell is null and sbp__raw is null) or (dbp_cell is null and dbp__raw is null) then 'HTN-C-001' end,
  case when visit_mode_code <> '3' and ((weight_cell is null and weight_kg__raw is null)
    or (bmi_cell is null and bmi__raw is null) or (heart_rate_cell is null and heart_rate__raw is null))
    then 'HTN-C-003' end,
  case when (adherence_code is null and adherence_code__raw is null) or (adr_code is null and adr_code__raw is null)
    then 'HTN-C-006' end,
  case when class_code is null and class_code__raw is null then 'HTN-C-007' end,
  case when next_visit_date is null and next_visit_date__raw is null then 'HTN-C-008' end,
  case when coalesce(visit_date, date '2024-12-31') >= date '2017-02-28' and class_code = '1' and age is not null
    and not (dbp < 90 and sbp < case when age >= 65 then 150 else 140 end) and sbp is not null and dbp is not null
    then 'HTN-L-001' end,
  case when adr_code = '2' and class_code in ('1', '2') then 'HTN-L-003' end,
  case when class_code in ('2', '3') and date_diff('day', visit_date, next_visit_date) > 14 then 'HTN-L-006' end,
  case when class_code = '1' and date_diff('day', visit_date, next_visit_date) > 92 then 'HTN-L-007' end,
  case when (sbp >= 180 or dbp >= 110) and referral_reason is null then 'HTN-L-010' end,
  case when sbp <= dbp then 'HTN-L-011' end,
  case when sbp - dbp < 20 or sbp - dbp > 100 then 'HTN-L-012' end,
  case when smoke_target > smoke_per_day or drink_target > drink_per_day then 'HTN-L-013' end,
  case when smoke_per_day = 0 and smoke_target > 0 then 'HTN-L-016' end
], rule -> rule is not null)) as rule_id, _record_key
from judged
