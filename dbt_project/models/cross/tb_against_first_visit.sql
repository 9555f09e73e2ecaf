-- 肺结核随访与首次入户 (TB-L-005: a month of treatment beyond what a disease without resistance needs; TB-L-008: a treatment
-- completed too soon; TB-L-007: resistance found, and neither referred nor taken over by the programme for it). A
-- follow-up belongs to the last first visit on or before its day.
{% set rules = rules_on('tb_against_first_visit') %}

{{ no_findings() }}

{% for rule in rules if rule.form_id != 'tb_first_visit' %}
{% set p = rule.params %}
{{ finding(rule, observed=plain_number('told'),
  expected=sql_text(('≤' ~ p.max_months if p.max_months else '≥' ~ p.min_months))) }}
from (
  select
    u.*, f._service_date as first_visit,
    {% if p.max_months -%}
    u.treatment_month as told,
    case when f.resistance_code in {{ sql_list(p.resistance) }} then told > {{ p.max_months }} end as violated
    {%- else -%}
    date_diff('month', f._service_date, u.stop_date) as told,
    case when u.stop_reason_code in {{ sql_list(p.stop_reasons) }} then told < {{ p.min_months }} end as violated
    {%- endif %}
  from {{ ref('judged_' ~ rule.form_id) }} as u
  left join {{ ref('judged_tb_first_visit') }} as f on f.archive_no = u.archive_no and f._service_date <= u._service_date
  where {{ in_force(rule, 'u._service_date') }}
  {{ first_of('u._institution_code, u._record_key', 'f._service_date desc nulls last, f._record_key desc') }}
)
{% endfor %}

{% for rule in rules if rule.form_id == 'tb_first_visit' %}
{% set p = rule.params %}
{{ finding(rule, observed='reasons', expected=sql_text(p.stop_reasons | join("、"))) }}
from (
  with told as (
    select
      f._institution_code, f._record_key, string_agg(distinct u.stop_reason_code, '、' order by u.stop_reason_code) as reasons,
      bool_or(u.stop_reason_code in {{ sql_list(p.stop_reasons) }}) as taken_over,
      bool_or(u.referral_dept is not null) as referred
    from {{ ref('judged_' ~ rule.form_id) }} as f
    join {{ ref('judged_tb_followup') }} as u on u.archive_no = f.archive_no and u._service_date >= f._service_date
    group by all
  )
  select
    f.*, t.reasons,
    case
      when f.resistance_code in {{ sql_list(p.resistance) }} and t.reasons is not null
      then not t.taken_over and not t.referred
      {# A slip is no less a referral; that nobody delivers slips is no obstacle, so the rule does not read them. #}
      {%- if 'referral_out' in catalogue_forms() %}
        and not exists (
          select 1 from {{ ref('judged_referral_out') }} as r
          where r.archive_no = f.archive_no and r._service_date >= f._service_date
        )
      {%- endif %}
    end as violated
  from {{ ref('judged_' ~ rule.form_id) }} as f
  left join told as t using (_institution_code, _record_key)
  where {{ in_force(rule, 'f._service_date') }}
)
{% endfor %}
