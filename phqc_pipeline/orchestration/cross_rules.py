"""Stage 3, warehouse: staging and the cross rules, as dbt's models and tests.

Belongs here: what Dagster shows of dbt's first call. Does not belong here: running it (``warehouse``).
"""

from collections.abc import Mapping, Sequence

from dagster import AssetExecutionContext, AssetsDefinition, AssetSpec

from phqc_pipeline.orchestration import stages
from phqc_pipeline.orchestration.dbt_models import DbtModels
from phqc_pipeline.orchestration.dbt_part import dbt_part_asset
from phqc_pipeline.orchestration.said import stage
from phqc_pipeline.orchestration.session import Session
from phqc_pipeline.orchestration.tables import snapshots
from phqc_pipeline.warehouse.dbt_runner import NodeResult

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

    def judge(context: AssetExecutionContext, session: Session) -> tuple[Sequence[NodeResult], Mapping[str, int | str]]:
        remedy = "看 warehouse/dbt/target/node_results.json 里哪个模型没有建成；单个模型出错只影响它承担的规则"
        with stage("判定跨记录规则", remedy):
            for day in snapshots(context, session):
                judged, run = stages.judge_cross(session, day)
                for error in judged.errors:
                    context.log.warning(error)
        errors = "\n".join(judged.errors) or "无"
        return run.nodes, {"问题": judged.findings, "结果": judged.results, "出错": errors}

    return dbt_part_asset("cross_judgement", models, judge, done)
