"""Stage 1, extracts: deliveries taken from landing/ into the lake, the registry read.

Belongs here: what Dagster shows of taking in. Does not belong here: reading files (``extracts``).
"""

from dagster import AssetExecutionContext, AssetSpec, MaterializeResult, MetadataValue, asset

from phqc_pipeline.orchestration import stages
from phqc_pipeline.orchestration.partitions import IN_ORDER, SNAPSHOTS
from phqc_pipeline.orchestration.said import stage
from phqc_pipeline.orchestration.session_resource import SessionResource
from phqc_pipeline.orchestration.tables import as_table, snapshots

GROUP = "extracts"

landing = AssetSpec(
    "landing",
    group_name=GROUP,
    description="各机构交付的导出文件 landing/<机构编码>/<日期>/，只读，流水线从不改动或删除",
)


@asset(
    group_name=GROUP,
    partitions_def=SNAPSHOTS,
    backfill_policy=IN_ORDER,
    description="登记资料：机构、医生、订单、付款、豁免；有误的行逐条报告并跳过",
)
def registry(session: SessionResource) -> MaterializeResult:
    with stage("读取登记资料", "按下面说明改正 registry/ 里的 CSV 文件，再运行一次"):
        read = session.session.registry
        return MaterializeResult(
            metadata={
                "机构数": 0 if read.institutions is None else read.institutions.height,
                "有误的行": len(read.problems),
                "说明": MetadataValue.md("\n".join(f"- {problem}" for problem in read.problems[:50]) or "无"),
            }
        )


@asset(
    group_name=GROUP,
    partitions_def=SNAPSHOTS,
    backfill_policy=IN_ORDER,
    deps=[landing, registry],
    description="数据湖：收下的行，每个文件一份 Parquet；收不下的行和文件连同原因在册",
)
def lake(context: AssetExecutionContext, session: SessionResource) -> MaterializeResult:
    with stage("取数入湖", "看日志里最后处理的是哪个文件；多为磁盘已满或没有读写权限。已收下的文件不会重复处理"):
        until = snapshots(context, session.session)[-1]
        files = stages.take_in(session.session, until, context.log.info)
        day = files.filter(files["snapshot_date"] == until)
        counts = dict(day.group_by("status").len().iter_rows())
        return MaterializeResult(
            metadata={
                "接收文件": counts.get("accepted", 0),
                "隔离文件": counts.get("quarantined", 0),
                "被替换文件": counts.get("superseded", 0),
                "读入行数": int(day["rows_read"].sum() or 0),
                "拒收行数": int(day["rows_rejected"].sum() or 0),
                "隔离原因": as_table(
                    day.filter(day["status"] == "quarantined").select("institution_code", "path", "reason")
                ),
            }
        )
