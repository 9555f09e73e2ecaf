"""Forms beyond the chronic follow-ups hang together, over time and with one another; and carry every fault."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue, Context
from phqc_pipeline.sample.faults.injection import Rates, inject
from phqc_pipeline.sample.faults.judge import Judge
from phqc_pipeline.sample.faults.proposals import Setting
from phqc_pipeline.sample.faults.work import Work
from phqc_pipeline.sample.tcm import QUESTIONS
from tests.sample.conftest import Clean

SNAPSHOT = date(2024, 12, 31)
OF_NOBODY = ("health_education_activity", "phe_report", "supervision_patrol", "supervision_report")

#: The forms that refer, with the columns that tell where to and when.
REFERRING = (
    ("htn_followup", "referral_org", "visit_date"), ("t2dm_followup", "referral_org", "visit_date"),
    ("copd_followup", "referral_org", "visit_date"), ("smi_followup", "referral_org", "visit_date"),
    ("tb_followup", "referral_dept", "visit_date"), ("newborn_visit", "referral_org", "visit_date"),
    ("prenatal_first", "referral_org", "fill_date"), ("prenatal_followup", "referral_org", "visit_date"),
    ("postpartum_42d", "referral_org", "visit_date"),
)  # fmt: skip


def town(clean: Clean) -> Work:
    return clean(5000, 11, SNAPSHOT)


def test_every_referral_has_its_slip_of_the_day_and_letters_come_after(clean: Clean) -> None:
    frames = town(clean).frames
    referred = pl.concat([
        frames[form_id].filter(pl.col(column).is_not_null()).select("_person", day=day)
        for form_id, column, day in REFERRING
    ]).unique()  # fmt: skip
    slips = frames["referral_out"].select("_person", day="referral_date")
    assert slips.height == referred.height > 100
    assert slips.join(referred, on=["_person", "day"]).height == slips.height
    letters = frames["referral_back"].select("_person", back="back_date").sort("back")
    before = {"left_on": "back", "right_on": "day", "by": "_person", "allow_exact_matches": False}
    known = letters.join_asof(slips.sort("day"), **before, check_sortedness=False)
    assert known["day"].null_count() == 0
    assert (known["back"] - known["day"]).dt.total_days().is_between(1, 30).all()
    assert letters.height > 0.7 * slips.height


def test_elders_are_what_they_answer_year_after_year(clean: Clean) -> None:
    """Scores by the questions, heaviness by the examination of the year, one constitution a person."""
    frames = town(clean).frames
    rows = frames["elderly_tcm"].with_columns(year=pl.col("fill_date").dt.year())
    exams = frames["health_exam"].select("_person", "bmi", "waist_cm", "exam_date", year=pl.col("exam_date").dt.year())
    both = rows.join(exams, on=["_person", "year"], how="left")
    assert both.height == rows.height
    assert (both["fill_date"] - both["exam_date"]).dt.total_days().is_between(0, 10).all()
    heavy = 1 + np.searchsorted([24, 25, 26, 28], both["bmi"].to_numpy(), side="right")
    assert (both["q9"].to_numpy() == heavy).all()
    for name, questions in QUESTIONS.items():
        assert (rows[f"score_{name}"] == rows.select(pl.sum_horizontal(f"q{n}" for n in questions)).to_series()).all()
    assert set(rows["result_pinghe"]) == {"1", "2", "3"}
    again = rows.group_by("_person").agg(pl.len(), pl.col("score_qixu").max() - pl.col("score_qixu").min())
    assert again.filter(pl.col("len") > 1)["score_qixu"].max() <= 8


def test_tuberculosis_is_treated_to_its_end(clean: Clean) -> None:
    frames = town(clean).frames
    visits = frames["tb_followup"].sort("_person", "visit_date")
    first = frames["tb_first_visit"].select("_person", start="visit_date", noticed="notice_date")
    assert (first["start"] - first["noticed"].dt.date()).dt.total_days().max() <= 3
    gap = pl.col("visit_date").diff().over("_person").dt.total_days()
    months = pl.col("treatment_month").shift(1).over("_person")
    assert visits.filter(gap > pl.when(months <= 1).then(14).otherwise(42)).is_empty()
    done = visits.filter(pl.col("stop_reason_code") == "1").join(first, on="_person")
    assert done.height > 10
    assert (done["stop_date"] - done["start"]).dt.total_days().min() >= 183
    ended = frames["chronic_registry"].filter((pl.col("disease") == "TB") & (pl.col("manage_status") == "7"))
    assert set(ended["_person"]) == set(done["_person"])


def test_the_unstable_are_seen_within_three_weeks_and_nobody_later_than_a_hundred_days(clean: Clean) -> None:
    visits = town(clean).frames["smi_followup"].sort("_person", "visit_date")
    following = pl.col("visit_date").shift(-1).over("_person", pl.col("visit_date").dt.year())  # within a year
    following = visits.select("class_code", gap=(following - pl.col("visit_date")).dt.total_days()).drop_nulls()
    assert following["gap"].max() <= 100
    assert following.filter((pl.col("class_code") == "1") & (pl.col("gap") > 21)).is_empty()
    assert set(visits["class_code"]) == {"1", "2", "3"}


def test_work_for_the_whole_place_belongs_to_nobody(clean: Clean) -> None:
    work = town(clean)
    for form_id in OF_NOBODY:
        rows = work.frames[form_id]
        assert rows.height > 20, form_id
        assert set(rows["_person"]) == {-1}
        assert rows.select("archive_no", "person_name", "id_card_no", "birth_date").null_count().row(0) == (
            rows.height,
        ) * 4  # fmt: skip
    strangers = work.frames["infectious_report"].filter(pl.col("_person") == -1)
    assert strangers.height > 3
    assert strangers["archive_no"].null_count() == strangers.height
    assert strangers["id_card_no"].null_count() == 0


def test_a_form_with_few_records_carries_several_faults_on_one_and_each_is_found(clean: Clean, cat: Catalogue) -> None:
    """Of 24 records half are faulty, and every check of the form is violated on one of them."""
    made = town(clean)
    frames = {form_id: rows.drop("_row") for form_id, rows in made.frames.items()}
    frames["phe_report"] = frames["phe_report"].head(24)
    work = Work(cat, made.institution, made.times, made.people, frames, made.institution.chance(5, "few"))
    form, judge = cat.forms["phe_report"], Judge(cat, Context.natural_year(SNAPSHOT))
    serial = iter(range(10**6, 10**7))
    setting = Setting(cat, SNAPSHOT, made.institution.chance(6, "few"), lambda: next(serial))
    left = inject(work, form, judge, Rates(at_least=1, every_field=True), setting)
    assert left == []
    faults = [(fault.rule_id, fault.field, fault.row) for fault in work.faults]
    assert len(faults) >= len(judge.checks["phe_report"]) - 1  # COM-U-001 and its like are not injected here
    touched = work.frames["phe_report"].filter(pl.col("_row").is_in(sorted(work.touched["phe_report"])))
    assert touched.height <= 12
    violated = judge.violations(form, work.lake_rows("phe_report", touched))
    checks = judge.checks["phe_report"]
    found = {
        (checks[n].rule.rule_id, checks[n].field, row)
        for row, broken in zip(touched["_row"].to_list(), violated, strict=True)
        for n in broken
    }
    assert set(faults) <= found
