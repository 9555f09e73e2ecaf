"""Dagster's own storage for a home: embedded, silent, one run at a time.

Belongs here: the instance's settings and what a kill left behind in it. Does not belong here: assets and jobs.
Dagster explains the settings under "Dagster instance configuration" in its documentation.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from phqc_pipeline.home import Home

#: Closed networks: no telemetry, no window inviting to a community on the internet. Runs queue, so that only one
#: writes. SQLite lies in the same folder by default.
INSTANCE_SETTINGS = """\
# Written by phqc. Settings of Dagster for this home; deploy/ shows Postgres for a busy server.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 1
retention:
  schedule:
    purge_after_days: 90
  sensor:
    purge_after_days:
      skipped: 7
      failure: 30
      success: -1
event_log_storage:
  module: phqc_pipeline.orchestration.event_log
  class: HomeEventLog
  config: {}
"""

_UNFINISHED = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


def prepare_instance(home: Home) -> Path:
    """Make the home's Dagster folder with its settings (an existing file is the operator's own and stays)."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    settings = home.dagster / "dagster.yaml"
    if not settings.exists():
        settings.write_text(INSTANCE_SETTINGS, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    return home.dagster


@contextmanager
def held_open(home: Home, run_id: str) -> Iterator[None]:
    """Keep Dagster's SQLite files of a run open while it lasts.

    Dagster opens and closes a connection for every event, and SQLite folds its log back into the file whenever the
    last connection closes: two thousand times a night. One connection more spares each of them. Where Dagster's
    storage is elsewhere (``deploy/``) there are no such files, and nothing is held.
    """
    history = home.dagster / "history"
    files = (history / "runs.db", history / "runs" / "index.db", history / "runs" / f"{run_id}.db")
    with ExitStack() as held:
        for path in files:
            if path.is_file():
                connection = held.enter_context(closing(sqlite3.connect(path)))
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # a file is opened by its first use
        yield


def fail_unfinished_runs(instance: DagsterInstance, *, keep: str | None = None) -> int:
    """Mark as failed what a kill left unfinished; only the holder of the home's lock may say so. Returns how many."""
    left = [
        run for run in instance.get_runs(filters=RunsFilter(statuses=_UNFINISHED)) if keep is None or run.run_id != keep
    ]
    for run in left:
        instance.report_run_failed(run, "上一次运行被中断（进程已不在），由本次运行标记为失败")
    return len(left)
