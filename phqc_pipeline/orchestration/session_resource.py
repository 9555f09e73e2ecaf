"""The session of a run as a Dagster resource: takes the home's lock, loads what the stages need.

Belongs here: what must hold from a run's first step to its last. Does not belong here: what a stage does.
Dagster explains resources under "External resources" in its documentation.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import cast

from dagster import ConfigurableResource, DagsterRun, Failure, InitResourceContext
from pydantic import Field, PrivateAttr

from phqc_pipeline.catalogue import Catalogue, CatalogueError, for_plan, load_catalogue
from phqc_pipeline.catalogue.faults import describe
from phqc_pipeline.extracts import RegistryError
from phqc_pipeline.extracts.find import FIRST_DATE
from phqc_pipeline.home import Home, parse_folder_date, resolve_home, resolve_rules
from phqc_pipeline.orchestration.instance import fail_unfinished_runs, held_open
from phqc_pipeline.orchestration.lock import SHANGHAI, HomeBusyError, hold_home
from phqc_pipeline.orchestration.session import Session, strangers_said
from phqc_pipeline.orchestration.stages import recover

#: The tags by which Dagster knows a run's partition, or its range of them.
_PARTITION, _PARTITION_RANGE = "dagster/partition", "dagster/asset_partition_range_start"


class SessionResource(ConfigurableResource):
    """One run's hold on a home: steps run in one process, so the lock spans the run.

    The catalogue is loaded when the run begins, not at import: a code server lives for weeks.
    """

    plan: str = Field(default="nightly", description="质控计划（rules/plans/ 里的 plan_id）")
    institutions: list[str] = Field(
        default=[],
        description="只判这些机构（机构编码）；空为计划内的全部。只判一部分的另算一次运行，不替换全部机构的那一夜",
    )
    dates: list[str] = Field(
        default=[],
        description="改判这些数据日期（YYYY-MM-DD）；空为所选分区的日期，写了就可以不选分区。要有那一天或更早的交付",
    )

    _session: Session | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Generator[SessionResource, None, None]:
        home = resolve_home()
        said = context.log.info if context.log is not None else print
        try:
            run_id = context.run_id or ""
            with hold_home(home, f"计划 {self.plan}", say=said), held_open(home, run_id):
                if context.instance is not None:
                    fail_unfinished_runs(context.instance, keep=context.run_id)
                self._session = self._begin(home, run_id)
                if context.dagster_run is not None:
                    name_partition(context.dagster_run, self._session.dates)
                recover(self._session)
                yield self
        except HomeBusyError as busy:
            raise Failure(description=str(busy), allow_retries=False) from None

    def _begin(self, home: Home, run_id: str) -> Session:
        """Catalogue, plan and registry, or a failure that lists every fault."""
        try:
            cat = self._catalogue()
            if self.plan not in cat.plans:
                plans = "、".join(cat.plans)
                raise Failure(description=f"没有质控计划 {self.plan}，现有：{plans}", allow_retries=False)
            if not cat.plans[self.plan].active:
                raise Failure(description=f"质控计划 {self.plan} 已停用（active: false）", allow_retries=False)
            session = Session(
                home,
                for_plan(cat, self.plan),
                self.plan,
                run_id,
                base=cat,
                only=tuple(sorted(set(self.institutions))),
                dates=tuple(sorted({_day(text) for text in self.dates})),
            )
            if strangers := strangers_said(home, session.registry, session.only):
                raise Failure(description=strangers, allow_retries=False)
        except CatalogueError as invalid:
            raise Failure(description=describe(invalid.faults), allow_retries=False) from None
        except RegistryError as wrong:
            raise Failure(description=str(wrong), allow_retries=False) from None
        return session

    def _catalogue(self) -> Catalogue:
        return load_catalogue(resolve_rules())

    @property
    def session(self) -> Session:
        if self._session is None:
            raise RuntimeError("会话只在一次运行之内可用")
        return self._session


def _day(text: str) -> date:
    day, today = parse_folder_date(text), datetime.now(SHANGHAI).date()
    if day is None or not FIRST_DATE <= day <= today:
        told = f"数据日期“{text}”应写成 YYYY-MM-DD，且在 {FIRST_DATE} 至今天（{today}）之间"
        raise Failure(description=told, allow_retries=False)
    return day


def name_partition(run: DagsterRun, dates: Sequence[date]) -> None:
    """A run without a partition becomes that of its newest date: Dagster asks partitioned assets for one. No step has
    looked at the run's tags yet."""
    if _PARTITION in run.tags or _PARTITION_RANGE in run.tags:
        return
    if not dates:
        told = "没有写数据日期：在 Launchpad 选一个分区（Partition），或在 config 的 dates 里写日期"
        raise Failure(description=told, allow_retries=False)
    cast(dict[str, str], run.tags)[_PARTITION] = dates[-1].isoformat()


def session_with(cat: Catalogue) -> SessionResource:
    """The resource of a run that is started with its catalogue in hand, as the command line does."""

    class Given(SessionResource):
        def _catalogue(self) -> Catalogue:
            return cat

    return Given()
