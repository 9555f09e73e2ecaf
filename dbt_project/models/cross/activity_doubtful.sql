-- 活动人数雷同、缺佐证 (HED-A-001): in the period, one activity held several times with exactly as many people each time,
-- or gatherings without the evidence that belongs to them. One finding an institution.
{% set rules = rules_on('activity_doubtful') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding_of(rule, 'institution_code',
  observed="concat_ws('；', case when alike > 0 then '人数雷同的活动 ' || alike || ' 场' end,
    case when bare > 0 then '缺照片或签到的活动 ' || bare || ' 场' end)") }}
from (
  with activities as (
    select
      _institution_code as institution_code, activity_form in {{ sql_list(rule.params.gatherings) }}
        and not list_has_all(evidence_codes, {{ rule.params.evidence }}) as lacks_evidence,
      count(*) over (
        partition by _institution_code, activity_form, trim(activity_topic), audience_count
      ) as repeats,
      audience_count is not null and activity_topic is not null as told
    from {{ ref('judged_' ~ rule.form_id) }}
    where {{ in_period() }}
  )
  select
    i.institution_code,
    count(*) filter (a.told and a.repeats >= {{ rule.params.min_repeats }}) as alike,
    count(*) filter (a.lacks_evidence) as bare, case when count(a.institution_code) > 0 then alike > 0 or bare > 0 end as violated
  from ({{ working_institutions(rule.form_id) }}) as i left join activities as a using (institution_code)
  group by i.institution_code
)
{% endfor %}
