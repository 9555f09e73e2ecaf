"""Reports hang together, say what the records say, and are taken in whatever file they come in."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.extracts import Books, read_registry, take_in
from phqc_pipeline.home import Home
from phqc_pipeline.sample.delivery import deliver_report, report_style
from phqc_pipeline.sample.faults.work import Work
from phqc_pipeline.sample.registry import write_registry
from phqc_pipeline.sample.report import CHARGED, report_rows
from phqc_pipeline.sample.report_figures import FIGURES, PARTS
from tests.sample.conftest import Clean
from tests.sample.test_faults import SNAPSHOT

_KEY = ["institution_code", "institution_name", "year", "period"]
_OLDEST = {"resident_profile", "chronic_registry", "htn_followup", "t2dm_followup", "health_exam", "elderly_self_care"}


@pytest.fixture(scope="session", params=["every form", "the first six forms"])
def town(request: pytest.FixtureRequest, clean: Clean) -> Work:
    """Reports must not wait for a form that nobody delivers."""
    work = clean(900, 12, date(2025, 6, 30))
    frames = {form: rows for form, rows in work.frames.items() if request.param == "every form" or form in _OLDEST}
    return Work(
        work.cat,
        work.institution,
        work.times,
        work.people,
        {form: rows.drop("_row") for form, rows in frames.items()},
        work.chance,
    )


@pytest.fixture(scope="session")
def reports(town: Work) -> dict[str, pl.DataFrame]:
    return report_rows(town)[0]


def test_every_report_with_every_item(reports: dict[str, pl.DataFrame], cat: Catalogue) -> None:
    assert set(reports) == set(cat.reports) == set(FIGURES)
    for report_id, rows in reports.items():
        assert rows.columns == [*_KEY, *(item.item for item in cat.reports[report_id].items)]
        unknown = {name for name in rows.columns if rows[name].null_count() == rows.height}
        assert unknown <= {"vac_aefi", "vac_due_hpv2_1", "vac_due_hpv2_2", "vac_done_hpv2_1", "vac_done_hpv2_2"}
        assert rows.select(pl.struct("year", "period").is_unique().all()).item()


def test_no_part_exceeds_its_whole(reports: dict[str, pl.DataFrame]) -> None:
    vaccines = [name for name in reports["r_vaccination"].columns if name.startswith("vac_done_")]
    parts = dict(PARTS)
    parts["r_vaccination"] += tuple((name, name.replace("done", "due")) for name in vaccines)
    exceeding = [
        (report_id, part, whole)
        for report_id, pairs in parts.items()
        for part, whole in pairs
        if not reports[report_id].select((pl.col(part) <= pl.col(whole)).fill_null(True).all()).item()
    ]
    assert exceeding == []
    births = [reports[name].select(*_KEY, live) for name, live in (
        ("r_child", pl.col("child_live_births")), ("r_maternal", pl.col("mch_live_births").alias("child_live_births"))
    )]  # fmt: skip
    assert births[0].equals(births[1])
    population = reports[CHARGED].join(reports["r_elderly"], on=_KEY).join(reports["r_child"], on=_KEY)
    assert population.height >= 4
    assert (population["eld_pop"] <= population["ehr_pop"] * 0.45).all()
    assert (population["child_0_6"] <= population["ehr_pop"] * 0.2).all()


def test_figures_run_on_through_the_year(reports: dict[str, pl.DataFrame], cat: Catalogue) -> None:
    """What is counted since January never falls, and the year's figures are those of its last quarter."""
    for report_id, rows in reports.items():
        running = [
            item.item
            for item in cat.reports[report_id].items
            if item.nature == "累计" and not item.item.endswith(("_standard", "_controlled", "_stable", "_sys"))
        ]
        steps = rows.select(pl.col(running).diff().over("year"))
        assert all((steps[name].drop_nulls() >= 0).all() for name in running), report_id
        year = rows.filter((pl.col("year") == 2024) & (pl.col("period") == "Y")).drop("period")
        last = rows.filter((pl.col("year") == 2024) & (pl.col("period") == "Q4")).drop("period")
        assert year.height == 1
        assert last.is_empty() or year.equals(last)


def test_figures_are_those_of_the_records(reports: dict[str, pl.DataFrame], town: Work) -> None:
    """Patients with a follow-up in 2024 by that quarter, and residents of 65 with an examination."""
    rows = reports["r_hypertension"].filter(pl.col("year") == 2024)
    visits = town.frames["htn_followup"]
    for period, end in (("Q1", date(2024, 3, 31)), ("Q3", date(2024, 9, 30)), ("Y", date(2024, 12, 31))):
        seen = visits.filter(pl.col("visit_date").is_between(date(2024, 1, 1), end))["_person"].n_unique()
        assert rows.filter(pl.col("period") == period)["htn_managed"].item() == seen
    exams = town.frames["health_exam"].filter(pl.col("exam_date").dt.year() == 2024)
    elders = exams.filter(2024 - pl.col("birth_date").dt.year() >= 65)["_person"].n_unique()
    year = reports["r_elderly"].filter((pl.col("year") == 2024) & (pl.col("period") == "Y"))
    assert year["eld_exam"].item() == elders > 0


def test_every_report_is_taken_in(clean: Clean, cat: Catalogue, tmp_path: Path) -> None:
    """Fifteen reports in eight kinds of file: every value arrives, every item is known."""
    work, home = clean(900, 12, SNAPSHOT), Home(tmp_path)
    place = replace(work.institution, index=1, count=2)  # the founding institution has one style of its own
    write_registry(home.registry, [work.institution], {work.institution.code: 1}, work.times)
    folder = home.landing / place.code / SNAPSHOT.isoformat()
    folder.mkdir(parents=True)
    reports, _ = report_rows(work)
    for position, (report_id, rows) in enumerate(reports.items()):
        report = cat.reports[report_id]
        deliver_report(folder, report, rows, report_style(place, report, position), cat, place, SNAPSHOT)
    take_in(home, cat, read_registry(home), SNAPSHOT, log=lambda message: None)
    books = Books(home, cat)
    files = books.files(SNAPSHOT)
    assert files["status"].to_list() == ["accepted"] * len(reports)
    assert files["missing_columns"].list.len().sum() == 0
    assert set(files["unknown_columns"].explode().drop_nulls()) <= {"序号"}
    assert len(set(zip(files["format"], files["encoding"], strict=True))) >= 6
    for delivery in books.in_force(SNAPSHOT):
        sent = reports[delivery.form_id]
        items = [name for name in sent.columns if name not in _KEY]
        long = sent.unpivot(items, index=["year", "period"], variable_name="item").drop_nulls()
        lake = pl.concat([pl.read_parquet(file.path) for file in delivery.files]).drop_nulls("value")
        key = ["year", "period", "item", "value"]
        assert lake.select(key).sort(key).equals(long.with_columns(pl.col("value").cast(pl.Float64)).sort(key))
