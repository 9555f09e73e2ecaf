"""What is due when: each event's day, its moment in support hours, and how it stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pytest

from phqc_pipeline.billing import entitled
from phqc_pipeline.billing.bill import make_bill
from tests.billing.test_charges import CATALOGUE, CORRECTED, NO_USE, recomputed
from tests.billing.test_entitlement import CELL, FOUNDING, NO, PAID, TOWN, registry, reported

FIRST = (reported(10129),)


def calendar(day: date, *payments: tuple[date, str], cells=FIRST, **changes: object) -> pl.DataFrame:
    known = registry(pl.DataFrame([{**FOUNDING, **changes}]), *payments)
    return make_bill(known, CATALOGUE, {CELL: cells}, recomputed(10129), NO_USE, day).tables["calendar"]


def stands(table: pl.DataFrame, kind: str) -> list[tuple]:
    return table.filter(pl.col("kind") == kind).select("party", "due_on", "status").sort("party").rows()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_founding_contract_paid_in_time() -> None:
    table = calendar(date(2024, 12, 31), PAID)
    assert stands(table, "payment_due") == [("buyer", date(2024, 11, 1), "done")]
    assert stands(table, "payment_overdue") == [("seller", date(2024, 11, 2), "void")]
    assert stands(table, "access_open") == [("seller", date(2024, 11, 1), "done")]
    assert stands(table, "renewal_notice") == [
        ("buyer", date(2025, 10, 1), "upcoming"),
        ("seller", date(2025, 10, 1), "upcoming"),
    ]
    moments = dict(table.select("kind", "due_at").iter_rows())
    assert moments["payment_due"] == at("2024-11-01 19:30")
    assert moments["payment_overdue"] == at("2024-11-04 19:30")  # a Saturday: dunning waits for Monday
    assert moments["access_open"] == at("2024-11-01 18:00")  # eight service hours from 10:00
    assert moments["renewal_notice"] == at("2025-09-30 19:30")  # National Day: the last working day before
    assert table["event_id"].is_unique().all()


@pytest.mark.parametrize(
    ("day", "due", "overdue"),
    [
        (date(2024, 10, 31), "upcoming", "upcoming"),
        (date(2024, 11, 1), "due", "upcoming"),
        (date(2024, 11, 2), "overdue", "due"),
    ],
)
def test_a_payment_not_made(day: date, due: str, overdue: str) -> None:
    table = calendar(day)
    assert [stands(table, kind)[0][2] for kind in ("payment_due", "payment_overdue")] == [due, overdue]


@pytest.mark.parametrize(
    ("day", "status"),
    [
        (date(2025, 9, 30), "upcoming"),
        (date(2025, 10, 1), "due"),
        (date(2025, 11, 1), "due"),
        (date(2025, 11, 2), "overdue"),
    ],
)
def test_renewal_is_asked_for_until_the_service_ends(day: date, status: str) -> None:
    assert {row[2] for row in stands(calendar(day, PAID), "renewal_notice")} == {status}


def test_an_adjustment_falls_due_and_is_settled() -> None:
    day = date(2024, 12, 10)
    more = CORRECTED[:2]
    assert stands(calendar(day, PAID, cells=more), "adjustment_due") == [("buyer", date(2024, 12, 6), "overdue")]
    paid = calendar(day, PAID, (date(2024, 12, 5), "43"), cells=more)
    assert stands(paid, "adjustment_due") == [("buyer", date(2024, 12, 6), "done")]


def test_a_refund_settles_a_credit_and_a_whole_one_ends_the_order() -> None:
    """Corrected to 10,000 people: 77 yuan are paid back; later all the rest."""
    known = registry(pl.DataFrame([FOUNDING]), PAID)
    back = [(NO, date(2025, 1, 3), Decimal("77")), (NO, date(2025, 2, 3), Decimal("10"))]
    back.append((NO, date(2025, 3, 3), Decimal("5990")))
    schema = {"order_no": pl.String, "refunded_on": pl.Date, "amount": pl.Decimal(18, 6), "voucher_no": pl.String}
    known = replace(known, refunds=pl.DataFrame([(*row, None) for row in back], schema=schema, orient="row"))
    cells = (reported(10129), reported(10000, date(2024, 12, 27)))
    told = {}
    for day in (date(2025, 1, 2), date(2025, 1, 3), date(2025, 2, 3), date(2025, 3, 3)):
        made = make_bill(known, CATALOGUE, {CELL: cells}, recomputed(10129), NO_USE, day)
        (order,) = made.tables["order"].to_dicts()
        credit = stands(made.tables["calendar"], "adjustment_due")[0][2]
        told[day] = (
            order["state"],
            order["is_entitled"],
            order["balance"],
            credit,
            made.tables["payment"]["amount"].sum(),
        )
    assert told == {
        date(2025, 1, 2): ("active", True, Decimal(-77), "upcoming", Decimal(6077)),
        date(2025, 1, 3): ("active", True, Decimal(0), "done", Decimal(6000)),
        date(2025, 2, 3): ("active", True, Decimal(10), "done", Decimal(5990)),  # the seller's own doing
        date(2025, 3, 3): ("expired", False, Decimal(0), "done", Decimal(0)),
    }
    assert {row[2] for row in stands(made.tables["calendar"], "renewal_notice")} == {"void"}
    (night,) = entitled(known, made.orders, CATALOGUE.billing, date(2025, 2, 1), [TOWN], known_until=day).values()
    assert night is None  # what was judged before stays judged


def test_without_a_calendar_the_debt_is_shown_and_nothing_is_guessed() -> None:
    table = calendar(date(2033, 1, 1), signed_on=date(2032, 1, 1), service_to=date(2034, 6, 1))
    (event,) = table.filter(pl.col("kind").is_in(["payment_due", "payment_overdue"])).to_dicts()
    assert (event["kind"], event["due_on"], event["status"]) == ("payment_due", None, "not_evaluable")
    assert "没有 2032 年的节假日安排" in event["reason"]
    correction = calendar(
        date(2033, 1, 1), PAID, cells=(*FIRST, reported(10200, date(2032, 5, 1))), service_to=date(2034, 6, 1)
    )
    assert stands(correction, "adjustment_due") == [("buyer", None, "not_evaluable")]


def test_without_a_sum_nobody_is_late() -> None:
    table = calendar(date(2024, 11, 5), cells=())
    events = table.filter(pl.col("kind").str.starts_with("payment"))
    assert events["status"].to_list() == ["not_evaluable"] * 2
    assert events["reason"].str.contains("未收到报表").all()
    assert stands(calendar(date(2024, 10, 31), cells=()), "payment_due")[0][2] == "upcoming"


def test_a_draft_calls_for_nothing() -> None:
    table = calendar(date(2025, 12, 1), signed_on=None)
    assert set(table["status"]) == {"void"}
    assert stands(calendar(date(2024, 10, 24)), "payment_due")[0][2] == "upcoming"  # to be signed tomorrow


def test_without_a_calendar_there_is_no_moment() -> None:
    table = calendar(date(2032, 1, 1), PAID, service_to=date(2033, 6, 1))
    ends = table.filter(pl.col("kind") == "service_end")
    assert ends.select("due_on", "due_at", "status").rows() == [(date(2033, 6, 1), None, "upcoming")]
