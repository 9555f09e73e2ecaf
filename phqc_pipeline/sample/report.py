"""The reports each institution sent upward: one row a period, from its records as they were at each period's end.

Belongs here: which periods a report has, its rows. Does not belong here: the figures (``report_figures``), wrong ones
(``misreports``), writing the files (``delivery``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

import polars as pl

from phqc_pipeline.catalogue import Report
from phqc_pipeline.sample.calendar import Times
from phqc_pipeline.sample.faults.work import Work
from phqc_pipeline.sample.report_counts import Counts, Period, Records
from phqc_pipeline.sample.report_figures import FIGURES, Figures

CHARGED = "r_archive"  # the report the orders are based on
_SUBMITTED_AFTER = timedelta(days=10)  # a report is in some days after its period has ended
_QUARTERS = {"Q1": 3, "Q2": 6, "Q3": 9, "Q4": 12}
_MONTHS = {f"M{month:02d}": month for month in range(1, 13)}
_MONTHLY = ("r_vaccination", "r_infectious")
_SINCE = {"r_copd": 2024}  # the first year a report was asked for
_KEY = {"institution_code": pl.String, "institution_name": pl.String, "year": pl.Int64, "period": pl.String}


def reported_periods(times: Times, report_id: str) -> list[Period]:
    """Every quarter (month) and year with records that had ended in time to be reported, in order.

    Of the charged report: the basis year as a whole, then quarters until the year's report takes the fourth's place.
    """
    found = []
    for year in range(max(times.years[0], _SINCE.get(report_id, 0)), times.snapshot.year + 1):
        for name, month in _names(report_id, year, times):
            end = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
            if end + _SUBMITTED_AFTER <= times.snapshot:
                found.append(Period(year, name, date(year, 1, 1), end))
    return found


def report_rows(
    work: Work, severe: Mapping[str, set[int]] | None = None
) -> tuple[dict[str, pl.DataFrame], dict[tuple[int, str], int]]:
    """The reports as they should have been sent, one row a period; electronic archives counted by (year, period).

    ``severe``: form → numbers of records with a severe finding, which nobody counts as managed as required.
    """
    records = Records(work, severe)
    counts: dict[date, Counts] = {}
    reports = {}
    for report_id in (one for one in FIGURES if one in work.cat.reports):
        periods = reported_periods(work.times, report_id)
        made: dict[date, Figures] = {}  # a year, its last quarter and its last month say the same
        for one in periods:
            if one.end not in made:
                made[one.end] = FIGURES[report_id](counts.setdefault(one.end, Counts(records, one)))
        reports[report_id] = _frame(work, work.cat.reports[report_id], periods, [made[one.end] for one in periods])
    charged = reports.get(CHARGED)
    if charged is None:
        return reports, {}
    keys = zip(charged["year"], charged["period"], strict=True)
    return reports, dict(zip(keys, charged["ehr_electronic"].to_list(), strict=True))


def _names(report_id: str, year: int, times: Times) -> Iterator[tuple[str, int]]:
    """Periods of a year by name, with the month each ends in."""
    charged = report_id == CHARGED
    if charged and year <= times.basis_year:
        if year == times.basis_year:
            yield "Y", 12
        return
    marks = {**_QUARTERS, **(_MONTHS if report_id in _MONTHLY else {})}
    yield from sorted(
        ((name, month) for name, month in marks.items() if not (charged and name == "Q4")),
        key=lambda mark: (mark[1], mark[0][0] == "Q"),
    )
    yield "Y", 12


def _frame(work: Work, report: Report, periods: list[Period], made: list[Figures]) -> pl.DataFrame:
    """Key columns, then the report's items: Int64 or Float64 by their type, NULL for what is not reported."""
    place = work.institution
    key = pl.DataFrame(
        {
            "institution_code": [place.code] * len(periods),
            "institution_name": [place.name] * len(periods),
            "year": [one.year for one in periods],
            "period": [one.name for one in periods],
        },
        schema=_KEY,
    )
    types = {item.item: pl.Int64 if item.type == "int" else pl.Float64 for item in report.items}
    items = [pl.Series(name, [one.get(name) for one in made], pl.Float64) for name in types]
    return pl.concat([key, pl.DataFrame(items)], how="horizontal").cast(types)  # type: ignore[arg-type]
