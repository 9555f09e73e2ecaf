"""The session of a run as a Dagster resource: takes the home's lock, loads what the stages need.

Belongs here: what must hold from a run's first step to its last. Does not belong here: what a stage does.
Dagster explains resources under "External resources" in its documentation.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from dagster import ConfigurableResource, Failure, InitResourceContext
from pydantic import Field, PrivateAttr

from phqc_pipeline.catalogue import CatalogueError
from phqc_pipeline.catalogue.faults import describe
from phqc_pipeline.extracts import RegistryError
from phqc_pipeline.home import resolve_home, resolve_rules
from phqc_pipeline.orchestration.instance import fail_unfinished_runs
from phqc_pipeline.orchestration.lock import HomeBusyError, hold_home
from phqc_pipeline.orchestration.session import Session
from phqc_pipeline.orchestration.stages import recover


class SessionResource(ConfigurableResource):
    """One run's hold on a home: steps run in one process, so the lock spans the run and the catalogue loads once."""

    plan: str = Field(default="nightly", description="质控计划（rules/plans/ 里的 plan_id）")

    _session: Session | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Generator[SessionResource, None, None]:
        home = resolve_home()
        said = context.log.info if context.log is not None else print
        try:
            with hold_home(home, f"计划 {self.plan}", say=said):
                if context.instance is not None:
                    fail_unfinished_runs(context.instance, keep=context.run_id)
                self._session = Session(home, resolve_rules(), self.plan, context.run_id or "")
                _load(self._session)
                recover(self._session)
                yield self
        except HomeBusyError as busy:
            raise Failure(description=str(busy), allow_retries=False) from None

    @property
    def session(self) -> Session:
        if self._session is None:
            raise RuntimeError("会话只在一次运行之内可用")
        return self._session


def _load(session: Session) -> None:
    """Catalogue, plan and registry, or a failure that lists every fault."""
    try:
        cat, _ = session.cat, session.registry
    except CatalogueError as invalid:
        raise Failure(description=describe(invalid.faults), allow_retries=False) from None
    except RegistryError as wrong:
        raise Failure(description=str(wrong), allow_retries=False) from None
    if session.plan_id not in cat.plans:
        raise Failure(description=f"没有质控计划 {session.plan_id}，现有：{'、'.join(cat.plans)}", allow_retries=False)
