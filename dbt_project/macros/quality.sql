{#
  Records, pass rate, mean score and findings rolled up by some of institution_code, form_id, doctor_name, month.
  Findings of all subjects count, by their own doctor and service date; problems count what shares a root once (0a.23).
#}
{% macro quality_by(columns) %}
{% set keys = columns | join(', ') %}
with records as (
  select
    {{ keys }}, sum(records)::bigint as records, sum(records_with_findings)::bigint as records_with_findings,
    sum(records_failed)::bigint as records_failed, sum(score_sum) as score_sum
  from {{ ref('record_quality') }} group by {{ keys }}
),
findings as (
  select
    {{ keys }}, count(*) as findings, count(distinct root_id) as problems,
    count(*) filter (severity = '严重') as severe_findings, count(*) filter (severity = '一般') as ordinary_findings,
    count(*) filter (severity = '提示') as hint_findings, count(*) filter (state = 'reopened') as reopened_findings
  from (
    select * replace (coalesce(doctor_name, '') as doctor_name), coalesce(strftime(service_date, '%Y-%m'), '') as month
    from {{ ref('qc_finding_current') }} where state <> 'waived'
  )
  group by {{ keys }}
)
select
  {{ keys }},
  {% if 'institution_code' in columns %}i.institution_name,{% endif %}
  {% if 'form_id' in columns %}{{ form_title('form_id') }} as form_title,{% endif %}
  coalesce(records, 0) as records, coalesce(records_with_findings, 0) as records_with_findings,
  coalesce(records_failed, 0) as records_failed,
  round(100.0 * (records - records_failed) / nullif(records, 0), 2)::double as pass_rate,
  round(score_sum / nullif(records, 0), 2)::double as mean_score,
  coalesce(findings, 0) as findings, coalesce(problems, 0) as problems,
  coalesce(severe_findings, 0) as severe_findings, coalesce(ordinary_findings, 0) as ordinary_findings,
  coalesce(hint_findings, 0) as hint_findings, coalesce(reopened_findings, 0) as reopened_findings
from records
full join findings using ({{ keys }})
{% if 'institution_code' in columns %}
left join {{ ref('institution') }} as i using (institution_code)
{% endif %}
{% endmacro %}

{# A form's Chinese title for its id. #}
{% macro form_title(column) -%}
  case {{ column }}
    {%- for form_id, form in catalogue_forms().items() %} when '{{ form_id }}' then {{ sql_text(form.title) }}{% endfor %}
    {%- for report_id, title in catalogue_reports().items() %} when '{{ report_id }}' then {{ sql_text(title) }}{% endfor %}
    else {{ column }} end
{%- endmacro %}
