"""Charges: for every order, reported quantity × unit price, rounded as ordered, traceable to the report's cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from phqc_pipeline.billing.money import ROUNDINGS, amount_in_words, round_amount, round_to_fen
from phqc_pipeline.billing.working_days import CalendarUnknownError, add_working_days

CHARGE_SCHEMA: dict[str, Any] = {
    "order_no": pl.String,
    "institution_code": pl.String,
    "basis_report": pl.String,
    "basis_year": pl.Int32,
    "basis_period": pl.String,
    "basis_item": pl.String,
    "quantity": pl.Int64,
    "unit_price": pl.Decimal(12, 4),
    "amount_exact": pl.Decimal(18, 4),
    "amount": pl.Decimal(18, 2),
    "amount_words": pl.String,
    "currency": pl.String,
    "rounding": pl.String,
    "signed_on": pl.Date,
    "due_on": pl.Date,
    "penalty": pl.Decimal(18, 2),
    "paid": pl.Decimal(18, 2),
    "quantity_from_records": pl.Int64,
    "quantity_difference": pl.Int64,
    "status": pl.String,
    "reason": pl.String,
    "evidence_file_id": pl.String,
    "evidence_row": pl.Int64,
    "evidence_column": pl.String,
    "snapshot_date": pl.Date,
}

_Cell = tuple[str, str, int, str, str]


def compute_charges(
    orders: pl.DataFrame | None,
    payments: pl.DataFrame | None,
    report_values: pl.DataFrame,
    recomputed: pl.DataFrame,
    snapshot: date,
    *,
    payment_working_days: int,
) -> pl.DataFrame:
    """One row an order and institution, in the shape of CHARGE_SCHEMA; no orders, no rows.

    ``report_values``: institution_code, report_id, year, period, item, value, file_id, row_number, column_name (the
    values in force on the snapshot date). ``recomputed``: institution_code, report_id, year, period, item, recomputed.
    ``payment_working_days``: after the day of signing, of an order without a column of that name that says otherwise.
    An order whose cell was not reported, or whose due date no calendar knows, keeps its row: ``status`` is
    ``not_evaluable`` and ``reason`` says what is missing. Amounts in yuan.
    """
    if orders is None or orders.is_empty():
        return pl.DataFrame(schema=CHARGE_SCHEMA)
    values = _by_cell(report_values.iter_rows(named=True))
    counts = _by_cell(recomputed.iter_rows(named=True))
    paid = _paid_by_order(payments, snapshot)
    # One row an order: a county has hundreds, never a data path of records.
    rows = [
        _charge(order, values, counts, paid, snapshot, payment_working_days) for order in orders.iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema=CHARGE_SCHEMA).sort("order_no", "institution_code")


def _charge(
    order: Mapping[str, Any],
    values: Mapping[_Cell, Mapping[str, Any]],
    counts: Mapping[_Cell, Mapping[str, Any]],
    paid: Mapping[str, Decimal],
    snapshot: date,
    payment_working_days: int,
) -> dict[str, Any]:
    cell = (
        order["institution_code"],
        order["basis_report"],
        int(order["basis_year"]),
        order["basis_period"],
        order["basis_item"],
    )
    unit_price = Decimal(str(order["unit_price"]))
    row: dict[str, Any] = dict.fromkeys(CHARGE_SCHEMA)
    row.update(
        order_no=order["order_no"],
        institution_code=cell[0],
        basis_report=cell[1],
        basis_year=cell[2],
        basis_period=cell[3],
        basis_item=cell[4],
        unit_price=unit_price,
        currency=order["currency"],
        rounding=order["rounding"],
        signed_on=order["signed_on"],
        paid=paid.get(order["order_no"], Decimal("0.00")),
        snapshot_date=snapshot,
    )
    reasons = []

    counted = counts.get(cell)
    if counted is not None and counted["recomputed"] is not None:
        row["quantity_from_records"] = int(counted["recomputed"])

    reported = values.get(cell)
    quantity = None if reported is None else _whole(reported["value"])
    if reported is not None:
        row.update(
            evidence_file_id=reported["file_id"],
            evidence_row=reported["row_number"],
            evidence_column=reported["column_name"],
        )
    if order["rounding"] not in ROUNDINGS:
        reasons.append(f"取整方式 {order['rounding']} 未定义")
    elif quantity is None:
        what = "未收到报表或该格为空" if reported is None or reported["value"] is None else "报表该格不是非负整数"
        reasons.append(f"{what}：{cell[1]} {cell[2]} 年 {cell[3]} {cell[4]}")
    else:
        exact = unit_price * quantity
        amount = round_amount(exact, order["rounding"])
        row.update(quantity=quantity, amount_exact=exact, amount=amount, amount_words=amount_in_words(amount))
        if order["penalty_rate"] is not None:
            row["penalty"] = round_to_fen(amount * Decimal(str(order["penalty_rate"])))
        if row["quantity_from_records"] is not None:
            row["quantity_difference"] = quantity - row["quantity_from_records"]

    days = order.get("payment_working_days") or payment_working_days
    try:
        row["due_on"] = add_working_days(order["signed_on"], int(days)) if order["signed_on"] else None
    except CalendarUnknownError as unknown:
        reasons.append(str(unknown))
    except ValueError:
        reasons.append(f"order.csv 的 payment_working_days“{days}”不是天数，请写整数，如 10")
    row["status"] = "not_evaluable" if reasons else "charged"
    row["reason"] = "；".join(reasons)
    return row


def _whole(value: Any) -> int | None:
    """A reported count as a whole number; a fraction or a negative figure is no quantity to bill."""
    if value is None or value < 0 or value != int(value):
        return None
    return int(value)


def _by_cell(rows: Iterable[dict[str, Any]]) -> dict[_Cell, dict[str, Any]]:
    return {(r["institution_code"], r["report_id"], int(r["year"]), r["period"], r["item"]): r for r in rows}


def _paid_by_order(payments: pl.DataFrame | None, snapshot: date) -> dict[str, Decimal]:
    paid: dict[str, Decimal] = {}
    if payments is not None:
        for row in payments.iter_rows(named=True):
            if row["paid_on"] is not None and row["paid_on"] <= snapshot:
                paid[row["order_no"]] = paid.get(row["order_no"], Decimal("0.00")) + Decimal(str(row["amount"]))
    return paid
