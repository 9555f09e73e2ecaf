"""Billing: the founding contract to the fen, and money that never drifts."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import partial

import cn2an
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phqc_pipeline.billing import (
    CHARGE_SCHEMA,
    CalendarUnknownError,
    add_working_days,
    amount_in_words,
    compute_charges,
    round_amount,
)
from phqc_pipeline.billing.money import ROUNDINGS

INSTITUTION = "654301101000"
charge = partial(compute_charges, payment_working_days=5)


def order(**changes: object) -> pl.DataFrame:
    row = {
        "order_no": "PHQC-2024-001",
        "institution_code": INSTITUTION,
        "basis_report": "r_archive",
        "basis_year": 2023,
        "basis_period": "Y",
        "basis_item": "ehr_electronic",
        "unit_price": "0.6",
        "currency": "CNY",
        "rounding": "yuan_down",
        "signed_on": date(2024, 10, 25),
        "service_from": date(2024, 11, 1),
        "service_to": date(2025, 11, 1),
        "penalty_rate": "0.05",
    }
    return pl.DataFrame([{**row, **changes}])


def reported(value: float | None) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "institution_code": INSTITUTION,
                "report_id": "r_archive",
                "year": 2023,
                "period": "Y",
                "item": "ehr_electronic",
                "value": value,
                "file_id": "f1",
                "row_number": 2,
                "column_name": "已建立电子健康档案人数",
            }
        ],
        schema_overrides={"value": pl.Float64},
    )


def recomputed(value: int | None) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "institution_code": INSTITUTION,
                "report_id": "r_archive",
                "year": 2023,
                "period": "Y",
                "item": "ehr_electronic",
                "recomputed": value,
            }
        ],
        schema_overrides={"recomputed": pl.Float64},
    )


def test_founding_contract() -> None:
    """服务合同: 10,129 人 × 0.6 元 = ¥6,077 元整, five working days, penalty 5 %."""
    row = charge(order(), None, reported(10129), recomputed(10129), date(2024, 12, 31)).row(0, named=True)
    assert row["quantity"] == 10129
    assert row["amount_exact"] == Decimal("6077.40")
    assert row["amount"] == Decimal("6077")
    assert row["amount_words"] == "陆仟零柒拾柒元整"
    assert row["penalty"] == Decimal("303.85")
    assert row["due_on"] == date(2024, 11, 1)
    assert (row["quantity_from_records"], row["quantity_difference"]) == (10129, 0)
    assert (row["evidence_file_id"], row["evidence_row"], row["status"]) == ("f1", 2, "charged")


def test_money_columns_are_decimals() -> None:
    charges = charge(order(), None, reported(10129), recomputed(None), date(2024, 12, 31))
    assert {name: charges.schema[name] for name in ("unit_price", "amount_exact", "amount", "penalty")} == {
        name: CHARGE_SCHEMA[name] for name in ("unit_price", "amount_exact", "amount", "penalty")
    }


@pytest.mark.parametrize(
    ("value", "words"), [(None, "未收到报表或该格为空"), (-1, "不是非负整数"), (10.5, "不是非负整数")]
)
def test_a_cell_that_is_no_count_is_not_guessed(value: float | None, words: str) -> None:
    row = charge(order(), None, reported(value), recomputed(3), date(2024, 12, 31)).row(0, named=True)
    assert (row["status"], row["amount"]) == ("not_evaluable", None)
    assert words in row["reason"]
    assert row["quantity_from_records"] == 3


def test_no_order_no_charge() -> None:
    assert charge(None, None, reported(1), recomputed(1), date(2024, 12, 31)).is_empty()


def test_payments_up_to_the_snapshot_count() -> None:
    payments = pl.DataFrame(
        {
            "order_no": ["PHQC-2024-001"] * 2,
            "paid_on": [date(2024, 10, 30), date(2025, 1, 5)],
            "amount": ["6000", "77"],
            "invoice_no": ["1", "2"],
        }
    )
    row = charge(order(), payments, reported(10129), recomputed(1), date(2024, 12, 31)).row(0, named=True)
    assert row["paid"] == Decimal("6000.00")


def test_make_up_working_days_count() -> None:
    """2024-09-29 (Sunday) was worked for the National Day holiday of 1 to 7 October."""
    assert add_working_days(date(2024, 9, 27), 1) == date(2024, 9, 29)
    assert add_working_days(date(2024, 9, 30), 1) == date(2024, 10, 8)


def test_a_year_without_calendar_is_said_not_guessed() -> None:
    with pytest.raises(CalendarUnknownError, match="2003"):
        add_working_days(date(2003, 6, 1), 5)
    signed = date(2003, 6, 1)
    row = charge(order(signed_on=signed), None, reported(10129), recomputed(1), date(2024, 12, 31)).row(0, named=True)
    assert (row["due_on"], row["status"]) == (None, "not_evaluable")
    assert "2003" in row["reason"]


AMOUNTS = st.decimals(min_value=0, max_value=Decimal("99999999"), places=4, allow_nan=False)


@given(AMOUNTS, st.sampled_from(sorted(ROUNDINGS)))
def test_rounding_is_never_off_by_its_unit(exact: Decimal, rounding: str) -> None:
    unit, _ = ROUNDINGS[rounding]
    rounded = round_amount(exact, rounding)
    assert rounded % unit == 0
    assert abs(rounded - exact) < unit
    if rounding == "yuan_down":
        assert rounded <= exact


def read_words(words: str) -> Decimal:
    """The figure that an amount in words says; 元, 角 and 分 apart, since cn2an reads no money back."""
    rest, total = words.rstrip("整"), Decimal(0)
    for unit, worth in (("元", Decimal(1)), ("角", Decimal("0.1")), ("分", Decimal("0.01"))):
        if unit in rest:
            part, rest = rest.split(unit)
            digits = part.lstrip("零") or "零"
            total += Decimal(int(cn2an.cn2an(digits, "smart"))) * worth
    return total


@given(st.decimals(min_value=0, max_value=Decimal("99999999"), places=2, allow_nan=False))
def test_words_read_back_to_the_figure(amount: Decimal) -> None:
    assert read_words(amount_in_words(amount)) == amount


def test_unknown_rounding_is_refused() -> None:
    with pytest.raises(ValueError, match="取整方式"):
        round_amount(Decimal(1), "fen_down")


@pytest.mark.parametrize(
    ("agreed", "due", "words"),
    [(None, date(2024, 11, 1), ""), ("10", date(2024, 11, 8), ""), ("十天", None, "“十天”不是天数")],
)
def test_an_orders_own_payment_term_wins(agreed: str | None, due: date | None, words: str) -> None:
    agreed_order = order(payment_working_days=agreed)
    row = charge(agreed_order, None, reported(10129), recomputed(1), date(2024, 12, 31)).row(0, named=True)
    assert row["due_on"] == due
    assert words in row["reason"]
