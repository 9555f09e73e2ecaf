"""What `definitions` loads: assets, checks, one job and schedule a plan, the sensors of landing and billing.

Belongs here: assembling. Does not belong here: deciding.
"""

from __future__ import annotations

from dagster import AssetsDefinition, AssetSelection, AssetSpec, Definitions, define_asset_job, in_process_executor

from phqc_pipeline.catalogue import Catalogue, Plan
from phqc_pipeline.home import Home
from phqc_pipeline.orchestration import findings, landing, publishing
from phqc_pipeline.orchestration.billing_calendar import billing_due, billing_sensor
from phqc_pipeline.orchestration.cross_rules import cross_rules_asset
from phqc_pipeline.orchestration.dbt_models import dbt_models, read_manifest
from phqc_pipeline.orchestration.partitions import SNAPSHOTS
from phqc_pipeline.orchestration.plans import main_plan
from phqc_pipeline.orchestration.record_rules import KEY as RECORD_FINDINGS
from phqc_pipeline.orchestration.record_rules import record_judgement_asset
from phqc_pipeline.orchestration.sensors import landing_sensor, plan_schedule
from phqc_pipeline.orchestration.session_resource import SessionResource


def build_definitions(home: Home, cat: Catalogue, session: SessionResource | None = None) -> Definitions:
    """Everything Dagster needs to know of this home. The catalogue names checks, jobs and schedules; a run loads its
    own, unless ``session`` has one."""
    manifest = read_manifest(home, cat)
    # What counts as managed as required has no severe finding: dbt's first call comes after the record rules.
    upstream = {"warehouse": ["lake", "registry", RECORD_FINDINGS], "marts": ["finding_state", "charges"]}
    staging = dbt_models(manifest, ["warehouse"], upstream)
    marts = dbt_models(manifest, ["marts"], upstream)
    assets: list[AssetsDefinition | AssetSpec] = [
        landing.landing,
        landing.registry,
        landing.lake,
        record_judgement_asset(cat),
        cross_rules_asset(staging),
        findings.night,
        findings.later_nights,
        findings.finding_state,
        publishing.charges,
        publishing.marts_asset(marts),
        publishing.published_asset([spec.key for spec in marts.assets.values()]),
    ]
    active = [plan for plan in cat.plans.values() if plan.active]
    jobs = {
        plan.plan_id: define_asset_job(
            plan.plan_id,
            selection=AssetSelection.all(),
            partitions_def=SNAPSHOTS,
            executor_def=in_process_executor,  # one process: the home's lock and the catalogue span the run
            config={"resources": {"session": {"config": {"plan": plan.plan_id, "institutions": [], "dates": []}}}},
            description=_described(plan, cat),
        )
        for plan in active
    }
    schedules = [plan_schedule(plan, jobs[plan.plan_id]) for plan in active]
    first = main_plan(cat)
    return Definitions(
        assets=assets,
        jobs=[*jobs.values(), billing_due],
        schedules=schedules,
        sensors=[billing_sensor(), *([] if first is None else [landing_sensor(jobs[first.plan_id], first)])],
        resources={"session": session or SessionResource()},
        executor=in_process_executor,
    )


def _described(plan: Plan, cat: Catalogue) -> str:
    whom = "全部机构" if plan.institutions is None else f"{len(plan.institutions)} 家机构"
    forms = "全部表单" if plan.forms is None else f"{len(plan.forms)} 张表单"
    share = "全部记录" if plan.sampling is None else "分层抽样"
    told = f"方案“{cat.schemes[plan.scheme].title}”，{whom}，{forms}，{share}"
    return f"{plan.title}：{told}。取数、判定、跟踪、计费、发布"
