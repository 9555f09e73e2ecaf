"""Stages 5 to 7, billing, marts and publishing: the charges, what analysts open, what health centres receive.

Belongs here: what Dagster shows of it. Does not belong here: computing it (``billing``, ``warehouse``, ``reports``).
"""

from collections.abc import Mapping, Sequence

from dagster import AssetExecutionContext, AssetKey, AssetsDefinition, MaterializeResult, MetadataValue, asset

from phqc_pipeline.orchestration import stages
from phqc_pipeline.orchestration.dbt_models import DbtModels
from phqc_pipeline.orchestration.dbt_part import dbt_part_asset
from phqc_pipeline.orchestration.partitions import IN_ORDER, SNAPSHOTS
from phqc_pipeline.orchestration.said import stage
from phqc_pipeline.orchestration.session import Session
from phqc_pipeline.orchestration.session_resource import SessionResource
from phqc_pipeline.orchestration.tables import as_table
from phqc_pipeline.warehouse.dbt_runner import NodeResult


@asset(
    group_name="billing",
    partitions_def=SNAPSHOTS,
    backfill_policy=IN_ORDER,
    deps=["later_nights", "registry"],
    description="每份订单的应付服务费：上报数 × 单价，附报表的行与列，并与档案重算数并排",
)
def charges(session: SessionResource) -> MaterializeResult:
    with stage("计算服务费", "核对 registry/order.csv 与对应的报表文件"):
        computed = stages.charge(session.session)
    shown = computed.select("order_no", "institution_code", "quantity", "unit_price", "amount", "due_on", "reason")
    return MaterializeResult(metadata={"订单数": computed.height, "应付": as_table(shown)})


def marts_asset(models: DbtModels) -> AssetsDefinition:
    """The published models in one step, with the tests of what we built."""

    def build(context: AssetExecutionContext, session: Session) -> tuple[Sequence[NodeResult], Mapping[str, str]]:
        with stage("建立发布表", "看说明里哪个模型或检查没有通过；上一夜发布的数据仓库未动"):
            return stages.build(session).nodes, {}

    return dbt_part_asset("build_marts", models, build)


def published_asset(marts: Sequence[AssetKey]) -> AssetsDefinition:
    """The published file and the institutions' reports; behind every mart."""

    @asset(
        group_name="published",
        partitions_def=SNAPSHOTS,
        backfill_policy=IN_ORDER,
        deps=list(marts),
        description="published/phqc.duckdb 整个替换，以及各机构的整改清单和质控报告",
    )
    def published(context: AssetExecutionContext, session: SessionResource) -> MaterializeResult:
        with stage("发布", "多为磁盘已满或 published/ 不可写；已打开旧文件的读者不受影响"):
            done, folders = stages.publish(session.session, context.log.warning)
        return MaterializeResult(
            metadata={
                "数据仓库": MetadataValue.path(str(done.path)),
                "大小（字节）": done.size,
                "表": len(done.rows),
                "机构报告": len(folders),
            }
        )

    return published
