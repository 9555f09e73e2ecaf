-- Every reported figure beside the one counted in the records, where there is one.
{{ config(materialized='table') }}

select
  r.report_id, r.institution_code, r.year, r.period, r.item, r.value as reported, c.recomputed, s.from_day, s.to_day
from {{ ref('report_cells') }} as r
left join {{ ref('report_span') }} as s on s.report_id = r.report_id and s.year = r.year and s.period = r.period
left join {{ ref('recount') }} as c
  on c.report_id = r.report_id and c.institution_code = r.institution_code and c.item = r.item and c.to_day = s.to_day
