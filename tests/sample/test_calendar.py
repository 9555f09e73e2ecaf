"""The order is in service on any snapshot; days are counted as people count them."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phqc_pipeline.sample.calendar import day_number, nearest_working_day, times_for, to_date, whole_years
from phqc_pipeline.sample.chance import Chance


def test_the_founding_order_as_signed() -> None:
    times = times_for(date(2024, 12, 31))
    assert times.basis_year == 2023
    assert (times.service_from, times.service_to) == (date(2024, 11, 1), date(2025, 11, 1))
    assert times.signed_on < date(2024, 11, 1)


@given(st.dates(date(2012, 1, 1), date(2035, 12, 31)))
def test_the_order_is_in_service_on_every_day(day: date) -> None:
    times = times_for(day)
    assert times.service_from <= day < times.service_to
    assert times.signed_on <= times.paid_on < times.service_from
    assert times.basis_year == times.service_from.year - 1
    assert times.history_start <= day_number(date(times.basis_year, 1, 1))


def test_too_early_a_snapshot_is_refused() -> None:
    with pytest.raises(ValueError, match="2011-12-31"):
        times_for(date(2011, 12, 31))


@given(st.dates(date(1930, 1, 1), date(2024, 1, 1)), st.integers(0, 36000))
def test_whole_years(born: date, later: int) -> None:
    day = born + timedelta(days=later)
    expected = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    found = whole_years(np.array([day_number(born)]), np.array([day_number(day)]))
    assert found[0] == expected


def test_spring_festival_is_no_working_day() -> None:
    eve = day_number(date(2024, 2, 12))
    moved = to_date(int(nearest_working_day(np.array([eve]))[0]))
    assert moved in (date(2024, 2, 9), date(2024, 2, 18), date(2024, 2, 19))
    assert moved.weekday() < 5


def test_chance_is_the_same_on_every_machine() -> None:
    """These numbers may never change: every sample hangs on them."""
    chance = Chance(1, "test")
    assert chance.uniform(2).round(12).tolist() == EXPECTED_UNIFORM
    assert chance.integers(4, 0, 99).tolist() == EXPECTED_INTEGERS
    assert Chance(1, "other").uniform(1)[0] != Chance(1, "test").uniform(1)[0]


def test_chance_follows_its_distributions() -> None:
    chance = Chance(5, "test")
    normal = chance.normal(20000, 10, 2)
    assert abs(normal.mean() - 10) < 0.06
    assert abs(normal.std() - 2) < 0.05
    drawn = chance.pick(20000, ["a", "b"], [3, 1])
    assert abs((drawn == "a").mean() - 0.75) < 0.02
    assert sorted(chance.order(50).tolist()) == list(range(50))
    assert set(chance.integers(500, 3, 5).tolist()) == {3, 4, 5}


EXPECTED_UNIFORM = [0.17112918504, 0.454030007948]
EXPECTED_INTEGERS = [67, 41, 52, 56]
