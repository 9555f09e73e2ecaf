"""Stage 4, findings: the night laid down, later nights settled, every finding followed.

Belongs here: what Dagster shows of it. Does not belong here: the fold (``warehouse.life``).
"""

import polars as pl
from dagster import AssetExecutionContext, MaterializeResult, asset

from phqc_pipeline.orchestration import cross_rules, record_rules, stages
from phqc_pipeline.orchestration.partitions import IN_ORDER, SNAPSHOTS
from phqc_pipeline.orchestration.said import stage
from phqc_pipeline.orchestration.session_resource import SessionResource
from phqc_pipeline.orchestration.tables import as_table, snapshots

GROUP = "findings"


@asset(
    group_name=GROUP,
    partitions_def=SNAPSHOTS,
    backfill_policy=IN_ORDER,
    deps=[record_rules.KEY, cross_rules.KEY],
    description="一夜的判定结果 nights/<日期>/，写成即不再改动",
)
def night(context: AssetExecutionContext, session: SessionResource) -> MaterializeResult:
    with stage("写下当夜判定", "多为磁盘已满；重跑即可，未写完的不会留下"):
        for day in snapshots(context, session.session):
            told = stages.lay_down(session.session, day)
    return MaterializeResult(
        metadata={"运行编号": told["run_id"], "问题": told["findings"], "参加质控的记录": told["records_checked"]}
    )


@asset(
    group_name=GROUP,
    partitions_def=SNAPSHOTS,
    backfill_policy=IN_ORDER,
    deps=["night"],
    description="迟到的交付或改过的规则会影响后面的夜：依据变了的重新判定",
)
def later_nights(context: AssetExecutionContext, session: SessionResource) -> MaterializeResult:
    with stage("重判后面的夜", "看日志里是哪一夜；单独用 phqc nightly --date 那一天 再运行一次"):
        again = stages.settle_later(session.session, snapshots(context, session.session), context.log.info)
    return MaterializeResult(metadata={"重新判定": "、".join(day.isoformat() for day in again) or "无"})


@asset(
    group_name=GROUP,
    partitions_def=SNAPSHOTS,
    backfill_policy=IN_ORDER,
    deps=["later_nights"],
    description="每个问题的来龙去脉：待整改、已整改、反复、已豁免、不再适用；由各夜结果依次推出",
)
def finding_state(session: SessionResource) -> MaterializeResult:
    with stage("推算问题状态", "删除 nights/*/state.* 后再运行一次，会从头推算"):
        state = stages.follow(session.session)
        counts = pl.scan_parquet(state).group_by("state").len().sort("state").collect() if state else pl.DataFrame()
    return MaterializeResult(metadata={"状态": as_table(counts)})
