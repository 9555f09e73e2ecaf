-- 重复报卡 (INF-U-001): several cards of one patient, disease and day of onset, at any institution. A card that corrects
-- another is no duplicate of it. Every card of such a group is told, with the size of the group.
{% set rules = rules_on('duplicate_cards') %}

{{ no_findings() }}

{% for rule in rules %}
{{ finding(rule, observed='cards::varchar', expected=sql_text(rule.params.max_count)) }}
from (
  select
    *, case when not is_correction and name is not null and disease_code is not null and onset_date is not null
      then cards > {{ rule.params.max_count }} end as violated
  from (
    select *, count(*) over (partition by name, disease_code, onset_date, is_correction) as cards
    from (
      select
        *, {{ normal_name('patient_name') }} as name,
        coalesce(report_type_code = {{ sql_text(rule.params.correction) }}, false) as is_correction
      from {{ ref('judged_' ~ rule.form_id) }}
      where {{ in_force(rule) }}
    )
  )
)
{% endfor %}
