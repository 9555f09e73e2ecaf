-- Answers of the confirmation sheets, counted by year of confirmation and grade.
with counted as (
  select
    year(confirmed_on)::integer as year, satisfaction_grade, satisfaction, count(*) as sheets,
    count(distinct institution_code) as institutions, count(*) filter (is_fulfilled) as fulfilled,
    count(*) filter (has_opinion) as with_opinion
  from {{ ref('billing_confirmation') }}
  group by all
)

select *, round(100.0 * sheets / sum(sheets) over (partition by year), 2)::double as share
from counted
