"""Deletes Dagster's records of old runs: Dagster itself keeps runs and their events for ever.

    python deploy/purge_runs.py --days 400             says how many finished runs are older
    python deploy/purge_runs.py --days 400 --delete    deletes them with their events and captured output

Uses the instance that DAGSTER_HOME names, whatever its storage. Only Dagster's own records go: deliveries, nights and
the published warehouse are files of the home and stay. The dates of deleted runs are shown as never materialized.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

FINISHED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
BATCH = 100


def purge(instance: DagsterInstance, before: datetime) -> int:
    """Delete the finished runs created before ``before``; returns how many."""
    old = RunsFilter(statuses=FINISHED, created_before=before)
    deleted = 0
    while runs := instance.get_runs(filters=old, limit=BATCH):
        for run in runs:
            instance.delete_run(run.run_id)
            _delete_files(Path(instance.storage_directory()), run.run_id)
        deleted += len(runs)
    return deleted


def _delete_files(storage: Path, run_id: str) -> None:
    """The run's captured output; and of the embedded storage the run's own event file, which Dagster only empties."""
    shutil.rmtree(storage / run_id, ignore_errors=True)
    for path in (storage.parent / "history" / "runs").glob(f"{run_id}.db*"):
        path.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description="删除 Dagster 里过期的运行记录和事件")
    parser.add_argument("--days", type=int, default=400, help="保留最近多少天的运行，默认 400")
    parser.add_argument("--delete", action="store_true", help="真的删除；不写只报数")
    given = parser.parse_args()
    if given.days < 1:
        parser.error("--days 至少为 1")
    before = datetime.now(timezone.utc) - timedelta(days=given.days)
    with DagsterInstance.get() as instance:
        if given.delete:
            print(f"已删除 {before:%Y-%m-%d} 以前的运行 {purge(instance, before)} 次")
        else:
            count = instance.get_runs_count(filters=RunsFilter(statuses=FINISHED, created_before=before))
            print(f"{before:%Y-%m-%d} 以前的运行 {count} 次；加 --delete 删除")
    return 0


if __name__ == "__main__":
    sys.exit(main())
