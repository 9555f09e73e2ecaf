"""What is due when: payments, access, renewal notices, confirmation sheets, adjustments.

Belongs here: the events of ``billing.calendar`` and how each stands on a day. Does not belong here: raising them
(``orchestration.sensors``), the documents that go with them (``documents``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

import polars as pl

from phqc_pipeline.billing.frames import frame_of
from phqc_pipeline.billing.orders import Order, OrderLine, notice_day
from phqc_pipeline.billing.service_hours import add_service_hours, last_service_moment, next_service_moment
from phqc_pipeline.billing.service_requests import EVENTS, request_events
from phqc_pipeline.billing.working_days import CalendarUnknownError
from phqc_pipeline.catalogue.pricing import BillingTerms

KINDS: Mapping[str, str] = {
    "payment_due": "付款截止",
    "payment_overdue": "逾期催收",
    "access_open": "开通权限",
    "renewal_notice": "续约通知",
    "service_end": "服务期满",
    "confirmation": "客户服务确认单",
    "adjustment_due": "更正补收或退抵",
    **EVENTS,
}
SELLER, BUYER = "seller", "buyer"


@dataclass(frozen=True)
class _Event:
    """``done_on``: None while it is not done; ``is_void``: it need not be done any more, or never had to be.
    ``reason``: why nobody can say when it is due (``due_on`` None), or whether it is late."""

    kind: str
    party: str
    due_on: date | None
    what: str
    done_on: date | None = None
    due_at: datetime | None = None
    is_void: bool = False
    reason: str = ""


def due_dates(
    orders: Sequence[Order],
    adjustments: pl.DataFrame,
    confirmations: pl.DataFrame | None,
    terms: BillingTerms,
    snapshot: date,
    requests: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """``billing.calendar`` as it stands on ``snapshot``: one row an event and party, in order of due date.

    ``requests``: ``billing.service_request``. ``due_at``: the end of the support hours of that day, or of the last
    working day before it (of dunning: the first after it); for what is counted in service hours the moment itself;
    empty where no calendar of the year is known. ``status``: ``done``, ``void``, ``upcoming``, ``due`` (today, or a
    notice that is out), ``overdue``; ``not_evaluable`` where the due date or what is to be paid cannot be worked out
    (``reason``). What an order that is not signed yet would call for is void.
    """
    confirmed = {} if confirmations is None else _confirmed(confirmations, snapshot)
    renewals = _renewals(orders, snapshot)
    rows = []
    for order in orders:
        for line in order.lines:
            key = (order.order_no, line.institution_code)
            events = [
                *_payment(order, line, terms, snapshot),
                *_service(line, confirmed.get(key), renewals, terms, snapshot),
            ]
            if order.ended(snapshot):
                events = [replace(event, is_void=True) for event in events if event.done_on is None]
            elif order.is_draft(line, snapshot):
                events = [replace(event, is_void=True) if _is_of_no_draft(event, line, snapshot) else event
                          for event in events]  # fmt: skip
            rows += [_row(event, line, terms, snapshot) for event in events]
    rows += list(_adjustment_rows(orders, adjustments, terms, snapshot))
    rows += [] if requests is None else request_events(requests, snapshot)
    return frame_of("calendar", rows).sort("due_on", "event_id", nulls_last=True)


def _is_of_no_draft(event: _Event, line: OrderLine, snapshot: date) -> bool:
    """Whether a draft does not call for it: nothing of one without a day of signing, nothing by now of any."""
    return line.signed_on is None or event.due_on is None or event.due_on <= snapshot


def _payment(order: Order, line: OrderLine, terms: BillingTerms, snapshot: date) -> Iterator[_Event]:
    settled_on = order.settled_on(snapshot)
    pay = f"付清订单 {order.order_no} 的服务费"
    if line.due_problem:
        yield _Event("payment_due", BUYER, None, pay, settled_on, reason=line.due_problem)
    if line.due_on is not None:
        is_known = order.version(line, snapshot) is not None or snapshot < line.due_on
        reason = "" if is_known else f"算不出应付，不判逾期：{line.problem}"
        yield _Event("payment_due", BUYER, line.due_on, pay, settled_on, reason=reason)
        overdue_on = line.due_on + timedelta(days=terms.payment_grace_days + 1)
        in_time = settled_on is not None and settled_on < overdue_on
        what = f"订单 {order.order_no} 逾期未付清：催收，并按约定计违约金"
        done = None if in_time else settled_on
        yield _Event("payment_overdue", SELLER, overdue_on, what, done, is_void=in_time, reason=reason)
    if settled_on is not None:
        begins = max(settled_on + timedelta(days=1), line.service_from)
        opened = max(settled_on, line.service_from)
        what = f"开通质控权限（付款或服务期开始后 {terms.access_service_hours.normalize():f} 个服务小时内）"
        try:
            due_at = add_service_hours(
                datetime.combine(begins, time.min), terms.access_service_hours, terms.support_from, terms.support_to
            )
        except CalendarUnknownError:
            yield _Event("access_open", SELLER, begins, what, opened if opened <= snapshot else None)
        else:
            done = opened if opened <= snapshot else None
            yield _Event("access_open", SELLER, due_at.date(), what, done, due_at)


def _service(
    line: OrderLine, confirmed_on: date | None, renewals: Mapping[str, date], terms: BillingTerms, snapshot: date
) -> Iterator[_Event]:
    notice_on = notice_day(line.service_to, terms.renewal_notice_months)
    renewed = line.institution_code in renewals and renewals[line.institution_code] > line.service_to
    for party, whom in ((BUYER, "用户单位"), (SELLER, "服务单位")):
        what = f"通知{whom}：订单 {line.order_no} 的服务期 {line.service_to.isoformat()} 届满，请办理续约"
        yield _Event("renewal_notice", party, notice_on, what, is_void=renewed)
    ended = line.service_to if snapshot > line.service_to else None
    yield _Event("service_end", SELLER, line.service_to, f"订单 {line.order_no} 的服务期最后一天", ended)
    what = f"请用户填写并签章订单 {line.order_no} 的客户服务确认单"
    yield _Event("confirmation", BUYER, line.service_to, what, confirmed_on)


def _adjustment_rows(
    orders: Sequence[Order], adjustments: pl.DataFrame, terms: BillingTerms, snapshot: date
) -> Iterator[dict[str, Any]]:
    lines = {(order.order_no, line.cell): (order, line) for order in orders for line in order.lines}
    for row in adjustments.filter(pl.col("adjustment") != 0).iter_rows(named=True):
        basis = ("institution_code", "basis_report", "basis_year", "basis_period", "basis_item")
        order, line = lines[row["order_no"], tuple(row[name] for name in basis)]
        owed, paid = order.owed(snapshot), order.paid(snapshot)
        even = owed is not None and (paid >= owed if row["adjustment"] > 0 else paid <= owed)
        last = max((on for on, _ in order.payments if on <= snapshot), default=row["adjusted_on"])
        what = f"{row['reason']}，{row['kind']} {abs(row['adjustment'])} 元"
        party = BUYER if row["adjustment"] > 0 else SELLER
        done = max(last, row["adjusted_on"]) if even else None
        reason = "" if row["due_on"] else "没有该年的节假日安排，无法推算截止日"
        event = _Event("adjustment_due", party, row["due_on"], what, done, reason=reason)
        yield _row(event, line, terms, snapshot, f"v{row['to_version']}")


def _row(event: _Event, line: OrderLine, terms: BillingTerms, snapshot: date, more: str = "") -> dict[str, Any]:
    due_at = event.due_at
    if due_at is None and event.due_on is not None:
        # What is due by a day is done before it; what a day brings about, from it on.
        moment = next_service_moment if event.kind == "payment_overdue" else last_service_moment
        try:
            due_at = moment(event.due_on, terms.support_to)
        except CalendarUnknownError:
            due_at = None
    status = _status(event, snapshot, line.service_to)
    told = (event.kind, line.order_no, *line.cell, event.party, more)
    return {
        "event_id": " ".join(str(part) for part in told if part),
        "kind": event.kind,
        "kind_title": KINDS[event.kind],
        "order_no": line.order_no,
        "institution_code": line.institution_code,
        "party": event.party,
        "due_on": event.due_on,
        "due_at": due_at,
        "status": status,
        "done_on": event.done_on,
        "what": event.what,
        "reason": event.reason if status == "not_evaluable" else None,
        "snapshot_date": snapshot,
    }


def _status(event: _Event, snapshot: date, service_to: date) -> str:
    if event.is_void:
        return "void"
    if event.done_on is not None:
        return "done"
    if event.reason or event.due_on is None:
        return "not_evaluable"
    if snapshot < event.due_on:
        return "upcoming"
    if event.kind == "renewal_notice":  # out from its day to the end of the service, when it is too late
        return "due" if snapshot <= service_to else "overdue"
    return "due" if snapshot == event.due_on else "overdue"


def _confirmed(confirmations: pl.DataFrame, snapshot: date) -> dict[tuple[str, str], date]:
    known = confirmations.filter(pl.col("confirmed_on") <= snapshot).sort("confirmed_on")
    return {
        (row[0], row[1]): row[2] for row in known.select("order_no", "institution_code", "confirmed_on").iter_rows()
    }


def _renewals(orders: Sequence[Order], snapshot: date) -> dict[str, date]:
    """Institution → the last day that any of its orders signed by ``snapshot`` serves."""
    found: dict[str, date] = {}
    for order in orders:
        for line in order.lines:
            if line.signed_on is not None and line.signed_on <= snapshot:
                found[line.institution_code] = max(line.service_to, found.get(line.institution_code, date.min))
    return found
