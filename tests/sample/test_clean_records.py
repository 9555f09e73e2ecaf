"""Records without faults violate nothing: no record rule, no field rule, no cross rule."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phqc_pipeline.catalogue import Context
from phqc_pipeline.sample.faults.cross import cross_findings
from phqc_pipeline.sample.faults.truth import Truth
from phqc_pipeline.sample.faults.work import Work
from phqc_pipeline.sample.places import LARGE
from phqc_pipeline.sample.report import report_rows
from tests.sample.conftest import OF_SMALL_PLACES, PLAUSIBLE, Clean, broken_checks


def crossed(work: Work, snapshot: date) -> list[str]:
    report, _ = report_rows(work)
    found = cross_findings(Truth(work, Context.natural_year(snapshot), report, report))
    expected = PLAUSIBLE | (OF_SMALL_PLACES if work.institution.residents < LARGE else set())
    return sorted({f"{one.rule_id} {one.form_id}" for one in found if one.rule_id not in expected})


@pytest.mark.parametrize(
    ("residents", "seed", "snapshot"),
    [
        (5000, 11, date(2024, 12, 31)),  # the day everything of the year is due
        (900, 12, date(2025, 6, 30)),  # mid-year: part of it
        (900, 13, date(2025, 11, 1)),  # the day the order's year turns
        (200, 14, date(2013, 3, 4)),  # early in the programme
    ],
)
def test_nothing_is_violated(clean: Clean, residents: int, seed: int, snapshot: date) -> None:
    work = clean(residents, seed, snapshot)
    assert broken_checks(work, snapshot) == []
    assert crossed(work, snapshot) == []


# The same few towns each time: a lead that honest records give once in a thousand towns must not stop anybody's work.
@settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**31), day=st.dates(date(2014, 1, 1), date(2026, 6, 30)))
def test_nothing_is_violated_by_any_seed_on_any_day(clean: Clean, seed: int, day: date) -> None:
    work = clean(120, seed, day)
    assert broken_checks(work, day) == []
    assert crossed(work, day) == []


def test_patients_are_seen_as_required(clean: Clean) -> None:
    """Four visits face to face in a full year, an examination, and values that go on from year to year."""
    work = clean(5000, 11, date(2024, 12, 31))
    cards = work.frames["chronic_registry"].filter(
        (pl.col("disease") == "HTN") & (pl.col("register_date") < date(2024, 1, 1)) & (pl.col("manage_status") == "1")
    )
    visits = work.frames["htn_followup"].filter(pl.col("_person").is_in(cards["_person"].implode()))
    year = visits.filter((pl.col("visit_date").dt.year() == 2024) & (pl.col("visit_mode_code") != "3"))
    assert year.group_by("_person").len()["len"].min() >= 4
    assert year["_person"].n_unique() == cards.height
    weights = visits.drop_nulls("weight_kg").sort("_person", "visit_date")
    step = (pl.col("weight_kg") - pl.col("weight_kg").shift(1).over("_person")).abs()
    assert weights.select(step.max()).item() < 6
    spread = visits.group_by("_person").agg((pl.col("height_cm").max() - pl.col("height_cm").min()).alias("d"))["d"]
    assert spread.max() < 1
    assert visits.group_by("_person").agg(pl.col("drug1_name").n_unique())["drug1_name"].max() == 1


def test_uncontrolled_patients_are_seen_again_within_two_weeks(clean: Clean) -> None:
    work = clean(5000, 11, date(2024, 12, 31))
    visits = (
        work.frames["htn_followup"]
        .sort("_person", "visit_date")
        .with_columns(pl.col("visit_date").shift(-1).over("_person").alias("next"))
    )
    raised = visits.filter(
        pl.col("class_code").is_in(["2", "3"]) & pl.col("next").is_not_null() & (pl.col("archive_status") == "1")
    )
    assert raised.height > 50
    assert ((raised["next"] - raised["visit_date"]).dt.total_days() <= 14).all()


def test_entry_is_prompt_and_spread(clean: Clean) -> None:
    work = clean(5000, 11, date(2024, 12, 31))
    for form_id, rows in work.frames.items():
        lag = (rows["created_at"].dt.date() - rows[work.cat.forms[form_id].service_date]).dt.total_days()
        assert lag.min() >= 0, form_id
        assert lag.max() <= 5, form_id
    entries = pl.concat([rows.select("doctor_name", "created_at", "archive_no") for rows in work.frames.values()])
    minutes = entries.group_by("doctor_name", pl.col("created_at").dt.truncate("1m")).agg(
        pl.col("archive_no").n_unique()
    )
    assert minutes["archive_no"].max() <= 5


def test_services_are_on_working_days(clean: Clean) -> None:
    work = clean(5000, 11, date(2024, 12, 31))
    for form_id, day in (("htn_followup", "visit_date"), ("health_exam", "exam_date")):
        days = work.frames[form_id][day]
        assert (days.dt.weekday() <= 5).all()
        assert not days.is_in([date(2024, 10, n) for n in range(1, 8)]).any()
