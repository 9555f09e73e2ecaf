"""城乡居民健康档案管理报表: what each institution reported, counted from its records as they were at each period's end.

Belongs here: the definition of the archive figures (reports.md sections 2 and 4.2), the report's rows.
Does not belong here: writing the file (``delivery``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from phqc_pipeline.sample.calendar import Times
from phqc_pipeline.sample.faults.truth import judged_rows, valid_numbers
from phqc_pipeline.sample.faults.work import Work

REPORT = "r_archive"
_SUBMITTED_AFTER = timedelta(days=10)  # a report is in some days after its period has ended
_QUARTERS = {"Q1": (3, 31), "Q2": (6, 30), "Q3": (9, 30)}


@dataclass(frozen=True)
class Period:
    """A period of the report: ``Y`` or a quarter, with its first and last day."""

    year: int
    name: str
    start: date
    end: date


def reported_periods(times: Times) -> list[Period]:
    """The basis year, and every quarter (and year) after it that had ended in time to be reported."""
    found = [Period(times.basis_year, "Y", date(times.basis_year, 1, 1), date(times.basis_year, 12, 31))]
    for year in range(times.basis_year + 1, times.snapshot.year + 1):
        for name, (month, day) in (*_QUARTERS.items(), ("Y", (12, 31))):
            if date(year, month, day) + _SUBMITTED_AFTER <= times.snapshot:
                found.append(Period(year, name, date(year, 1, 1), date(year, month, day)))
    return found


def archives_at(profiles: pl.DataFrame, end: date) -> int:
    """People with an (electronic) archive at the end of a day: ``ehr_archive`` and ``ehr_electronic``.

    ``profiles``: judged rows. People are told apart by a right identity number, else by their archive number.
    """
    gone = pl.col("archive_status").is_in(["3", "9"]) & (pl.col("archive_status_date") <= end)
    rows = profiles.filter((pl.col("archive_date") <= end) & ~gone.fill_null(False))
    valid = valid_numbers(rows["id_card_no"])
    person = pl.when(valid).then(pl.col("id_card_no").str.to_uppercase()).otherwise(pl.col("archive_no"))
    return rows.select(pl.coalesce(person, pl.col("record_id"))).to_series().n_unique()


def report_rows(work: Work) -> tuple[pl.DataFrame, dict[tuple[int, str], int]]:
    """The report as it should have been sent, one row a period; the electronic archives counted by (year, period)."""
    profiles = judged_rows(work, "resident_profile").with_columns(
        pl.coalesce("archive_no", "record_id").alias("archive")
    )
    services = pl.concat([
        judged_rows(work, form_id).select("archive_no", pl.col(work.cat.forms[form_id].service_date).alias("day"))
        for form_id in work.frames
        if form_id != "resident_profile"
    ]).drop_nulls()  # fmt: skip
    rows, counted = [], {}
    for period in reported_periods(work.times):
        people = archives_at(profiles, period.end)
        counted[period.year, period.name] = people
        there = profiles.filter(pl.col("archive_date") <= period.end)
        cancelled = (pl.col("archive_status") == "9") & (pl.col("archive_status_date") <= period.end)
        kept = there.filter(~cancelled.fill_null(False))
        ended = pl.col("archive_status").is_in(["2", "3", "4"]) & pl.col("archive_status_date").is_between(
            period.start, period.end
        )
        served = services.filter(pl.col("day").is_between(period.end - timedelta(days=364), period.end))
        rows.append(
            {
                "institution_code": work.institution.code,
                "institution_name": work.institution.name,
                "year": period.year,
                "period": period.name,
                "ehr_pop": int(people * 1.063) + 11,
                "ehr_archive": people,
                "ehr_electronic": people,
                "ehr_standard": int(people * 0.872),
                "ehr_total": kept["archive"].n_unique(),
                "ehr_dynamic": kept.filter(pl.col("archive_no").is_in(served["archive_no"].unique().implode()))[
                    "archive_no"
                ].n_unique(),
                "ehr_new": there.filter(pl.col("archive_date") >= period.start)["archive"].n_unique(),
                "ehr_closed": there.filter(ended.fill_null(False))["archive"].n_unique(),
                "ehr_open": int(people * 0.794),
            }
        )
    return pl.DataFrame(rows), counted


def misreport(report: pl.DataFrame, times: Times, which: str) -> tuple[pl.DataFrame, bool]:
    """A fault in a row other than the basis year's: what is charged stays right.

    ``RPT-R-002``: both figures too high alike, in the last row; ``RPT-R-030``: fewer archives than electronic ones, in
    the first row after the basis.
    """
    others = [n for n in range(report.height) if report["year"][n] != times.basis_year]
    if not others:
        return report, False
    place = others[-1] if which == "RPT-R-002" else others[0]
    here = pl.int_range(pl.len()) == place
    if which == "RPT-R-002":
        raised = [
            pl.when(here).then(pl.col(name) + 23).otherwise(pl.col(name)).alias(name)
            for name in ("ehr_archive", "ehr_electronic")
        ]
        return report.with_columns(raised), True
    lowered = pl.when(here).then(pl.col("ehr_electronic") - 12).otherwise(pl.col("ehr_archive")).alias("ehr_archive")
    return report.with_columns(lowered), True
