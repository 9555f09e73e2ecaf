"""Service requests and faults: by when each is to be answered and settled, counted in service hours, and how it stands.

Belongs here: ``billing.service_request`` and its events of the calendar. Does not belong here: the clock
(``service_hours``), what a request says: free text may name people, and stays in the registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from phqc_pipeline.billing.frames import frame_of
from phqc_pipeline.billing.service_hours import add_service_hours, service_time_between
from phqc_pipeline.billing.working_days import CalendarUnknownError
from phqc_pipeline.catalogue.pricing import BillingTerms, Deadline

#: The two things a request waits for: event kind, what is asked, and the request's columns.
_STEPS = (("response", "响应", "responded_at"), ("repair", "解决", "resolved_at"))
EVENTS = {"service_response": "响应服务请求", "service_repair": "解决服务请求"}
_CENT = Decimal("0.01")


def service_requests(requests: pl.DataFrame | None, terms: BillingTerms, snapshot: date) -> pl.DataFrame:
    """``billing.service_request``: every request reported by the end of ``snapshot``, as it stood then.

    ``requests``: the registry's. A request settled without an answer of its own was answered then. Where no calendar of
    the year is known, the status is ``not_evaluable`` and ``reason`` says why.
    """
    if requests is None:
        return frame_of("service_request", [])
    end = datetime.combine(snapshot + timedelta(days=1), datetime.min.time())
    known = requests.filter(pl.col("reported_at") < end).sort("reported_at", "request_no")
    # A seller's requests are hundreds a year, never a data path of records.
    return frame_of("service_request", [_row(row, terms, snapshot, end) for row in known.iter_rows(named=True)])


def request_events(table: pl.DataFrame, snapshot: date) -> list[dict[str, Any]]:
    """Rows of ``billing.calendar``: both deadlines of every request that has them, also those nobody can work out."""
    rows = []
    for row in table.iter_rows(named=True):
        for step, what, done in _STEPS:
            due_at, status = row[f"{step}_due_at"], row[f"{step}_status"]
            if due_at is None and status != "not_evaluable":
                continue
            kind = f"service_{step}"
            rows.append(
                {
                    "event_id": f"{kind} {row['request_no']} seller",
                    "kind": kind,
                    "kind_title": EVENTS[kind],
                    "institution_code": row["institution_code"],
                    "party": "seller",
                    "due_on": due_at and due_at.date(),
                    "due_at": due_at,
                    "status": "done" if row[done] else status,
                    "done_on": row[done] and row[done].date(),
                    "what": f"{what}服务请求 {row['request_no']}（{row['kind']}）"
                    + (f"，最晚 {due_at:%H:%M}" if due_at else ""),
                    "reason": row["reason"] if due_at is None else None,
                    "snapshot_date": snapshot,
                }
            )
    return rows


def _row(row: Mapping[str, Any], terms: BillingTerms, snapshot: date, end: datetime) -> dict[str, Any]:
    resolved = _until(row["resolved_at"], end)
    responded = _until(row["responded_at"], end) or resolved
    deadline = terms.deadlines.get(row["kind"], Deadline())
    found = {
        "request_no": row["request_no"],
        "institution_code": row["institution_code"],
        "kind": row["kind"],
        "state": "已解决" if resolved else "处理中" if responded else "待响应",
        "reported_at": row["reported_at"],
        "responded_at": responded,
        "resolved_at": resolved,
        "snapshot_date": snapshot,
    }
    try:
        for step, hours, done in (("response", deadline.response, responded), ("repair", deadline.repair, resolved)):
            found |= _step(step, row["reported_at"], hours, done, terms, snapshot)
    except CalendarUnknownError as unknown:
        found |= {"response_due_at": None, "repair_due_at": None, "reason": str(unknown)}
        for step, hours in (("response", deadline.response), ("repair", deadline.repair)):
            found[f"{step}_status"] = "void" if hours is None else "not_evaluable"
    return found


def _step(
    step: str, reported: datetime, hours: Decimal | None, done: datetime | None, terms: BillingTerms, snapshot: date
) -> dict[str, Any]:
    opens, closes = terms.support_from, terms.support_to
    due_at = None if hours is None else add_service_hours(reported, hours, opens, closes)
    taken = None if done is None else service_time_between(reported, done, opens, closes)
    return {
        f"{step}_due_at": due_at,
        f"{step}_status": _status(due_at, done, snapshot),
        f"{step}_hours": None if taken is None else (Decimal(taken.total_seconds()) / 3600).quantize(_CENT),
    }


def _status(due_at: datetime | None, done: datetime | None, snapshot: date) -> str:
    if due_at is None:
        return "void"
    if done is not None:
        return "done" if done <= due_at else "late"
    if due_at.date() == snapshot:
        return "due"
    return "upcoming" if snapshot < due_at.date() else "overdue"


def _until(moment: datetime | None, end: datetime) -> datetime | None:
    return moment if moment is not None and moment < end else None
