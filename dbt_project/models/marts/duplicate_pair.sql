-- Pairs of archives that probably are of one person, by splink's weights (rules/linkage). Numbers of archives alone.
select
  institution_a as institution_code, archive_a as archive_no, institution_b as other_institution_code,
  archive_b as other_archive_no, probability,
  case when group_id is not null then '建议合并' else '请核对' end as verdict,
  concat_ws('；',
    case agreement_number when 3 then '身份证号相同' when 2 then '两个身份证号都有效而不同' when 1 then '身份证号差一两位'
      when 0 then '身份证号不同' else '有一方无身份证号' end,
    case agreement_name when 2 then '姓名相同' when 1 then '姓名差一个字' else '姓名不同' end,
    case agreement_birth when 2 then '出生日期相同' when 1 then '出生日期差一两位' else '出生日期不同' end,
    case when agreement_sex = 0 then '性别不同' end,
    case agreement_phone when 1 then '电话相同' when 0 then '电话不同' end,
    case agreement_village when 1 then '同村（居）' when 0 then '不同村（居）' end) as evidence,
  group_id
from {{ input('duplicate_link') }}
