"""When nights run by themselves: each plan's schedule, and a sensor on the landing folder.

Belongs here: when. Does not belong here: what a night does.
Dagster explains both under "Automate": schedules, sensors.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dagster import (
    DefaultScheduleStatus,
    DefaultSensorStatus,
    JobDefinition,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    schedule,
    sensor,
)

from phqc_pipeline.catalogue import Plan
from phqc_pipeline.home import Home, parse_folder_date, resolve_home

LOOK_EVERY_SECONDS = 60
_SHANGHAI = ZoneInfo("Asia/Shanghai")


def plan_schedule(plan: Plan, job: object) -> ScheduleDefinition:
    """The plan's schedule (default 02:00): judges the folders of the previous day."""

    @schedule(
        name=f"{plan.plan_id}_schedule",
        job=job,  # type: ignore[arg-type]
        cron_schedule=plan.schedule,
        execution_timezone="Asia/Shanghai",
        default_status=DefaultScheduleStatus.RUNNING,
        description=f"{plan.title}：{plan.schedule}（北京时间），判前一天的交付",
    )
    def scheduled(context: ScheduleEvaluationContext) -> RunRequest:
        at = context.scheduled_execution_time.astimezone(_SHANGHAI)
        day = (at - timedelta(days=1)).date().isoformat()
        return RunRequest(run_key=f"{plan.plan_id} {day} {at.isoformat()}", partition_key=day)

    return scheduled  # type: ignore[return-value]


def landing_sensor(job: JobDefinition | object, plan: Plan) -> SensorDefinition:
    """Asks for a night of every date whose deliveries changed and then lay still between two looks."""

    @sensor(
        name="landing_sensor",
        job=job,  # type: ignore[arg-type]
        minimum_interval_seconds=LOOK_EVERY_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="交付目录有新文件或文件有变化，且两次查看之间不再变化（不在写入中），就运行那一天",
    )
    def watch(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        home = resolve_home()
        seen = look(home)
        if context.cursor:
            known = json.loads(context.cursor)
        else:  # a home with a history: its nights need not all be run again
            known = {"looked": {}, "asked": {day: now for day, now in seen.items() if judged_since(home, day)}}
        ready = changed_and_still(seen, known["looked"], known["asked"])
        for day in ready:
            # The key holds path, size and modification time of all files: the same delivery never runs twice.
            yield RunRequest(run_key=f"{plan.plan_id} {day} {seen[day]}", partition_key=day)
        context.update_cursor(
            json.dumps({"looked": seen, "asked": {**known["asked"], **{day: seen[day] for day in ready}}})
        )
        if not ready:
            yield SkipReason("没有新的、已写完的交付")

    return watch


def look(home: Home) -> dict[str, str]:
    """Date → fingerprint of its deliveries: path, size and modification time of every file."""
    today = datetime.now(_SHANGHAI).date()
    found: dict[str, list[str]] = {}
    for institution in sorted(home.landing.iterdir()) if home.landing.is_dir() else []:
        for folder in sorted(institution.iterdir()) if institution.is_dir() else []:
            day = parse_folder_date(folder.name)
            if day is None or day > today or not folder.is_dir():
                continue
            for path in sorted(folder.iterdir()):
                about = path.stat()
                line = f"{path.relative_to(home.landing)} {about.st_size} {about.st_mtime_ns}"
                found.setdefault(folder.name, []).append(line)
    return {day: hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] for day, lines in sorted(found.items())}


def changed_and_still(seen: dict[str, str], looked: dict[str, str], asked: dict[str, str]) -> list[str]:
    """The dates whose files are as they were at the last look and other than when a night was last asked for."""
    return [day for day, now in sorted(seen.items()) if looked.get(day) == now and asked.get(day) != now]


def judged_since(home: Home, day: str) -> bool:
    """Whether a night of that date was laid down after the last of its deliveries arrived."""
    laid_down = max((path.stat().st_mtime_ns for path in home.nights.glob(f"{day}.*/night.json")), default=0)
    arrived = max(path.stat().st_mtime_ns for path in home.landing.glob(f"*/{day}/*"))
    return laid_down >= arrived
