"""Charges: what every line of every order comes to, each version of it, and what versions differ by.

Belongs here: rows of ``billing.charge``, ``billing.charge_version`` and ``billing.adjustment``, with their evidence.
Does not belong here: orders and their states (``orders``), prices (``pricing``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any

import polars as pl

from phqc_pipeline.billing.evidence import Cell, ReportedCell
from phqc_pipeline.billing.frames import frame_of
from phqc_pipeline.billing.money import amount_in_words, round_to_fen
from phqc_pipeline.billing.orders import Order, OrderLine
from phqc_pipeline.billing.versions import Version
from phqc_pipeline.billing.working_days import CalendarUnknownError, add_working_days

CHARGED, NOT_EVALUABLE = "charged", "not_evaluable"


def compute_charges(orders: Sequence[Order], recomputed: pl.DataFrame, snapshot: date) -> pl.DataFrame:
    """``billing.charge``: one row a line of an order, by the version that holds on ``snapshot``; no orders, no rows.

    ``recomputed``: institution_code, report_id, year, period, item, recomputed. A line whose cell was not reported, or
    whose due date no calendar knows, keeps its row: ``status`` is ``not_evaluable``, ``reason`` says what is missing.
    """
    counts = {
        (row["institution_code"], row["report_id"], int(row["year"]), row["period"], row["item"]): row["recomputed"]
        for row in recomputed.iter_rows(named=True)
    }
    rows = [_charge(order, line, counts, snapshot) for order in orders for line in order.lines]
    return frame_of("charge", rows).sort("order_no", "institution_code", "basis_report", "basis_year", "basis_item")


def charge_versions(orders: Sequence[Order], snapshot: date) -> pl.DataFrame:
    """``billing.charge_version``: every version made by ``snapshot``, the current one marked."""
    rows = []
    for order in orders:
        for line in order.lines:
            current = order.version(line, snapshot)
            for version in order.versions[line.cell]:
                if version.made_on <= snapshot:
                    rows.append(
                        {
                            **_basis(line),
                            "version": version.number,
                            "made_on": version.made_on,
                            "is_current": version is current,
                            "quantity": version.quantity,
                            "unit_price": line.unit_price,
                            "amount_exact": version.amount_exact,
                            "amount": version.amount,
                            "amount_words": amount_in_words(version.amount),
                            "is_held": version.is_held,
                            **_evidence(version.evidence),
                        }
                    )
    return frame_of("charge_version", rows)


def adjustments(orders: Sequence[Order], snapshot: date, *, payment_working_days: int) -> pl.DataFrame:
    """``billing.adjustment``: what each later version differs by from the one before it, up to ``snapshot``.

    Positive amounts are due from the buyer, negative ones are the buyer's credit; both fall due as a payment does,
    counted from the day the corrected report was delivered.
    """
    rows = []
    for order in orders:
        for line in order.lines:
            made = [version for version in order.versions[line.cell] if version.made_on <= snapshot]
            rows += [_adjustment(line, before, after, payment_working_days) for before, after in pairwise(made)]
    return frame_of("adjustment", rows)


def _charge(order: Order, line: OrderLine, counts: Mapping[Cell, Any], snapshot: date) -> dict[str, Any]:
    version = order.version(line, snapshot)
    counted = counts.get(line.cell)
    row: dict[str, Any] = {
        **_basis(line),
        "unit_price": line.unit_price,
        "currency": line.currency,
        "rounding": line.rounding,
        "signed_on": line.signed_on,
        "due_on": line.due_on,
        "paid": order.paid(snapshot),
        "pricing": line.pricing_id,
        "quantity_from_records": None if counted is None else int(counted),
        "status": NOT_EVALUABLE if line.problem or version is None else CHARGED,
        "owed": order.owes(line, snapshot),
        "reason": line.problem or None,
        "snapshot_date": snapshot,
    }
    if version is None:
        return row
    first = order.versions[line.cell][0]
    row |= {
        "quantity": version.quantity,
        "amount_exact": version.amount_exact,
        "amount": version.amount,
        "amount_words": amount_in_words(version.amount),
        "years": version.years,
        "is_minimum": version.is_minimum,
        "version": version.number,
        "first_amount": first.amount,
        "adjustments": version.amount - first.amount,
        **_evidence(version.confirmed),
    }
    if line.penalty_rate is not None:
        row["penalty"] = round_to_fen(version.amount * line.penalty_rate)
    if counted is not None and version.evidence is not None:
        row["quantity_difference"] = version.quantity - int(counted)
    return row


def _adjustment(line: OrderLine, before: Version, after: Version, payment_working_days: int) -> dict[str, Any]:
    change = after.amount - before.amount
    kind = "补收" if change > 0 else "退抵" if change < 0 else "不变"
    reason = f"报表更正：{before.quantity} → {after.quantity}"
    if after.is_held:
        reason += "；订单约定不退抵"
    due_on = None
    try:
        due_on = add_working_days(after.made_on, line.payment_days or payment_working_days) if change else None
    except CalendarUnknownError as unknown:
        reason += f"；{unknown}"
    return {
        **_basis(line),
        "from_version": before.number,
        "to_version": after.number,
        "adjusted_on": after.made_on,
        "quantity_before": before.quantity,
        "quantity_after": after.quantity,
        "amount_before": before.amount,
        "amount_after": after.amount,
        "adjustment": change,
        "adjustment_words": ("负" if change < 0 else "") + amount_in_words(abs(change)),
        "kind": kind,
        "due_on": due_on,
        "reason": reason,
        "evidence_file_id": after.evidence.file_id if after.evidence else None,
    }


def _basis(line: OrderLine) -> dict[str, Any]:
    institution, report, year, period, item = line.cell
    return {
        "order_no": line.order_no,
        "institution_code": institution,
        "basis_report": report,
        "basis_year": year,
        "basis_period": period,
        "basis_item": item,
    }


def _evidence(cell: ReportedCell | None) -> dict[str, Any]:
    if cell is None:
        return {}
    return {
        "evidence_file_id": cell.file_id,
        "evidence_row": cell.row_number,
        "evidence_column": cell.column_name,
        "evidence_sha256": cell.sha256,
        "evidence_text": cell.raw,
    }
