"""A part of the dbt project as one step of Dagster: its models as assets, its tests as checks.

Belongs here: the step around a stage that runs dbt. Does not belong here: which models a part has (``dbt_models``),
running dbt (``stages``).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from dagster import (
    AssetCheckResult,
    AssetExecutionContext,
    AssetsDefinition,
    AssetSpec,
    MaterializeResult,
    multi_asset,
)

from phqc_pipeline.orchestration.dbt_models import DbtModels
from phqc_pipeline.orchestration.partitions import IN_ORDER, SNAPSHOTS
from phqc_pipeline.orchestration.session import Session
from phqc_pipeline.orchestration.session_resource import SessionResource
from phqc_pipeline.warehouse.dbt_runner import NodeResult

#: Runs the stage: what became of dbt's nodes, and what to tell of the step as a whole.
Run = Callable[[AssetExecutionContext, Session], tuple[Sequence[NodeResult], Mapping[str, int | str]]]


def dbt_part_asset(name: str, models: DbtModels, run: Run, done: AssetSpec | None = None) -> AssetsDefinition:
    """The step that builds the whole of ``models``. ``done``: an asset that stands whenever ``run`` came to its end."""

    @multi_asset(
        name=name,
        specs=[
            spec.replace_attributes(partitions_def=SNAPSHOTS)
            for spec in (*models.assets.values(), *([done] if done is not None else []))
        ],
        check_specs=list(models.checks.values()),
        backfill_policy=IN_ORDER,
        partitions_def=SNAPSHOTS,
        can_subset=True,  # or Dagster refuses a backfill over several dates
    )
    def part(
        context: AssetExecutionContext, session: SessionResource
    ) -> Iterator[MaterializeResult | AssetCheckResult]:
        nodes, told = run(context, session.session)
        yield from models.events(nodes, context)
        if done is not None and done.key in context.selected_asset_keys:
            yield MaterializeResult(asset_key=done.key, metadata={**told})

    return part
