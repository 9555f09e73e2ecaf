-- 新生儿与分娩登记不符 (CHD-X-002): the record of delivery that names a child's archive tells another mother, day of birth
-- or sex than the child's visit. What differs is told, never whose it is. One finding a child.
{% set rules = rules_on('newborn_mother_differs') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='differing') }}
from (
  select
    v.*, concat_ws('、',
      case when {{ normal_name('v.mother_name') }} <> {{ normal_name('d.person_name') }} then '母亲姓名' end,
      case when v.mother_birth <> d.birth_date then '母亲出生日期' end,
      case when v.birth_date <> d._service_date then '出生日期' end,
      case when v.sex_code <> d.child_sex then '性别' end) as differing,
    case when d._record_key is not null then differing <> '' end as violated
  from {{ ref('judged_' ~ rule.form_id) }} as v
  left join {{ ref('judged_' ~ other_forms(rule) | first) }} as d on d.child_archive_no = v.archive_no
  where v.archive_no is not null and {{ in_force(rule, 'v._service_date') }}
  {{ worst_of('v.archive_no', 'v._service_date desc, v._record_key, d._record_key') }}
)
{% endfor %}
