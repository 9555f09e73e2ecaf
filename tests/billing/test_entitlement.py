"""Who may be judged, at each boundary day of an order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from phqc_pipeline.billing import entitled, read_orders
from phqc_pipeline.billing.evidence import Cell, ReportedCell
from phqc_pipeline.billing.orders import notice_day
from phqc_pipeline.catalogue.pricing import BillingTerms
from phqc_pipeline.extracts import Registry

TOWN, CLINIC, OTHER = "654301101000", "654301101101", "654301102000"
NO = "PHQC-2024-001"
FOUNDING = {
    "order_no": NO, "institution_code": TOWN, "basis_report": "r_archive", "basis_year": 2023, "basis_period": "Y",
    "basis_item": "ehr_electronic", "unit_price": Decimal("0.6"), "currency": "CNY", "rounding": "yuan_down",
    "signed_on": date(2024, 10, 25), "service_from": date(2024, 11, 1), "service_to": date(2025, 11, 1),
    "penalty_rate": Decimal("0.05"),
}  # fmt: skip
CELL: Cell = (TOWN, "r_archive", 2023, "Y", "ehr_electronic")


def reported(value: float, day: date = date(2024, 10, 20)) -> ReportedCell:
    return ReportedCell(day, value, str(value), f"f{day:%m%d}", "0" * 64, 2, "已建立电子健康档案人数")


REPORT: Mapping[Cell, tuple[ReportedCell, ...]] = {CELL: (reported(10129),)}


def registry(orders: pl.DataFrame | None, *payments: tuple[date, str]) -> Registry:
    institutions = pl.DataFrame(
        [(TOWN, "镇卫生院", None), (CLINIC, "村卫生室", TOWN), (OTHER, "邻镇卫生院", None)],
        schema=["institution_code", "institution_name", "parent_code"],
        orient="row",
    ).with_columns(region_code=pl.lit(None, pl.String))
    paid = pl.DataFrame(
        [(NO, day, Decimal(amount), None) for day, amount in payments],
        schema={"order_no": pl.String, "paid_on": pl.Date, "amount": pl.Decimal(18, 6), "invoice_no": pl.String},
        orient="row",
    )
    return Registry(institutions, orders=orders, payments=paid)


PAID = (date(2024, 10, 30), "6077")


def reason(
    day: date,
    *payments: tuple[date, str],
    code: str = TOWN,
    terms: BillingTerms | None = None,
    report: Mapping[Cell, tuple[ReportedCell, ...]] = REPORT,
    known_until: date | None = None,
    **changes: object,
) -> str | None:
    terms = terms or BillingTerms()
    known = registry(pl.DataFrame([{**FOUNDING, **changes}]), *payments)
    until = known_until or day
    orders = read_orders(known.orders, known.payments, report, terms, until, payment_working_days=5)
    return entitled(known, orders, terms, day, [code], known_until=known_until)[code]


@pytest.mark.parametrize(
    ("day", "grace", "judged"),
    [
        (date(2024, 10, 31), 0, False),
        (date(2024, 11, 1), 0, True),
        (date(2024, 12, 31), 0, True),
        (date(2025, 11, 1), 0, True),
        (date(2025, 11, 2), 0, False),
        (date(2025, 11, 2), 7, True),
        (date(2025, 11, 8), 7, True),
        (date(2025, 11, 9), 7, False),
    ],
)
def test_the_days_around_the_service_period(day: date, grace: int, judged: bool) -> None:
    told = reason(day, PAID, terms=replace(BillingTerms(), service_grace_days=grace))
    assert (told is None) is judged


@pytest.mark.parametrize(
    ("paid_on", "amount", "judged"),
    [
        (date(2024, 12, 30), "6077", True),
        (date(2024, 12, 31), "6077", True),
        (date(2025, 1, 1), "6077", False),
        (date(2024, 12, 31), "6076.99", False),
    ],
)
def test_the_day_and_the_fen_of_payment(paid_on: date, amount: str, judged: bool) -> None:
    told = reason(date(2024, 12, 31), (paid_on, amount))
    assert (told is None) is judged
    assert judged or "未付清" in str(told)


def test_parts_add_up_to_the_payment() -> None:
    parts = (date(2024, 11, 5), "6000"), (date(2024, 11, 20), "77")
    assert "未付清" in str(reason(date(2024, 11, 19), *parts))
    assert reason(date(2024, 11, 20), *parts) is None


def test_once_paid_the_past_of_the_service_period_may_be_judged() -> None:
    late = (date(2024, 12, 20), "6077")
    assert reason(date(2024, 11, 15), late) is not None
    assert reason(date(2024, 11, 15), late, known_until=date(2024, 12, 19)) is not None
    assert reason(date(2024, 11, 15), late, known_until=date(2024, 12, 20)) is None
    assert reason(date(2024, 10, 31), late, known_until=date(2024, 12, 20)) is not None  # before the service began


def test_a_report_corrected_upwards_closes_no_door() -> None:
    more = {CELL: (reported(10129), reported(10500, date(2024, 12, 1)))}
    less = {CELL: (reported(10129), reported(9000, date(2024, 12, 1)))}
    assert reason(date(2024, 12, 31), PAID, report=more) is None
    assert reason(date(2024, 12, 31), (date(2024, 12, 5), "5400"), report=less) is None
    assert reason(date(2024, 11, 30), (date(2024, 11, 5), "5400"), report=less) is not None


def test_without_a_reported_figure_any_payment_counts() -> None:
    assert reason(date(2024, 12, 31), (date(2024, 10, 30), "1"), report={}) is None
    assert reason(date(2024, 12, 31), report={}) is not None


def test_an_order_covers_the_institutions_below() -> None:
    day = date(2024, 12, 31)
    assert reason(day, PAID, code=CLINIC) is None
    assert reason(day, PAID, code=CLINIC, terms=replace(BillingTerms(), orders_cover_below=False)) is not None
    assert "没有它的订单" in str(reason(day, PAID, code=OTHER))


def test_without_a_file_of_orders_everybody_is_judged() -> None:
    assert entitled(registry(None), [], BillingTerms(), date(2024, 12, 31), [TOWN, OTHER]) == {TOWN: None, OTHER: None}


@pytest.mark.parametrize(
    ("day", "paid_on", "state"),
    [
        (date(2024, 10, 24), None, "draft"),
        (date(2024, 10, 25), None, "awaiting_payment"),
        (date(2024, 11, 1), None, "awaiting_payment"),  # the fifth working day
        (date(2024, 11, 2), None, "defaulted"),
        (date(2024, 10, 30), date(2024, 10, 30), "active"),
        (date(2025, 9, 30), date(2024, 10, 30), "active"),
        (date(2025, 10, 1), date(2024, 10, 30), "expiring"),
        (date(2025, 11, 1), date(2024, 10, 30), "expiring"),
        (date(2025, 11, 2), date(2024, 10, 30), "expired"),
    ],
)
def test_the_state_follows_from_dates_and_payments(day: date, paid_on: date | None, state: str) -> None:
    known = registry(pl.DataFrame([FOUNDING]), *([(paid_on, "6077")] if paid_on else []))
    (order,) = read_orders(known.orders, known.payments, REPORT, BillingTerms(), day, payment_working_days=5)
    assert order.state(order.lines[0], day, BillingTerms()) == state


def test_without_a_sum_there_is_no_default() -> None:
    known = registry(pl.DataFrame([FOUNDING]))
    told = {}
    for day in (date(2024, 11, 2), date(2025, 11, 2)):
        (order,) = read_orders(known.orders, None, {}, BillingTerms(), day, payment_working_days=5)
        told[day] = order.state(order.lines[0], day, BillingTerms())
    assert told == {date(2024, 11, 2): "awaiting_payment", date(2025, 11, 2): "expired"}


def test_days_of_grace_before_a_default() -> None:
    known = registry(pl.DataFrame([FOUNDING]))
    (order,) = read_orders(known.orders, None, REPORT, BillingTerms(), date(2024, 11, 5), payment_working_days=5)
    lenient = replace(BillingTerms(), payment_grace_days=3)
    assert order.state(order.lines[0], date(2024, 11, 4), lenient) == "awaiting_payment"
    assert order.state(order.lines[0], date(2024, 11, 5), lenient) == "defaulted"


def test_notice_is_given_a_month_before_the_end() -> None:
    assert notice_day(date(2025, 11, 1), 1) == date(2025, 10, 1)
    assert notice_day(date(2025, 3, 31), 1) == date(2025, 2, 28)
    assert notice_day(date(2025, 1, 15), 2) == date(2024, 11, 15)
