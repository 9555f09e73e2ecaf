"""dbt, in this process, on the working copy below HOME/warehouse.

Belongs here: one call of dbt and what came of each node. Does not belong here: what is run when, what a result means.

dbt holds the DuckDB file while it runs, so no connection of ours may be open. It is told to keep to itself: no
telemetry, no version check, no package registry. A project is parsed once a night (``target/manifest.json`` is of that
parse); the calls that follow are handed the parsed manifest, since reading it again costs as much as a dozen models.
"""

from __future__ import annotations

import gc
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phqc_pipeline.home import Home
from phqc_pipeline.warehouse.db import memory_limit, thread_count
from phqc_pipeline.warehouse.files import content_fingerprint

#: Statuses of a node that did what it was to do (a warning is a rule with findings).
GOOD = ("success", "pass", "warn")


_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|\d{6,}")


@dataclass(frozen=True)
class NodeResult:
    """What came of one model or test. ``failures``: rows a test selected. ``seconds``: wall time."""

    unique_id: str
    name: str
    kind: str  # model or test
    status: str  # success, error, skipped, pass, warn, fail
    message: str
    failures: int | None
    seconds: float
    rule_id: str = ""  # of a carries_rule test
    model: str = ""  # of a test: the model it looks at

    @property
    def is_good(self) -> bool:
        return self.status in GOOD

    @property
    def problem(self) -> str:
        """The telling line of the engine's message, without the values it quotes: they may be somebody's name."""
        lines = [line.strip() for line in self.message.splitlines() if line.strip()]
        telling = next((line for line in lines if "Error" in line and " in model " not in line), "".join(lines[:1]))
        return _QUOTED.sub("…", telling)[:300]


@dataclass(frozen=True)
class DbtRun:
    """One call of dbt: every node's result, and the seconds the whole call took."""

    command: tuple[str, ...]
    nodes: tuple[NodeResult, ...]
    seconds: float
    manifest: Any = field(repr=False, default=None)

    def of(self, kind: str) -> list[NodeResult]:
        return [node for node in self.nodes if node.kind == kind]

    def failed(self) -> list[NodeResult]:
        return [node for node in self.nodes if not node.is_good]


class DbtError(RuntimeError):
    """dbt could not run at all: the project does not parse, or the call itself failed."""


def run_dbt(home: Home, command: Sequence[str], manifest: Any = None) -> DbtRun:
    """Run ``dbt <command>`` on the home's working copy; DbtError when no node could be run at all.

    ``manifest``: of an earlier call in this process on the same working copy; without it the one parsed last is used
    when the working copy has not changed since.
    """
    from dbt.cli.main import dbtRunner

    started = time.perf_counter()
    manifest = _parsed(home) if manifest is None else manifest
    with _environment(home), _uncollected():
        runner = dbtRunner(manifest=manifest)
        outcome = runner.invoke([*command, *_OPTIONS, "--no-write-json", *_folders(home)])
        _let_go()
    seconds = time.perf_counter() - started
    results = getattr(outcome.result, "results", None)
    if results is None:
        problem = str(outcome.exception or outcome.result or "")
        raise DbtError(f"dbt {command[0]} 未能运行：{problem.strip()}")
    nodes = tuple(_node_result(one) for one in results)
    _write_results(home, nodes)
    return DbtRun(tuple(command), nodes, seconds, manifest)


def parse_project(home: Home, whose: Home | None = None) -> Any:
    """dbt's manifest of the home's working copy (parsed, nothing run); DbtError when it does not parse.

    ``whose``: the home whose settings it is parsed with: what dbt remembers of a parse holds for the same ones alone.
    """
    from dbt.cli.main import dbtRunner

    with _environment(whose or home), _uncollected():
        outcome = dbtRunner().invoke(["parse", *_OPTIONS, *_folders(home)])
        _let_go()
    if not outcome.success:
        raise DbtError(f"dbt 项目无法解析：{outcome.exception or ''}")
    _PARSED.clear()
    _PARSED[home.dbt_work] = (_project_fingerprint(home), outcome.result)
    return outcome.result


#: The manifest parsed last in this process, with the fingerprint of the project it was parsed from.
_PARSED: dict[Path, tuple[str, Any]] = {}


def _parsed(home: Home) -> Any:
    fingerprint, manifest = _PARSED.get(home.dbt_work, ("", None))
    return manifest if fingerprint == _project_fingerprint(home) else parse_project(home)


def _project_fingerprint(home: Home) -> str:
    folders = ("models", "macros", "tests")
    files = [path for folder in folders for path in (home.dbt_work / folder).rglob("*") if path.is_file()]
    return content_fingerprint(sorted([*files, home.dbt_work / "dbt_project.yml"]))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector: dbt makes objects by the hundred thousand and keeps them all."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


_OPTIONS = (
    "--no-version-check",
    "--no-send-anonymous-usage-stats",
    "--no-use-colors",
    "--log-level",
    "none",  # an engine's message may quote a value; what a person needs is in NodeResult.problem
    "--log-level-file",
    "none",
)


def _folders(home: Home) -> list[str]:
    return ["--project-dir", str(home.dbt_work), "--profiles-dir", str(home.dbt_work)]


@contextmanager
def _environment(home: Home) -> Iterator[None]:
    """What ``profiles.yml`` reads, for the time of one call."""
    wanted: Mapping[str, str] = {
        "PHQC_WAREHOUSE_DB": str(home.warehouse_db),
        "PHQC_DUCKDB_MEMORY": memory_limit(),
        "PHQC_DUCKDB_THREADS": str(thread_count()),
        "PHQC_DUCKDB_SCRATCH": str(home.warehouse / "tmp"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _let_go() -> None:
    """Close what dbt's adapter keeps open, so that the file is ours again."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()


def _node_result(one: Any) -> NodeResult:
    node = one.node
    metadata = getattr(node, "test_metadata", None)
    arguments = metadata.kwargs if metadata is not None else {}
    attached = getattr(node, "attached_node", None) or ""
    return NodeResult(
        unique_id=node.unique_id,
        name=node.name,
        kind=str(node.resource_type),
        status=str(one.status),
        message=str(one.message or ""),
        failures=one.failures,
        seconds=float(one.execution_time),
        rule_id=str(arguments.get("rule_id", "")),
        model=attached.rsplit(".", 1)[-1],
    )


def _write_results(home: Home, nodes: Sequence[NodeResult]) -> None:
    target = home.dbt_work / "target" / "node_results.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    told = [{**vars(node), "message": "" if node.is_good else node.problem} for node in nodes]
    target.write_text(json.dumps(told, ensure_ascii=False, indent=1), encoding="utf-8")
