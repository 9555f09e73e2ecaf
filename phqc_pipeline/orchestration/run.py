"""One night run from the command line, exactly as the scheduled job runs it.

Belongs here: starting the job in this process on the home's own Dagster storage, and what came of it.
Does not belong here: printing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.home import Home


@dataclass(frozen=True)
class Outcome:
    """What came of a run. ``published``: the newest night's date, whose state is published; ``error``: in Chinese."""

    published: date
    folders: list[Path]
    error: str = ""


def run_night(home: Home, cat: Catalogue, day: date, plan_id: str, institutions: Sequence[str] = ()) -> Outcome:
    """Run the plan's job for one snapshot date through Dagster; the home's lock is taken by the run itself.

    ``institutions``: those alone (empty: all of the plan's)."""
    from phqc_pipeline.orchestration.instance import prepare_instance

    prepare_instance(home)
    os.environ["PHQC_HOME"] = str(home.root)
    from dagster import DagsterInstance

    from phqc_pipeline.orchestration.jobs import build_definitions
    from phqc_pipeline.orchestration.session_resource import session_with

    definitions = build_definitions(home, cat, session_with(cat))
    with DagsterInstance.get() as instance:
        job = definitions.resolve_job_def(plan_id)
        result = job.execute_in_process(
            instance=instance,
            partition_key=day.isoformat(),
            raise_on_error=False,
            run_config={
                "resources": {"session": {"config": {"plan": plan_id, "institutions": list(institutions)}}},
                # The event log keeps everything; the terminal gets the summary, or the failure in Chinese.
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )
        skipped = [str(event.step_key) for event in result.all_events if event.event_type_value == "STEP_SKIPPED"]
        if not result.success or skipped:
            return Outcome(day, [], _what_failed(result, skipped))
    from phqc_pipeline.billing.facts import PLACE as SELLER_FOLDER
    from phqc_pipeline.reports.write import COMMISSION_FOLDER
    from phqc_pipeline.warehouse import list_nights, read_night

    newest = date.fromisoformat(read_night(list_nights(home)[-1])["snapshot_date"])
    others = {COMMISSION_FOLDER, SELLER_FOLDER}  # beside those of institutions
    folders = sorted(
        path
        for path in home.published.iterdir()
        if path.is_dir() and path.name not in others and not path.name.startswith(".")
    )
    return Outcome(newest, folders)


def _what_failed(result: object, skipped: Sequence[str]) -> str:
    """The failed steps' own descriptions; a failure before any step (lock, catalogue) speaks through the run. Steps
    that were skipped without a failure before them are one, too: the night was not published."""
    lines: list[str] = []
    for event in result.all_events:  # type: ignore[attr-defined]
        if event.is_step_failure:
            data = event.step_failure_data
            told = data.user_failure_data
            text = told.description if told is not None else (data.error.message if data.error else event.message)
            lines.append(f"{event.step_key}：{text}")
        elif event.event_type_value == "PIPELINE_FAILURE" and not lines:
            error = event.job_failure_data.error if event.job_failure_data else None
            lines.append(str((error.cause or error).message if error else event.message))
    if skipped and not lines:
        lines.append(f"没有轮到的步骤：{'、'.join(skipped)}")
    return "运行失败：" + "\n".join(lines or ["原因见 Dagster 的运行记录"])
