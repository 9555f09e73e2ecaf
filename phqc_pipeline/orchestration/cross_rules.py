"""Stage 3, warehouse: staging and the cross rules, as dbt's models and tests.

Belongs here: what Dagster shows of dbt's first call. Does not belong here: running it (``warehouse``).
"""

from collections.abc import Iterator

from dagster import (
    AssetCheckResult,
    AssetExecutionContext,
    AssetsDefinition,
    AssetSpec,
    MaterializeResult,
    multi_asset,
)

from phqc_pipeline.orchestration import stages
from phqc_pipeline.orchestration.dbt_models import DbtModels
from phqc_pipeline.orchestration.partitions import IN_ORDER, SNAPSHOTS
from phqc_pipeline.orchestration.said import stage
from phqc_pipeline.orchestration.session_resource import SessionResource
from phqc_pipeline.orchestration.tables import snapshots

GROUP = "warehouse"
KEY = "cross_findings"


def cross_rules_asset(models: DbtModels) -> AssetsDefinition:
    """Staging and cross models in one step; each rule dbt carries is an asset check of its model.

    A model that could not be built is its rules' error and nobody else's, so nothing later may hang on a single
    model, which Dagster would then skip: the night hangs on ``KEY``, which stands whenever the step came to its end.
    """
    done = AssetSpec(
        KEY,
        group_name=GROUP,
        deps=[spec.key for spec in models.assets.values()],
        description="跨记录规则当夜的结果；没有建成的模型只算它那几条规则出错",
    )

    @multi_asset(
        name="cross_judgement",
        specs=[spec.replace_attributes(partitions_def=SNAPSHOTS) for spec in (*models.assets.values(), done)],
        check_specs=list(models.checks.values()),
        backfill_policy=IN_ORDER,
        partitions_def=SNAPSHOTS,
        can_subset=True,  # or Dagster refuses a backfill over several dates
    )
    def cross_judgement(
        context: AssetExecutionContext, session: SessionResource
    ) -> Iterator[MaterializeResult | AssetCheckResult]:
        remedy = "看 warehouse/dbt/target/node_results.json 里哪个模型没有建成；单个模型出错只影响它承担的规则"
        with stage("判定跨记录规则", remedy):
            for day in snapshots(context):
                judged, run = stages.judge_cross(session.session, day)
                for error in judged.errors:
                    context.log.warning(error)
        yield from models.events(run.nodes, context)
        if done.key in context.selected_asset_keys:
            told = {"问题": judged.findings, "结果": judged.results, "出错": "\n".join(judged.errors) or "无"}
            yield MaterializeResult(asset_key=done.key, metadata=told)

    return cross_judgement
