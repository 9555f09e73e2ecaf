-- Every figure that the records give for a period some report of the institution speaks of, reported or not.
{{ config(alias='recomputed') }}
select distinct c.institution_code, c.report_id, s.year, s.period, c.item, i.title as item_title, c.recomputed
from {{ ref('recount') }} as c
join {{ ref('report_span') }} as s on s.report_id = c.report_id and s.to_day = c.to_day
left join {{ ref('report_item') }} as i on i.report_id = c.report_id and i.item = c.item
