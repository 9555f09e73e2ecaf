-- What one violation costs by each scheme that scores: the ground of every score.
{{ config(alias='scheme_rule') }}
select
  r.scheme_id, s.title as scheme_title, s.judging, r.form_id, {{ form_title('r.form_id') }} as form_title, r.rule_id,
  r.rule_version, r.points, r.fails, r.scored, coalesce(f.weight, 1) as form_weight
from {{ input('scheme_rule') }} as r
join {{ input('scheme') }} as s using (scheme_id)
left join {{ input('scheme_form') }} as f using (scheme_id, form_id)
