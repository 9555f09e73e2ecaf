-- What institutions answered in their workbooks, each answer held against the finding it names.
{{ config(alias='answer') }}
with answers as (
  select a.*, s.finding_id is not null as known, s.institution_code as owner, s.first_seen,
    coalesce(a.rule_id, s.rule_id) is distinct from s.rule_id
      or (s.subject_kind = 'record' and coalesce(a.record_id, s.record_id) is distinct from s.record_id) as altered,
    row_number() over (
      partition by a.institution_code, a.finding_id
      order by a.snapshot_date desc, a.file_id desc, a.sheet desc, a.row_number desc
    ) = 1 as newest
  from {{ input('answer') }} as a
  left join {{ input('state') }} as s on s.finding_id = a.finding_id
),

judged as (
  select *, case
      when not known then '没有这个问题编号：请在最近下发的整改清单上填写，不要改动“问题编号”列'
      when owner <> institution_code then '是别的机构的问题：请核对整改清单是否拿错'
      when altered then '这一行被改动过：规则编号或记录编号与问题编号对不上，请在原行填写'
      when snapshot_date < first_seen then '答复的日期早于问题首次发现的日期：请核对投递文件夹的日期'
      when coalesce(answer, '') not in ('已改', '申诉', '说明') then '处理结果应选 已改、申诉、说明 之一'
      when answer <> '已改' and coalesce(explanation, '') = '' then '申诉和说明要在“处理说明”里写明理由'
    end as reason
  from answers
)

select
  finding_id, institution_code, snapshot_date, case when answer in ('已改', '申诉', '说明') then answer end as answer,
  explanation, file_id, sheet, row_number, reason is null as accepted, reason, newest
from judged
