"""Who is managed as required and under control: the reports' counts of patients, person by person (reports.md 4.1).

Belongs here: one item of the chronic reports from registrations and visits. Does not belong here: other counts
(``report_counts``), which items a report has (``report_figures``).

Parameters are those of the catalogue's item; the judgement is written anew, not taken from the dbt models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from phqc_pipeline.sample.report_counts import Counts, whole_years

_ORDER = ["archive_no", "_day", "created_at", "record_id"]


def patients(c: Counts, report_id: str, item: str) -> int | None:
    """People who count for an item of ``r_hypertension``, ``r_diabetes``, ``r_copd`` or ``r_smi``; None for a form that
    nobody delivers."""
    p = c.records.cat.reports[report_id].by_item[item].params
    people = c.managed(p["disease"])
    if p["kind"] == "registered":
        return int(people["_who"].n_unique())
    visits = c.records.get(p["visit_form"])
    willing = c.records.get(p["consent_form"]) if "consent_form" in p else None
    if visits is None or ("consent_form" in p and willing is None):
        return None
    visits = visits.filter(pl.col("archive_no").is_not_null() & pl.col("_day").is_not_null())
    if "not_class" in p:  # nobody was met: no visit
        visits = visits.filter(~pl.col("class_code").is_in(p["not_class"]).fill_null(False))
    if willing is not None:
        agreed = willing.filter(pl.col("consent_code").is_in(p["consent"]))["archive_no"].drop_nulls()
        people = people.filter(pl.col("archive_no").is_in(agreed.implode()))
    seen = _visits(c, visits, p)
    people = people.join(seen, on="archive_no").filter(pl.col("visits") > 0)
    if p["kind"] == "controlled":
        people = people.join(_last(c, visits, p), on="archive_no").filter("good")
    if p["kind"] == "standard":
        people = _as_required(c, people, visits, p)
    return int(people["_who"].n_unique())


def _visits(c: Counts, visits: pl.DataFrame, p: Mapping[str, Any]) -> pl.DataFrame:
    """Of each archive in the span: ``visits``, ``met``, ``tests`` (days), ``severe``, ``able``, ``every``, ``once``."""
    rows = visits.filter(pl.col("_day").is_between(c.period.start, c.period.end))
    met = pl.col("visit_mode_code").is_in(p["face_to_face"]) if "face_to_face" in p else pl.lit(True)
    if "no_severe" not in p:  # of patients whom no severe problem fails: it is only no visit
        met &= ~pl.col("_severe")
    tested = pl.col(p["test"]).is_not_null() if "test" in p else pl.lit(True)
    every = pl.all_horizontal(pl.lit(True), *(pl.col(name).is_not_null() for name in p.get("every", ())))
    well = pl.col("class_code").is_in(p.get("able_class", [])).fill_null(False)
    groups = [
        pl.any_horizontal(*(pl.col(name).is_not_null() for name in group.split("|"))).any()
        for group in p.get("once", ())
    ]
    return rows.group_by("archive_no").agg(
        visits=pl.col("_day").n_unique(),
        met=pl.col("_day").filter(met.fill_null(False)).n_unique(),
        tests=pl.col("_day").filter(tested).n_unique(),
        severe=pl.col("_severe").any() if "no_severe" in p else pl.lit(False),
        able=well.any() | (pl.col("class_code").count() == 0),
        every=every.all(),
        once=pl.all_horizontal(pl.lit(True), *groups),
    )


def _one_a_day(visits: pl.DataFrame) -> pl.DataFrame:
    """Of several visits on one day the last (0a.13), with the next visit's day and the class before."""
    rows = visits.sort(_ORDER, nulls_last=False).unique(["archive_no", "_day"], keep="last", maintain_order=True)
    return rows.with_columns(
        _next=pl.col("_day").shift(-1).over("archive_no"), _before=pl.col("class_code").shift(1).over("archive_no")
    )


def _last(c: Counts, visits: pl.DataFrame, p: Mapping[str, Any]) -> pl.DataFrame:
    """Whether each archive's last visit in the span was good."""
    rows = _one_a_day(visits).filter(pl.col("_day").is_between(c.period.start, c.period.end))
    if "last_class" in p:
        good = pl.col("class_code").is_in(p["last_class"])
    elif "sbp_below" in p:
        age = whole_years(pl.col("birth_date"), pl.col("_day"))
        old = age >= p["elder_age"]
        good = (pl.col("sbp") < pl.when(old).then(p["elder_sbp_below"]).otherwise(p["sbp_below"])) & (
            pl.col("dbp") < pl.when(old).then(p["elder_dbp_below"]).otherwise(p["dbp_below"])
        )
        good &= pl.col("birth_date") <= pl.col("_day")
    else:
        good = pl.col(p["test"]) < p["test_below"]
    return rows.group_by("archive_no").agg(good=good.fill_null(False).sort_by("_day").last())


def _as_required(c: Counts, people: pl.DataFrame, visits: pl.DataFrame, p: Mapping[str, Any]) -> pl.DataFrame:
    people = people.filter(
        ~pl.col("severe") & pl.col("every") & pl.col("once") & (pl.col("met") >= c.due(int(p["min_visits"])))
    )
    if "min_tests" in p:
        people = people.filter(pl.col("tests") >= c.due(int(p["min_tests"])))
    if "exam_form" in p:
        exams = c.during(p["exam_form"])
        assert exams is not None
        days = exams.drop_nulls("archive_no").group_by("archive_no").agg(n=pl.col("_day").n_unique())
        enough = days.filter(pl.col("n") >= p["min_exams"])["archive_no"]
        excused = ~pl.col("able") if "able_class" in p else pl.lit(False)
        people = people.filter(pl.col("archive_no").is_in(enough.implode()) | excused)
    late = _late(c, people, visits, p)
    return people.filter(~pl.col("archive_no").is_in(late.implode()))


def _late(c: Counts, people: pl.DataFrame, visits: pl.DataFrame, p: Mapping[str, Any]) -> pl.Series:
    """Archives in which some visit of the span was not followed in time by another."""
    if "class_days" in p:
        days = {one.split(":")[0]: int(one.split(":")[1]) for one in p["class_days"]}
        stays = (pl.col("class_code") == p["still_class"]) & (pl.col("_before") == p["still_class"])
        wait = pl.when(stays.fill_null(False)).then(pl.lit(int(p["still_days"]))).otherwise(
            pl.col("class_code").replace_strict(days, default=None, return_dtype=pl.Int64)
        ) + int(p["tolerance_days"])
    elif "uncontrolled" in p:
        wait = pl.when(pl.col("class_code").is_in(p["uncontrolled"])).then(pl.lit(int(p["revisit_days"])))
    else:
        return pl.Series([], dtype=pl.String)
    rows = _one_a_day(visits).filter(pl.col("_day").is_between(c.period.start, c.period.end))
    rows = rows.join(people.select("archive_no", "_ended"), on="archive_no").with_columns(
        _limit=pl.col("_day") + pl.duration(days=wait)
    )
    over = pl.col("_limit") <= pl.min_horizontal(pl.lit(c.period.end), pl.col("_ended"))
    missed = pl.col("_next").is_null() | (pl.col("_next") > pl.col("_limit"))
    return rows.filter(over.fill_null(False) & missed)["archive_no"].unique()
