-- What was judged: the delivery in force of each institution and form, and how old it is.
select
  d.institution_code, i.institution_name, d.form_id, {{ form_title('d.form_id') }} as form_title,
  d.snapshot_date as delivered_on, (n.today - d.snapshot_date)::bigint as age_days, d.rows,
  array_to_string(d.missing_columns, '、') as missing_columns, d.held_back
from {{ ref('delivery') }} as d
cross join {{ ref('night') }} as n
left join {{ ref('institution') }} as i using (institution_code)
