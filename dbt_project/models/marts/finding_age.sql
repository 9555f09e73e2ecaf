-- How long findings have been open, and how long the fixed ones took, by institution, form and rule.
with newest as (select max(snapshot_date) as today from {{ ref('qc_run') }}),

findings as (
  select institution_code, form_id, rule_id, dimension, severity, state, n.today - first_seen as open_days,
    state_since - first_seen as days_to_fix
  from {{ ref('qc_finding') }} cross join newest as n
)

select
  institution_code, i.institution_name, form_id, {{ form_title('form_id') }} as form_title, rule_id, dimension, severity,
  count(*) filter (state in ('open', 'reopened')) as open_findings,
  count(*) filter (state in ('open', 'reopened') and open_days <= 7) as open_7_days,
  count(*) filter (state in ('open', 'reopened') and open_days between 8 and 30) as open_30_days,
  count(*) filter (state in ('open', 'reopened') and open_days between 31 and 90) as open_90_days,
  count(*) filter (state in ('open', 'reopened') and open_days > 90) as open_longer,
  max(open_days) filter (state in ('open', 'reopened')) as oldest_open_days,
  round(avg(open_days) filter (state in ('open', 'reopened')), 1)::double as mean_open_days,
  count(*) filter (state = 'reopened') as reopened_findings, count(*) filter (state = 'waived') as waived_findings,
  count(*) filter (state = 'retired') as retired_findings, count(*) filter (state = 'fixed') as fixed_findings,
  round(avg(days_to_fix) filter (state = 'fixed'), 1)::double as mean_days_to_fix,
  median(days_to_fix) filter (state = 'fixed')::double as median_days_to_fix
from findings
left join {{ ref('institution') }} as i using (institution_code)
group by all
