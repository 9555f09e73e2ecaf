"""Mothers, children and vaccination hang together over the years, also by the rules no single record decides."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.sample.calendar import day_number, months_after, times_for, whole_months
from phqc_pipeline.sample.conditions import describe
from phqc_pipeline.sample.faults.work import Work
from phqc_pipeline.sample.growth import HEAD, LENGTH, WEIGHT, Growth
from phqc_pipeline.sample.people import settle
from phqc_pipeline.sample.places import found_institutions
from phqc_pipeline.sample.vaccination import vaccinations
from tests.sample.conftest import Clean

SNAPSHOT = date(2024, 12, 31)


@pytest.fixture(scope="module")
def work(clean: Clean) -> Work:
    return clean(5000, 11, SNAPSHOT)


def days_between(rows: pl.DataFrame, first: str, second: str) -> pl.Series:
    return (rows[second] - rows[first]).dt.total_days()


@pytest.mark.parametrize("start", [date(2020, 1, 31), date(2020, 2, 29), date(2023, 12, 31), date(2021, 8, 30)])
def test_a_month_is_over_when_the_rules_say_so(start: date) -> None:
    birth = np.full(85, day_number(start))
    for months in range(85):
        day = months_after(birth, months)
        assert whole_months(birth, day)[0] == months
        assert months == 0 or whole_months(birth, day - 1)[0] == months - 1


def test_growth_figures_read_backwards(cat: Catalogue) -> None:
    """The examples of CHD-L-002 and L-003 give measures at ±2.99 deviations."""
    growth = Growth(cat)
    boy, girl = np.array([False]), np.array([True])
    born, seen = np.array([day_number(date(2024, 1, 10))]), np.array([day_number(date(2024, 7, 10))])
    assert growth.measure(WEIGHT, boy, born, seen, np.array([3.0]))[0] == pytest.approx(10.93, abs=0.02)
    assert growth.measure(LENGTH, boy, born, seen, np.array([-3.0]))[0] == pytest.approx(61.2, abs=0.1)
    born, seen = np.array([day_number(date(2018, 6, 1))]), np.array([day_number(date(2024, 6, 5))])
    assert growth.measure(WEIGHT, girl, born, seen, np.array([3.0]))[0] == pytest.approx(33.4, abs=0.1)
    assert growth.measure(HEAD, girl, born, born, np.array([0.0]))[0] == pytest.approx(33.9, abs=0.1)


def test_siblings_are_twins_or_a_year_apart(work: Work) -> None:
    children = work.people.filter(pl.col("relation").is_in(["2", "3"])).sort("household", "birth")
    gap = children.select((pl.col("birth") - pl.col("birth").shift(1).over("household")).alias("gap")).drop_nulls()
    assert ((gap["gap"] == 0) | (gap["gap"] > 365)).all()


def test_children_do_not_shrink_and_are_seen_at_every_age(work: Work) -> None:
    sheets = pl.concat(
        [
            work.frames["child_exam_1_8m"].select("_person", "birth_date", "visit_date", "month_stage", "length_cm"),
            work.frames["child_exam_12_30m"].select("_person", "birth_date", "visit_date", "month_stage", "length_cm"),
            work.frames["child_exam_3_6y"].select(
                "_person", "birth_date", "visit_date", pl.col("year_stage") + pl.lit("岁"), pl.col("height_cm")
            ).rename({"height_cm": "length_cm", "year_stage": "month_stage"}),
        ]
    ).sort("_person", "visit_date")  # fmt: skip
    taller = sheets.select((pl.col("length_cm") - pl.col("length_cm").shift(1).over("_person")).alias("cm"))["cm"]
    assert taller.min() > 0
    assert (days_between(sheets, "birth_date", "visit_date") > 28).all()
    # Who was born here in the year before has had all four examinations of the first year.
    one_year_olds = sheets.filter(
        pl.col("birth_date").is_between(date(2023, 1, 1), date(2024, 3, 1))
        & pl.col("month_stage").is_in(["1", "3", "6", "8"])
    )
    born = work.frames["newborn_visit"].filter(
        pl.col("birth_date").is_between(date(2023, 1, 1), date(2024, 3, 1)) & (pl.col("archive_status") == "1")
    )
    counted = born.select("_person").join(one_year_olds.group_by("_person").len(), on="_person", how="left")
    assert counted.height > 20
    assert (counted["len"] == 4).all()


def test_a_delivery_has_its_child_its_pregnancy_and_its_visits(work: Work) -> None:
    deliveries = work.frames["delivery_record"]
    assert deliveries.height > 40
    newborn = work.frames["newborn_visit"].rename({"archive_no": "child_archive_no"})
    both = deliveries.join(newborn, on="child_archive_no", how="inner", suffix="_child")
    assert both.height == deliveries.height
    assert (both["birth_date_child"] == both["delivery_date"]).all()
    assert (both["mother_name"] == both["person_name"]).all()
    assert (both["mother_birth"] == both["birth_date"]).all()
    assert (days_between(both, "discharge_date", "visit_date").is_between(1, 7)).all()
    first = work.frames["prenatal_first"]
    carried = deliveries.join(first, on="_person", suffix="_first").filter(
        pl.col("lmp_date").is_between(pl.col("delivery_date") - timedelta(days=300), pl.col("delivery_date"))
    )
    assert carried["record_id"].n_unique() == deliveries.height
    assert (days_between(carried, "lmp_date", "delivery_date").is_between(259, 294)).all()
    assert ((first["gest_weeks"] >= 5) & (first["gest_weeks"] <= 13)).all()
    later = work.frames["prenatal_followup"].join(carried.select("_person", "lmp_date", "delivery_date"), on="_person")
    later = later.filter(pl.col("visit_date").is_between(pl.col("lmp_date"), pl.col("delivery_date")))
    visits = later.group_by("_person", "lmp_date").agg(
        pl.len(), pl.col("weight_kg").sort_by("visit_date").diff().min().alias("gain")
    )
    assert (visits["len"] == 4).all()
    assert visits["gain"].min() > 0
    at_home = work.frames["postpartum_visit"]
    assert set(at_home["_person"]) == set(deliveries["_person"])
    months = work.frames["postpartum_42d"]
    assert days_between(months, "delivery_date", "visit_date").is_between(42, 56).all()


@pytest.mark.parametrize("snapshot", [SNAPSHOT, date(2026, 6, 30)])
def test_vaccination_follows_the_programme(cat: Catalogue, snapshot: date) -> None:
    times = times_for(snapshot)
    place = found_institutions(1, [4000], 5)[0]
    made = vaccinations(describe(settle(place, times, 5), place, times, 5), place, times, cat, 5)
    doses = made["vaccination_dose"].sort("child_code", "dose_date")
    assert doses.select("child_code", "vaccine_code", "dose_no").n_unique() == doses.height
    assert set(doses["child_code"]) <= set(made["vaccination_card"]["child_code"])
    live = {code.code for code in cat.codes["CL_VACCINE"].codes if code.attrs.get("kind") == "减毒活"}
    injected = doses.filter(pl.col("vaccine_code").is_in(sorted(live - {"BOPV"})))
    gap = injected.select((pl.col("dose_date") - pl.col("dose_date").shift(1).over("child_code")).alias("gap"))
    assert (gap.drop_nulls()["gap"].dt.total_days().is_in([0]) | (gap.drop_nulls()["gap"].dt.total_days() >= 28)).all()
    assert (doses["expire_date"] > doses["dose_date"]).all()
    # What is due at an age is there a month later.
    active = doses.filter(pl.col("archive_status") == "1")
    for dose, months in (("DTAP-3", 7), ("MMR-1", 10), ("DTAP-4", 20), ("JEL-2", 26), ("MPSVAC-1", 38)):
        vaccine, number = dose.split("-")
        old = active.filter(pl.col("birth_date") < snapshot - timedelta(days=int(months * 30.5)))
        given = old.filter((pl.col("vaccine_code") == vaccine) & (pl.col("dose_no") == int(number)))
        assert set(given["child_code"]) == set(old["child_code"]), dose
    kinds = set(doses.filter(pl.col("dose_date") >= date(2025, 1, 1))["vaccine_code"])
    assert "DT" not in kinds
    fifth = doses.filter((pl.col("vaccine_code") == "DTAP") & (pl.col("dose_no") == 5))
    assert (fifth.height > 0) == (snapshot > date(2025, 2, 1))
