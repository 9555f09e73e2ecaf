"""Counting an institution's judged records for reports: by form, within a period, by person.

Belongs here: which records fall into a period, who is one person, who is under management, who lives there.
Does not belong here: which of it a report asks for (``report_figures``).

A form that the sample does not make (or the catalogue does not have) counts as ``otherwise``, so that a report never
waits for a form.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import polars as pl

from phqc_pipeline.catalogue import Catalogue, Context
from phqc_pipeline.catalogue.expressions import parse_expression, to_polars
from phqc_pipeline.sample.calendar import day_number
from phqc_pipeline.sample.faults.truth import judged_rows, valid_numbers
from phqc_pipeline.sample.faults.work import Work
from phqc_pipeline.sample.places import Institution

ALL = pl.lit(True)
_ENDED = ("3", "4", "5", "6")  # CL_MANAGE_STATUS: ended, which needs a date
_OPEN = date(9999, 12, 31)
_CLOSED = ("2", "3", "4", "9")  # CL_ARCHIVE_STATUS: what ends a registration that has no end of its own (0a.12)
FACE_TO_FACE = pl.col("visit_mode_code").is_in(["1", "2"])


@dataclass(frozen=True)
class Period:
    """A period of a report: ``Y``, ``Q1`` … or ``M01`` …; ``start`` is the first day of the year, as figures run on."""

    year: int
    name: str
    start: date
    end: date


class Records:
    """An institution's judged records by form, in order of service, with ``_who`` (one value a person), ``_day`` and
    ``_severe`` (whether a record rule found a severe problem). ``severe``: form → numbers (``_row``) of such records.
    """

    def __init__(self, work: Work, severe: Mapping[str, set[int]] | None = None) -> None:
        self.cat: Catalogue = work.cat
        self.work = work
        self.institution: Institution = work.institution
        self.ctx = Context.natural_year(work.times.snapshot)
        self.people = work.people
        self.profiles = with_person(judged_rows(work, "resident_profile"))
        archives = self.profiles.select("archive_no", _known="_who").drop_nulls().unique("archive_no", keep="first")
        self._forms: dict[str, pl.DataFrame] = {}
        for form_id in work.frames:
            rows = judged_rows(work, form_id).join(archives, on="archive_no", how="left", maintain_order="left")
            own = pl.when(valid_numbers(rows["id_card_no"])).then(pl.col("id_card_no").str.to_uppercase())
            self._forms[form_id] = rows.with_columns(
                _who=pl.coalesce("_known", own, "archive_no", "record_id"),
                _severe=pl.col("_row").is_in(sorted((severe or {}).get(form_id, ()))),
                _day=pl.col(self.cat.forms[form_id].service_date).cast(pl.Date),
            ).sort("_day", "created_at", "_row", nulls_last=True)

    def get(self, form_id: str) -> pl.DataFrame | None:
        return self._forms.get(form_id)

    @cached_property
    def complete_exams(self) -> pl.Series:
        """Numbers (``_row``) of examinations with every field filled in that must be."""
        form = self.cat.forms["health_exam"]
        judged = self._forms["health_exam"]["_row"].implode()
        # As delivered: a figure beyond what is possible is wrong, but filled in (0a.5).
        rows = self.work.frames["health_exam"].filter(pl.col("_row").is_in(judged))
        lake = self.work.lake_rows("health_exam", rows.select("_row", *(one.name for one in form.fields)))
        missing = [f"{one.name}__raw" for one in form.fields if f"{one.name}__raw" not in lake.columns]
        lake = lake.with_columns(pl.lit(None, pl.String).alias(name) for name in missing)
        complete = to_polars(parse_expression("required_missing_count() = 0", form, self.cat), self.ctx)
        return lake.filter(complete)["_row"]

    @cached_property
    def services(self) -> pl.DataFrame:
        """``archive_no`` and ``_day`` of every service to a person."""
        return pl.concat([
            rows.select("archive_no", "_day")
            for form_id, rows in self._forms.items()
            if form_id != "resident_profile" and self.cat.forms[form_id].subject == "person"
        ]).drop_nulls()  # fmt: skip


class Counts:
    """What is counted in one period."""

    def __init__(self, records: Records, period: Period) -> None:
        self.records = records
        self.period = period
        self._during: dict[str, pl.DataFrame | None] = {}

    @property
    def months(self) -> int:
        """Months of the year that have passed at the period's end."""
        return self.period.end.month

    def within(self, column: str) -> pl.Expr:
        return pl.col(column).cast(pl.Date).is_between(self.period.start, self.period.end)

    def during(self, form_id: str) -> pl.DataFrame | None:
        """Records of services within the period, in order; None for a form that is not made."""
        if form_id not in self._during:
            rows = self.records.get(form_id)
            self._during[form_id] = None if rows is None else _slice(rows, self.period.start, self.period.end)
        return self._during[form_id]

    def rows(self, form_id: str, condition: pl.Expr = ALL, *, otherwise: float = 0) -> float:
        """Records."""
        rows = self.during(form_id)
        return otherwise if rows is None else rows.select(pl.col("_row").filter(condition)).height

    def people(self, form_id: str, condition: pl.Expr = ALL, *, otherwise: float = 0) -> float:
        """Different people with such a record."""
        rows = self.during(form_id)
        return otherwise if rows is None else int(rows.select(pl.col("_who").filter(condition).n_unique()).item())

    def total(self, form_id: str, column: str, condition: pl.Expr = ALL, *, otherwise: float = 0) -> float:
        """The sum of a column."""
        rows = self.during(form_id)
        return otherwise if rows is None else int(rows.select(pl.col(column).filter(condition).sum()).item())

    def kinds(self, form_id: str, column: str, condition: pl.Expr = ALL, *, otherwise: float = 0) -> float:
        """Different values of a column."""
        rows = self.during(form_id)
        kinds = pl.col(column).filter(condition).drop_nulls().n_unique()
        return otherwise if rows is None else int(rows.select(kinds).item())

    def archives_with(self, form_id: str, condition: pl.Expr = ALL) -> pl.Series | None:
        """Archive numbers with such a record in the period; None for a form that is not made."""
        rows = self.during(form_id)
        return None if rows is None else rows.select(pl.col("archive_no").filter(condition).drop_nulls()).to_series()

    def residents(self, least: int = 0, below: int = 200) -> int:
        """Residents there at some time of the year, of an age (by year of birth) from ``least`` to ``below``.

        The population as a statistical office has it: of everybody who lives there, whatever the records say.
        """
        born = pl.col("birth").cast(pl.Int32).cast(pl.Date)
        age = self.period.year - born.dt.year()
        here = (born <= self.period.end) & (pl.col("status_day").cast(pl.Int64) >= day_number(self.period.start))
        return self.records.people.filter(here & (age >= least) & (age < below)).height

    def reaching(self, *months: int) -> int:
        """Residents who reach one of these ages in months within the period."""
        born = pl.col("birth").cast(pl.Int32).cast(pl.Date)
        reached = [born.dt.offset_by(f"{one}mo").is_between(self.period.start, self.period.end) for one in months]
        return int(self.records.people.select(pl.any_horizontal(reached).sum()).item())

    def managed(self, disease: str) -> pl.DataFrame:
        """Who is registered with a disease at some time of the year (reports.md 4.2, 期内在管过).

        Columns: ``archive_no``, ``_who``, ``days`` under management within the period, several cards merged day by day
        (0a.12), and ``_ended``, the last day of management there was or will be.
        """
        cards = self.records.get("chronic_registry")
        assert cards is not None
        unread = [row for row, texts in self.records.work.texts["chronic_registry"].items() if texts.get("end_date")]
        own = pl.col("end_date")
        closed = pl.when(pl.col("archive_status").is_in(_CLOSED)).then(pl.col("archive_status_date"))
        end = (
            pl.when(own.is_not_null())
            .then(own)
            .when(pl.col("_row").is_in(unread) | pl.col("manage_status").is_in(_ENDED).fill_null(False))
            .then(None)
            .when(pl.col("archive_status").is_in(_CLOSED).fill_null(False))
            .then(closed)
            .otherwise(pl.lit(_OPEN))
        )
        start, last = pl.lit(self.period.start), pl.lit(self.period.end)
        spans = (
            cards.filter((pl.col("disease") == disease) & (pl.col("register_date") <= self.period.end))
            .drop_nulls("archive_no")
            .with_columns(_ended=end)
            .with_columns(_first=pl.max_horizontal("register_date", start), _until=pl.min_horizontal("_ended", last))
            .filter(pl.col("_ended").is_not_null() & (pl.col("_first") <= pl.col("_until")))
        )
        merged = {
            archive: len(_days_of(list(zip(first, until, strict=True))))
            for archive, first, until in spans.group_by("archive_no").agg("_first", "_until").iter_rows()
        }
        return (
            spans.group_by("archive_no", maintain_order=True)
            .agg(pl.col("_who").first(), pl.col("_ended").max())
            .with_columns(days=pl.col("archive_no").replace_strict(merged, default=0, return_dtype=pl.Int64))
        )

    def due(self, times: int) -> pl.Expr:
        """How many of so many services a year are due by the period's end, after ``days`` under management (0a.12)."""
        year = (date(self.period.year, 12, 31) - self.period.start).days + 1
        return (pl.col("days") * times) // year

    def archives(self) -> pl.DataFrame:
        """Archives made by the period's end, with ``archive`` (its number) and ``_who``."""
        return self.records.profiles.filter(pl.col("archive_date") <= self.period.end)

    def served(self) -> pl.Series:
        """Archive numbers with any service in the twelve months before the period's end."""
        end = self.period.end
        year_before = end.replace(year=end.year - 1, day=min(end.day, monthrange(end.year - 1, end.month)[1]))
        during = (pl.col("_day") > year_before) & (pl.col("_day") <= end)
        return self.records.services.filter(during)["archive_no"].unique()


def whole_years(birth: pl.Expr, day: pl.Expr) -> pl.Expr:
    """周岁: born on 29 February, older on 1 March (0a.15)."""
    early = _month_and_day(day) < _month_and_day(birth)
    return day.dt.year() - birth.dt.year() - early.cast(pl.Int32)


def _month_and_day(column: pl.Expr) -> pl.Expr:
    return column.dt.month().cast(pl.Int32) * 100 + column.dt.day()


def _days_of(spans: list[tuple[date, date]]) -> set[int] | range:
    """The days of some spans, each once."""
    if len(spans) == 1:
        first, until = spans[0]
        return range(first.toordinal(), until.toordinal() + 1)
    days: set[int] = set()
    for first, until in spans:
        days.update(range(first.toordinal(), until.toordinal() + 1))
    return days


def with_person(profiles: pl.DataFrame) -> pl.DataFrame:
    """Profiles with ``archive`` and ``_who``: people are told apart by a right identity number, else by archive."""
    number = pl.when(valid_numbers(profiles["id_card_no"])).then(pl.col("id_card_no").str.to_uppercase())
    return profiles.with_columns(
        archive=pl.coalesce("archive_no", "record_id"), _who=pl.coalesce(number, "archive_no", "record_id")
    )


def archives_at(profiles: pl.DataFrame, end: date) -> int:
    """People with an (electronic) archive at the end of a day: ``ehr_archive`` and ``ehr_electronic``.

    ``profiles``: judged rows, with ``_who``.
    """
    gone = pl.col("archive_status").is_in(["3", "9"]) & (pl.col("archive_status_date") <= end)
    return people_in(profiles, (pl.col("archive_date") <= end) & ~gone.fill_null(False))


def people_in(rows: pl.DataFrame, condition: pl.Expr = ALL) -> int:
    """Different people of some rows with ``_who``."""
    return int(rows.select(pl.col("_who").filter(condition).n_unique()).item())


def given(names: list[str], schema: Mapping[str, object]) -> pl.Expr:
    """Whether every one of the columns is filled in; those a form lacks are not asked for."""
    there = [pl.col(name).is_not_null() for name in names if name in schema]
    return pl.all_horizontal(there) if there else ALL


def _slice(rows: pl.DataFrame, start: date, end: date) -> pl.DataFrame:
    """Rows of a frame in order of ``_day`` (NULL last), without copying."""
    days = rows["_day"].drop_nulls()
    low = int(days.search_sorted(start, side="left"))
    high = int(days.search_sorted(end, side="right"))
    return rows.slice(low, high - low)
