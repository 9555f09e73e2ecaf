"""Money that never drifts: rounding, words, parts, prices."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import cn2an
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phqc_pipeline.billing.money import ROUNDINGS, amount_in_words, amount_of_words, round_amount, split_amount
from phqc_pipeline.billing.pricing import price_of, service_years
from phqc_pipeline.billing.service_hours import add_service_hours, last_service_moment, service_time_between
from phqc_pipeline.billing.working_days import CalendarUnknownError, add_working_days
from phqc_pipeline.catalogue.pricing import FOUNDING, Tier

AMOUNTS = st.decimals(min_value=0, max_value=Decimal("99999999"), places=4, allow_nan=False)
FEN = st.decimals(min_value=0, max_value=Decimal("99999999"), places=2, allow_nan=False)
YEAR = {"service_from": date(2024, 11, 1), "service_to": date(2025, 11, 1)}
TIERED = replace(
    FOUNDING, tiers=(Tier(10000, factor=Decimal(1)), Tier(30000, factor=Decimal("0.85")), Tier(None, Decimal("0.4")))
)


@given(AMOUNTS, st.sampled_from(sorted(ROUNDINGS)))
def test_rounding_is_never_off_by_its_unit(exact: Decimal, rounding: str) -> None:
    unit, _ = ROUNDINGS[rounding]
    rounded = round_amount(exact, rounding)
    assert rounded % unit == 0
    assert abs(rounded - exact) < unit
    if rounding == "yuan_down":
        assert rounded <= exact


def test_unknown_rounding_is_refused() -> None:
    with pytest.raises(ValueError, match="取整方式"):
        round_amount(Decimal(1), "fen_down")


@given(FEN)
def test_words_and_figures_both_ways(amount: Decimal) -> None:
    """Against cn2an: its words are ours, and ours read back to the figure."""
    words = amount_in_words(amount)
    assert words == cn2an.an2cn(format(amount, "f"), "rmb")
    assert amount_of_words(words) == amount


@pytest.mark.parametrize("words", ["", "陆仟", "六千零七十七", "陆元柒", "整"])
def test_what_is_no_amount_in_words_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match="大写金额"):
        amount_of_words(words)


@given(FEN, st.lists(FEN, min_size=1, max_size=12))
def test_parts_add_up_and_are_off_by_a_fen_at_most(total: Decimal, weights: list[Decimal]) -> None:
    parts = split_amount(total, weights)
    assert sum(parts) == total
    whole = sum(weights)
    for part, weight in zip(parts, weights, strict=True):
        share = total * weight / whole if whole else total / len(weights)
        assert abs(part - share) <= Decimal("0.01")
        assert part >= 0


@given(st.integers(0, 100_000), st.integers(0, 100_000))
def test_tiers_add_up(quantity: int, more: int) -> None:
    """The price of tier upon tier grows with the quantity, by the price of the tier the next record falls in."""
    price = price_of(quantity, Decimal("0.6"), TIERED, "fen_half_up", **YEAR)
    expected = sum(
        max(0, min(quantity, end) - start) * rate
        for start, end, rate in (
            (0, 10000, Decimal("0.6")),
            (10000, 30000, Decimal("0.51")),
            (30000, 10**9, Decimal("0.4")),
        )
    )
    assert price.exact == expected
    assert price_of(quantity + more, Decimal("0.6"), TIERED, "fen_half_up", **YEAR).amount >= price.amount


def test_the_whole_quantity_at_the_price_of_its_tier() -> None:
    kind = replace(TIERED, whole_quantity=True)
    amounts = [price_of(n, Decimal("0.6"), kind, "fen_half_up", **YEAR).amount for n in (10000, 10001, 30001)]
    assert amounts == [Decimal("6000.00"), Decimal("5100.51"), Decimal("12000.40")]


@pytest.mark.parametrize(
    ("start", "end", "amount"),
    [
        (date(2024, 11, 1), date(2025, 11, 1), "6077.40"),  # as the founding contract writes a year
        (date(2024, 11, 1), date(2025, 10, 31), "6077.40"),
        (date(2025, 5, 1), date(2025, 10, 31), "3063.68"),  # 184 of 365 days
        (date(2024, 2, 29), date(2025, 2, 28), "6077.40"),
        (date(2023, 11, 1), date(2025, 10, 31), "12154.80"),
    ],
)
def test_a_service_of_part_of_a_year_by_days(start: date, end: date, amount: str) -> None:
    by_days = replace(FOUNDING, by_days=True)
    price = price_of(10129, Decimal("0.6"), by_days, "fen_half_up", service_from=start, service_to=end)
    assert price.amount == Decimal(amount)


def test_what_comes_out_even_is_not_rounded_below_itself() -> None:
    """365 × 0.6 × 5 days of 365 is exactly 3 yuan; a part of a year taken first would come to 2.99…9."""
    by_days = replace(FOUNDING, by_days=True)
    short = {"service_from": date(2025, 5, 1), "service_to": date(2025, 5, 5)}
    assert price_of(365, Decimal("0.6"), by_days, "yuan_down", **short).amount == Decimal("3.00")
    short["service_to"] = date(2025, 10, 31)
    assert price_of(3650, Decimal("0.1"), by_days, "yuan_down", **short).amount == Decimal("184.00")


@given(st.dates(date(2012, 1, 1), date(2030, 1, 1)), st.integers(1, 2000), st.integers(1, 700))
def test_a_longer_service_never_costs_less(start: date, days: int, more: int) -> None:
    end = start + timedelta(days=days)
    assert 0 < service_years(start, end) <= service_years(start, end + timedelta(days=more))


def test_the_least_amount_stands_in() -> None:
    kind = replace(FOUNDING, minimum=Decimal(500))
    price = price_of(100, Decimal("0.6"), kind, "yuan_down", **YEAR)
    assert (price.amount, price.is_minimum) == (Decimal("500.00"), True)
    own = price_of(100, Decimal("0.6"), kind, "yuan_down", **YEAR, minimum=Decimal(50))
    assert (own.amount, own.is_minimum) == (Decimal("60.00"), False)
    lump = price_of(1, Decimal("8800"), replace(FOUNDING, basis="flat"), "yuan_down", **YEAR)
    assert lump.amount == Decimal("8800.00")


def test_make_up_working_days_count() -> None:
    """2024-09-29 (Sunday) was worked for the National Day holiday of 1 to 7 October."""
    assert add_working_days(date(2024, 9, 27), 1) == date(2024, 9, 29)
    assert add_working_days(date(2024, 9, 30), 1) == date(2024, 10, 8)
    with pytest.raises(CalendarUnknownError, match="2003"):
        add_working_days(date(2003, 6, 1), 5)


OPENS, CLOSES = time(10), time(19, 30)


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        ("2024-12-30 09:00", "1", "2024-12-30 11:00"),  # before hours: from their beginning
        ("2024-12-30 18:00", "2", "2024-12-31 10:30"),
        ("2024-12-31 19:00", "1", "2025-01-02 10:30"),  # New Year's Day is no working day
        ("2024-09-28 12:00", "9.5", "2024-09-29 19:30"),  # a Sunday worked for a holiday
        ("2024-12-30 20:00", "0", "2024-12-31 10:00"),
    ],
)
def test_service_hours(start: str, hours: str, end: str) -> None:
    begun, ended = datetime.fromisoformat(start), datetime.fromisoformat(end)
    assert add_service_hours(begun, Decimal(hours), OPENS, CLOSES) == ended
    assert service_time_between(begun, ended, OPENS, CLOSES) == timedelta(hours=float(hours))


def test_a_notice_on_a_holiday_goes_out_before_it() -> None:
    assert last_service_moment(date(2025, 10, 1), CLOSES) == datetime.fromisoformat("2025-09-30 19:30")
