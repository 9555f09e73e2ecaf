"""The billing calendar raised: what falls due makes a run that says so and has the documents ready.

Belongs here: when and how it is raised. Does not belong here: what is due (``billing.due_dates``).
Dagster explains both under "Automate: sensors" and "Ops and jobs".
"""

import json
from collections.abc import Iterator
from datetime import date, datetime
from zoneinfo import ZoneInfo

import duckdb
from dagster import (
    Config,
    DefaultSensorStatus,
    JobDefinition,
    OpExecutionContext,
    Output,
    RunConfig,
    RunRequest,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    in_process_executor,
    job,
    op,
    sensor,
)
from pydantic import Field

from phqc_pipeline.billing import bill_of, issue
from phqc_pipeline.billing.service_requests import EVENTS, request_events, service_requests
from phqc_pipeline.catalogue import CatalogueError, load_catalogue
from phqc_pipeline.extracts import RegistryError, read_registry
from phqc_pipeline.extracts.registry_files import FILES
from phqc_pipeline.home import Home, resolve_home, resolve_rules
from phqc_pipeline.orchestration.lock import hold_home
from phqc_pipeline.orchestration.said import stage

#: event_id, due_on, party, what, institution_code (None: no one institution's).
Event = tuple[str, date, str, str, str | None]

LOOK_EVERY_SECONDS = 3600
_SHANGHAI = ZoneInfo("Asia/Shanghai")
_PARTIES = {"seller": "服务单位", "buyer": "用户单位"}


class DueEvents(Config):
    """What a run raises."""

    day: str = Field(description="提醒的日期")
    events: list[str] = Field(description="billing.calendar 的事项编号")


@op(description="提醒到期的事：逐条写入日志，并备好相关机构的文书")
def raise_due(context: OpExecutionContext, config: DueEvents) -> Output[int]:
    home, day = resolve_home(), date.fromisoformat(config.day)
    chosen = [event for event in open_events(home, day) if event[0] in config.events]
    for _, due_on, party, what, institution in chosen:
        context.log.warning(f"{due_on} 到期，{_PARTIES[party]}：{what}（{institution or '全部机构'}）")
    with stage("备好计费文书", "核对 registry/ 里的登记资料和 templates/ 里的模板"), hold_home(home, "计费提醒"):
        cat = load_catalogue(resolve_rules())
        registry = read_registry(home, cat)
        bill = bill_of(home, cat, registry, day)
        done = issue(
            home, cat, registry, bill, annual=True, pdf=True, only=frozenset(event[4] or "" for event in chosen)
        )
    told = {"事项": len(chosen), "新写文书": len(done.documents.fresh), "PDF": len(done.pdfs)}
    return Output(len(chosen), metadata=told)


@job(
    name="billing_due",
    executor_def=in_process_executor,
    description="计费日历：提醒到期的付款、续约、确认单和更正，并备好文书",
)
def billing_due() -> None:
    raise_due()


def billing_sensor(due_job: JobDefinition = billing_due) -> SensorDefinition:
    """Asks once for every event that has fallen due, those of one look in one run."""

    @sensor(
        name="billing_sensor",
        job=due_job,
        minimum_interval_seconds=LOOK_EVERY_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="计费日历里有事到期（付款、逾期、续约通知、确认单、更正补收或退抵）就提醒一次",
    )
    def watch(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        today = datetime.now(_SHANGHAI).date()
        due = {event[0]: event[1].isoformat() for event in open_events(resolve_home(), today)}
        raised: dict[str, str] = json.loads(context.cursor) if context.cursor else {}
        fresh = [event for event, due_on in due.items() if raised.get(event) != due_on]
        if fresh:
            config = DueEvents(day=today.isoformat(), events=fresh)
            key = f"billing {today.isoformat()} {'|'.join(fresh)}"
            yield RunRequest(run_key=key, run_config=RunConfig(ops={"raise_due": config}))
        else:
            yield SkipReason("计费日历里没有新到期的事")
        context.update_cursor(json.dumps(due))

    return watch


def open_events(home: Home, today: date) -> list[Event]:
    """event_id, due_on, party, what, institution_code of what has fallen due by ``today`` and is not done.

    As last published; service requests, whose deadlines are hours, as the registry has them now.
    """
    return sorted([*_published(home, today), *_requested(home, today)], key=lambda event: (event[1], event[0]))


def _requested(home: Home, today: date) -> list[Event]:
    if not (home.registry / f"{FILES['requests'].stem}.csv").is_file():
        return []
    try:
        registry, terms = read_registry(home), load_catalogue(resolve_rules()).billing
    except (RegistryError, CatalogueError):
        return []  # the next night says what is wrong; what is published is raised all the same
    rows = request_events(service_requests(registry.requests, terms, today), today)
    return [
        (row["event_id"], row["due_on"], row["party"], row["what"], row["institution_code"])
        for row in rows
        if row["status"] in ("due", "overdue")
    ]


def _published(home: Home, today: date) -> list[Event]:
    if not home.published_db.is_file():
        return []
    with duckdb.connect(str(home.published_db), read_only=True) as connection:
        there = "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'billing' AND table_name = 'calendar'"
        if not connection.execute(there).fetchall():  # published by an older version
            return []
        return connection.execute(
            "SELECT event_id, due_on, party, what, institution_code FROM billing.calendar "
            "WHERE due_on <= ? AND status IN ('upcoming', 'due', 'overdue') AND NOT list_contains(?, kind)",
            [today, list(EVENTS)],
        ).fetchall()
