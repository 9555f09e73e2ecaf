"""Charges and their versions: the founding contract to the fen, corrections that overwrite nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from phqc_pipeline.billing.bill import Bill, make_bill
from phqc_pipeline.billing.evidence import Cell, ReportedCell
from phqc_pipeline.billing.frames import schema_of
from phqc_pipeline.billing.usage import Usage
from phqc_pipeline.catalogue import load_catalogue
from phqc_pipeline.home import DEFAULT_RULES
from tests.billing.test_entitlement import CELL, FOUNDING, PAID, TOWN, registry, reported

CATALOGUE = load_catalogue(DEFAULT_RULES)
DAY = date(2024, 12, 31)
NO_USE = Usage(pl.DataFrame(), pl.DataFrame())


def recomputed(value: int | None) -> pl.DataFrame:
    names = ("institution_code", "report_id", "year", "period", "item")
    return pl.DataFrame(
        [{**dict(zip(names, CELL, strict=True)), "recomputed": value}], schema_overrides={"recomputed": pl.Float64}
    )


def bill(
    *cells: ReportedCell,
    payments: tuple[tuple[date, str], ...] = (PAID,),
    counted: int | None = 10129,
    day: date = DAY,
    usage: Usage = NO_USE,
    **changes: object,
) -> Bill:
    history: dict[Cell, tuple[ReportedCell, ...]] = {CELL: cells} if cells else {}
    known = registry(pl.DataFrame([{**FOUNDING, **changes}]), *payments)
    return make_bill(known, CATALOGUE, history, recomputed(counted), usage, day)


def row(made: Bill, table: str = "charge") -> dict:
    return made.tables[table].row(0, named=True)


def test_founding_contract() -> None:
    """服务合同: 10,129 人 × 0.6 元 = ¥6,077 元整, five working days, penalty 5 %."""
    made = bill(reported(10129))
    charge = row(made)
    assert charge["quantity"] == 10129
    assert charge["amount_exact"] == Decimal("6077.40")
    assert charge["amount"] == Decimal("6077")
    assert charge["amount_words"] == "陆仟零柒拾柒元整"
    assert charge["penalty"] == Decimal("303.85")
    assert charge["due_on"] == date(2024, 11, 1)
    assert (charge["quantity_from_records"], charge["quantity_difference"]) == (10129, 0)
    evidence = ("evidence_file_id", "evidence_row", "evidence_column", "evidence_sha256", "evidence_text")
    assert [charge[name] for name in evidence] == ["f1020", 2, "已建立电子健康档案人数", "0" * 64, "10129"]
    assert (charge["status"], charge["version"], charge["adjustments"]) == ("charged", 1, Decimal(0))
    order = row(made, "order")
    assert (order["state"], order["is_entitled"], order["balance"]) == ("active", True, Decimal(0))
    assert (order["notice_on"], order["settled_on"]) == (date(2025, 10, 1), date(2024, 10, 30))


def test_money_columns_are_decimals() -> None:
    for name, table in bill(reported(10129), reported(9000, date(2024, 12, 1))).tables.items():
        assert dict(table.schema) == schema_of(name)
        assert not [column for column, kind in table.schema.items() if kind.is_float()]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ((), "未收到报表或该格为空"),
        ((ReportedCell(DAY, None, "", "f1", "0", 2, "x"),), "未收到报表或该格为空"),
        ((reported(-1),), "不是非负整数"),
        ((reported(10.5),), "不是非负整数"),
    ],
)
def test_a_cell_that_is_no_count_is_not_guessed(cells: tuple[ReportedCell, ...], words: str) -> None:
    charge = row(bill(*cells, counted=3))
    assert (charge["status"], charge["amount"]) == ("not_evaluable", None)
    assert words in charge["reason"]
    assert charge["quantity_from_records"] == 3


def test_no_order_no_charge() -> None:
    made = make_bill(registry(None), CATALOGUE, {}, recomputed(1), NO_USE, DAY)
    assert [name for name, table in made.tables.items() if not table.is_empty()] == []


def test_payments_up_to_the_snapshot_count() -> None:
    parts = (date(2024, 10, 30), "6000"), (date(2025, 1, 5), "77")
    assert row(bill(reported(10129), payments=parts))["paid"] == Decimal("6000.00")
    assert row(bill(reported(10129), payments=parts), "order")["balance"] == Decimal("77.00")


def test_a_year_without_calendar_is_said_not_guessed() -> None:
    charge = row(bill(reported(10129), signed_on=date(2003, 6, 1)))
    assert (charge["due_on"], charge["status"]) == (None, "not_evaluable")
    assert "2003" in charge["reason"]
    assert row(bill(reported(10129), payments=(), signed_on=date(2003, 6, 1)), "order")["state"] == "awaiting_payment"


@pytest.mark.parametrize(("agreed", "due"), [(None, date(2024, 11, 1)), (10, date(2024, 11, 8))])
def test_an_orders_own_payment_term_wins(agreed: int | None, due: date) -> None:
    assert row(bill(reported(10129), payment_working_days=agreed))["due_on"] == due


CORRECTED = (reported(10129), reported(10200, date(2024, 12, 1)), reported(10200, date(2024, 12, 8)),
             reported(10000, date(2024, 12, 20)))  # fmt: skip


def test_a_correction_makes_a_version_and_an_adjustment() -> None:
    made = bill(*CORRECTED)
    versions = made.tables["charge_version"].select("version", "made_on", "quantity", "amount", "is_current").rows()
    assert versions == [
        (1, date(2024, 10, 20), 10129, Decimal("6077.00"), False),
        (2, date(2024, 12, 1), 10200, Decimal("6120.00"), False),
        (3, date(2024, 12, 20), 10000, Decimal("6000.00"), True),
    ]
    changes = made.tables["adjustment"].select("kind", "adjustment", "adjustment_words", "due_on").rows()
    assert changes == [
        ("补收", Decimal("43.00"), "肆拾叁元整", date(2024, 12, 6)),
        ("退抵", Decimal("-120.00"), "负壹佰贰拾元整", date(2024, 12, 27)),
    ]
    charge = row(made)
    assert (charge["amount"], charge["first_amount"], charge["adjustments"]) == (
        Decimal("6000.00"),
        Decimal("6077.00"),
        Decimal("-77.00"),
    )


def test_a_day_sees_only_the_versions_made_by_then() -> None:
    seen = [
        bill(*CORRECTED, day=day).tables["charge_version"].height for day in (date(2024, 11, 30), date(2024, 12, 1))
    ]
    assert seen == [1, 2]


def test_what_the_report_said_by_the_day_of_signing_is_the_first_bill() -> None:
    made = bill(reported(9000, date(2024, 10, 1)), reported(10129), reported(10129, DAY))
    assert made.tables["charge_version"].select("version", "quantity").rows() == [(1, 10129)]
    assert row(made)["evidence_file_id"] == "f1231"  # the newest delivery that says the same


def test_an_order_without_credit_keeps_its_amount() -> None:
    kind = CATALOGUE.billing.pricing["per_reported_record"]
    terms = replace(CATALOGUE.billing, pricing={"per_reported_record": replace(kind, credit=False)})
    known = registry(pl.DataFrame([FOUNDING]), PAID)
    made = make_bill(known, replace(CATALOGUE, billing=terms), {CELL: CORRECTED}, recomputed(1), NO_USE, DAY)
    assert row(made)["amount"] == Decimal("6120.00")
    assert made.tables["adjustment"]["kind"].to_list() == ["补收", "不变"]


@pytest.mark.parametrize(
    ("quantity", "changes", "reason"),
    [
        (10129, {"unit_price": Decimal("999999999999.999999")}, "金额超出一百亿元"),
        (0, {"minimum_amount": Decimal("999999999999")}, "金额超出一百亿元"),
        (1e30, {"unit_price": Decimal(0)}, "报表该格不是非负整数"),
    ],
)
def test_impossible_figures_are_not_charged(quantity: float, changes: dict, reason: str) -> None:
    charge = row(bill(reported(quantity), **changes))
    assert (charge["status"], charge["amount"]) == ("not_evaluable", None)
    assert reason in charge["reason"]


def test_use_is_charged_by_the_months_of_the_service() -> None:
    months = pl.DataFrame(
        [
            (TOWN, "2024-10", date(2024, 10, 5), date(2024, 10, 5), 1, 900, 10, 9000, 1),
            (TOWN, "2024-11", date(2024, 11, 1), date(2024, 11, 30), 30, 1000, 10, 10000, 5),
            (TOWN, "2024-12", date(2024, 12, 1), date(2024, 12, 31), 31, 1100, 10, 11000, 4),
        ],
        schema=list(schema_of("usage")),
        orient="row",
    )
    made = bill(usage=Usage(pl.DataFrame(), months), pricing="per_judged_record", unit_price=Decimal("0.02"))
    charge = row(made)
    assert (charge["quantity"], charge["amount_exact"], charge["status"]) == (2100, Decimal("42"), "charged")
    # paid in advance: open while the service lasts, settled when it is over
    terms = {"pricing": "per_judged_record", "unit_price": Decimal("0.02"), "service_to": date(2024, 12, 31)}
    for day, paid, state in (
        (date(2024, 12, 30), "10", "expiring"),
        (date(2025, 1, 8), "10", "expired"),
        (date(2025, 1, 9), "10", "defaulted"),
        (date(2025, 1, 9), "42", "expired"),
    ):
        made = bill(payments=((date(2024, 10, 30), paid),), day=day, usage=Usage(pl.DataFrame(), months), **terms)
        (order,) = made.tables["order"].to_dicts()
        assert (order["state"], order["due_on"]) == (state, date(2025, 1, 8))
