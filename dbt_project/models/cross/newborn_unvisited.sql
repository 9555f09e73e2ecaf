-- 新生儿无访视 (CHD-X-001 by the child's archive, PRG-X-001 by the mother's record of a live birth): nothing of the child
-- stands on the forms looked through, and the days in which it should have been visited ended in the period.
{% set rules = rules_on('newborn_unvisited') %}

{{ no_findings() }}

{% for rule in rules if not rule.params.live_birth %}
{{ finding(rule, observed=sql_text('无'), expected="'≤' || latest::varchar") }}
from (
  select p.*, p.birth_date + {{ rule.params.within_days }} as latest, s.archive_no is null as violated
  from {{ ref('judged_' ~ rule.form_id) }} as p
  left join (
    {% for form_id in other_forms(rule) %}
    select archive_no, min(_service_date) as first_on from {{ ref('judged_' ~ form_id) }} where archive_no is not null group by archive_no
    {{ "union all" if not loop.last }}
    {% endfor %}
  ) as s on s.archive_no = p.archive_no and s.first_on <= p.birth_date + {{ rule.params.within_days }}
  where p.archive_no is not null and p.archive_status = {{ sql_text(rule.params.active_status) }}
    and latest + {{ in_period('1') }}
    and coalesce(p.archive_date <= latest, true)
  {{ first_of('p._institution_code, p.archive_no', 'p._record_key') }}
)
{% endfor %}

{% for rule in rules if rule.params.live_birth %}
{% set visits = other_forms(rule) | first %}
{{ finding(rule, observed=sql_text('无'), expected="'≤' || latest::varchar") }}
from (
  with births as (
    select *, _service_date + {{ rule.params.within_days }} as latest, {{ normal_name('person_name') }} as mother
    from {{ ref('judged_' ~ rule.form_id) }}
    where archive_no is not null and outcome_code = {{ sql_text(rule.params.live_birth) }}
      and latest + {{ in_period('1') }}
  ),
  -- a visit is this child's by its archive, by the mother's, or by her name and the day of birth
  visited as (
    select b._record_key, b._institution_code from births as b join {{ ref('judged_' ~ visits) }} as v on v.archive_no = b.child_archive_no
    union
    select b._record_key, b._institution_code from births as b join {{ ref('judged_' ~ visits) }} as v on v.archive_no = b.archive_no
      and v._service_date between b._service_date and b._service_date + {{ rule.params.same_child_days }}
    union
    select b._record_key, b._institution_code from births as b join {{ ref('judged_' ~ visits) }} as v on v.birth_date = b._service_date
      and {{ normal_name('v.mother_name') }} = b.mother
  )
  select b.*, v._record_key is null as violated
  from births as b left join visited as v using (_record_key, _institution_code)
  {{ first_of('b.archive_no', 'v._record_key is null desc, b._service_date desc, b._record_key') }}
)
{% endfor %}
