"""The whole bill of a home on a day: every table of ``billing.*`` at once.

Belongs here: which tables there are and how they hang together. Does not belong here: what any of them says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from phqc_pipeline.billing.charges import adjustments, charge_versions, compute_charges
from phqc_pipeline.billing.due_dates import due_dates
from phqc_pipeline.billing.entitlement import entitled
from phqc_pipeline.billing.evidence import History
from phqc_pipeline.billing.frames import frame_of, schema_of
from phqc_pipeline.billing.money import round_to_fen, split_amount
from phqc_pipeline.billing.orders import STATES, Order, OrderLine, notice_day, read_orders
from phqc_pipeline.billing.service_requests import service_requests
from phqc_pipeline.billing.usage import Usage
from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.extracts import Registry
from phqc_pipeline.extracts.registry_files import SATISFACTION

_ENDED = "已全额退款，订单终止"


@dataclass(frozen=True)
class Bill:
    """``tables``: the name of each table of ``billing`` → its rows on ``snapshot``."""

    snapshot: date
    orders: Sequence[Order]
    tables: Mapping[str, pl.DataFrame]


def make_bill(
    registry: Registry, cat: Catalogue, history: History, recomputed: pl.DataFrame, usage: Usage, snapshot: date
) -> Bill:
    """Everything billing knows on ``snapshot``. Without ``order.csv`` nothing is charged, and use is counted all the
    same. ``recomputed``: institution_code, report_id, year, period, item, recomputed."""
    days = cat.settings.payment_working_days
    orders = read_orders(
        registry.orders,
        registry.payments,
        history,
        cat.billing,
        snapshot,
        payment_working_days=days,
        judged=records_judged(registry.orders, usage),
        refunds=registry.refunds,
    )
    changes = adjustments(orders, snapshot, payment_working_days=days)
    requests = service_requests(registry.requests, cat.billing, snapshot)
    tables = {
        "charge": compute_charges(orders, recomputed, snapshot),
        "charge_version": charge_versions(orders, snapshot),
        "adjustment": changes,
        "order": _orders(registry, cat, orders, snapshot),
        "payment": _payments(registry, snapshot),
        "calendar": due_dates(orders, changes, registry.confirmations, cat.billing, snapshot, requests),
        "service_request": requests,
        "usage": _shaped("usage", usage.months),
        "usage_night": _shaped("usage_night", usage.nights),
        "confirmation": _confirmations(registry.confirmations, snapshot),
    }
    return Bill(snapshot, orders, tables)


def records_judged(orders: pl.DataFrame | None, usage: Usage) -> dict[tuple[str, str], int]:
    """(order_no, institution_code) → records judged in the months that began, by their first night, in its service.

    A record counts once a month (``billing.usage``), so the lines of use add up to the bill.
    """
    if orders is None or orders.is_empty() or usage.months.is_empty():
        return {}
    lines = orders.select("order_no", "institution_code", "service_from", "service_to").unique()
    counted = (
        lines.join(usage.months, on="institution_code")
        .filter(pl.col("first_night").is_between("service_from", "service_to"))
        .group_by("order_no", "institution_code")
        .agg(pl.col("records_judged").sum())
    )
    return {(row[0], row[1]): row[2] for row in counted.iter_rows()}


def _orders(registry: Registry, cat: Catalogue, orders: Sequence[Order], snapshot: date) -> pl.DataFrame:
    codes = sorted({line.institution_code for order in orders for line in order.lines})
    obstacles = entitled(registry, orders, cat.billing, snapshot, codes)
    rows: list[dict[str, Any]] = []
    for order in orders:
        amounts = [order.owes(line, snapshot) for line in order.lines]
        weights = amounts if any(amounts) else [_offered(order, line, snapshot) for line in order.lines]
        shares = split_amount(order.paid(snapshot), [weight or Decimal(0) for weight in weights])
        for line, amount, share in zip(order.lines, amounts, shares, strict=True):
            rows.append(_order_row(order, line, amount, share, cat, snapshot, obstacles[line.institution_code]))
    return frame_of("order", rows)


def _offered(order: Order, line: OrderLine, snapshot: date) -> Decimal | None:
    """What a draft would come to; None of what is signed."""
    version = order.version(line, snapshot) if order.is_draft(line, snapshot) else None
    return version.amount if version else None


def _order_row(
    order: Order,
    line: OrderLine,
    amount: Decimal | None,
    share: Decimal,
    cat: Catalogue,
    snapshot: date,
    obstacle: str | None,
) -> dict[str, Any]:
    terms = cat.billing
    state = order.state(line, snapshot, terms)
    penalty = None
    if amount is not None and line.penalty_rate is not None and state != "draft" and not order.ended(snapshot):
        penalty = round_to_fen(amount * line.penalty_rate)
    _, report, year, period, item = line.cell
    return {
        "order_no": order.order_no,
        "institution_code": line.institution_code,
        "state": state,
        "state_title": STATES[state],
        "is_in_service": line.in_service(snapshot, terms.service_grace_days),
        "is_entitled": obstacle is None,
        "pricing": line.pricing_id,
        "pricing_title": line.pricing.title if line.pricing else None,
        "basis_report": report,
        "basis_year": year,
        "basis_period": period,
        "basis_item": item,
        "signed_on": line.signed_on,
        "due_on": line.due_on,
        "settled_on": order.settled_on(snapshot),
        "service_from": line.service_from,
        "service_to": line.service_to,
        "notice_on": notice_day(line.service_to, terms.renewal_notice_months),
        "days_left": (line.service_to - snapshot).days,
        "amount": amount,
        "draft_amount": _offered(order, line, snapshot),
        "paid_share": share,
        "balance": None if amount is None else amount - share,
        "order_amount": order.owed(snapshot),
        "order_paid": order.paid(snapshot),
        "penalty": penalty,
        "penalty_due": penalty if state == "defaulted" else Decimal(0),
        "reason": "；".join(filter(None, (line.problem, obstacle, _ENDED if order.ended(snapshot) else ""))) or None,
        "snapshot_date": snapshot,
    }


def _payments(registry: Registry, snapshot: date) -> pl.DataFrame:
    """What was paid, and below zero what was paid back."""
    schema = schema_of("payment")
    parts = [pl.DataFrame(schema=schema)]
    if registry.payments is not None:
        parts.append(_shaped("payment", registry.payments.with_columns(kind=pl.lit("付款"))))
    if registry.refunds is not None:
        back = registry.refunds.select(
            "order_no", -pl.col("amount"), paid_on="refunded_on", invoice_no="voucher_no", kind=pl.lit("退款")
        )
        parts.append(_shaped("payment", back))
    return pl.concat(parts).filter(pl.col("paid_on") <= snapshot).sort("order_no", "paid_on", "kind", "amount")


def _confirmations(confirmations: pl.DataFrame | None, snapshot: date) -> pl.DataFrame:
    """The answers of confirmation sheets; what a customer wrote in his own words stays in the registry."""
    schema = schema_of("confirmation")
    if confirmations is None:
        return pl.DataFrame(schema=schema)
    grades = {title: len(SATISFACTION) - place for place, title in enumerate(SATISFACTION)}
    return (
        confirmations.filter(pl.col("confirmed_on") <= snapshot)
        .with_columns(
            satisfaction_grade=pl.col("satisfaction").replace_strict(grades, return_dtype=pl.Int32),
            is_fulfilled=pl.col("fulfilled") == "是",
            has_opinion=pl.col("opinion").is_not_null(),
        )
        .select(pl.col(name).cast(kind) for name, kind in schema.items())
        .sort("order_no", "institution_code", "confirmed_on")
    )


def _shaped(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    schema = schema_of(table)
    if frame.is_empty():
        return pl.DataFrame(schema=schema)
    return frame.select(pl.col(name).cast(kind) for name, kind in schema.items())
