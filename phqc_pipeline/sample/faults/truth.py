"""One institution's final records as cross rules see them: what the second judgement (``cross``) is made of.

Belongs here: the judged records, and what several questions ask of them (visits in order, days in management …).
Does not belong here: the questions themselves (``cross``), record rules (``judge``), how faults are made (``recipes``).

Institutions of a sample share no archive, number or telephone, so each is judged alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue, Context, Rule
from phqc_pipeline.extracts.cells import VALUE_TYPES
from phqc_pipeline.sample.faults.work import Work

JUDGED = ("1", "5")
_ENDED = ("3", "4", "5", "6")  # CL_MANAGE_STATUS: ended, which needs a date
_CLOSED = ("2", "3", "4", "9")  # CL_ARCHIVE_STATUS: what ends a registration that has no end of its own (0a.12)


@dataclass(frozen=True)
class Finding:
    """What a rule reports: the columns of the answer key but the institution."""

    rule_id: str
    form_id: str
    field: str
    subject_kind: str
    subject_id: str
    record_id: str = ""


class _Rows(dict[str, pl.DataFrame]):
    """Judged rows by form; of a form the institution does not deliver, none."""

    def __init__(self, cat: Catalogue, rows: Mapping[str, pl.DataFrame]) -> None:
        super().__init__(rows)
        self._cat = cat

    def __missing__(self, form_id: str) -> pl.DataFrame:
        types: dict[str, Any] = {one.name: VALUE_TYPES[one.kind] for one in self._cat.forms[form_id].fields}
        return pl.DataFrame(schema={**types, "_row": pl.Int64, "_person": pl.Int64, "_copies": pl.UInt32})


class Truth:
    """The judged records of an institution, unusable cells NULL, and what the cross rules find in them."""

    def __init__(
        self, work: Work, ctx: Context, reports: Mapping[str, pl.DataFrame], honest: Mapping[str, pl.DataFrame]
    ) -> None:
        self.cat: Catalogue = work.cat
        self.work = work
        self.ctx = ctx
        self.reports = reports
        self.honest = honest  # the same reports as they should have been
        self.rows = _Rows(work.cat, {form_id: judged_rows(work, form_id) for form_id in work.frames})
        self.until = min(ctx.period_end, ctx.today)
        self._told: dict[str, list[dict[str, Any]]] = {}

    def service(self, form_id: str) -> pl.Expr:
        """The day of service, of forms that tell a time as well."""
        return pl.col(self.cat.forms[form_id].service_date).cast(pl.Date)

    def in_period(self, form_id: str) -> pl.DataFrame:
        """Records of a person served within the period, as far as today."""
        day = self.service(form_id)
        return self.rows[form_id].filter(
            pl.col("archive_no").is_not_null() & day.is_between(self.ctx.period_start, self.until)
        )

    def told(self, form_id: str) -> list[dict[str, Any]]:
        """The judged records in the columns cross rules read, with the day of service as ``day``; none of a form that
        is not delivered."""
        if form_id not in self._told and form_id in self.rows:
            read = {"archive_no", "record_id", "created_at", "_row"}
            for rule in self.cat.rules:
                if rule.carrier == "dbt":
                    read.update(rule.reads.get(form_id, ()), rule.own_reads if form_id in rule.form_ids else ())
            rows = self.rows[form_id]
            kept = [name for name in rows.columns if name in read]
            self._told[form_id] = rows.select(*kept, self.service(form_id).alias("day")).to_dicts()
        return self._told.get(form_id, [])

    def records(self, form_id: str) -> list[dict[str, Any]]:
        """Those of ``told`` that name a person."""
        return [row for row in self.told(form_id) if row["archive_no"] is not None]

    def visits(self, form_id: str, since: date) -> pl.DataFrame:
        """Visits of a person in order, of several on one day the last (0a.13)."""
        rows = self.rows[form_id].filter(
            pl.col("archive_no").is_not_null() & pl.col("visit_date").is_between(since, self.until)
        )
        order = ["archive_no", "visit_date", "created_at", "record_id"]
        return rows.sort(order, nulls_last=False).unique(["archive_no", "visit_date"], keep="last", maintain_order=True)


def judged_rows(work: Work, form_id: str) -> pl.DataFrame:
    """Current rows that take part (0a.1, 0a.9), with cells outside the hard range NULL (0a.5) and ``_copies``."""
    form = work.cat.forms[form_id]
    rows = work.frames[form_id].with_columns(
        pl.when(pl.col("record_id").is_null())
        .then(pl.lit(1, pl.UInt32))
        .otherwise(pl.len().over("record_id"))
        .alias("_copies")
    )
    named = rows.filter(pl.col("record_id").is_not_null()).sort("updated_at", "_row", nulls_last=False)
    current = pl.concat([
        named.unique("record_id", keep="last", maintain_order=True),
        rows.filter(pl.col("record_id").is_null()),
    ]).sort("_row")  # fmt: skip
    current = current.filter(pl.col("record_status").is_in(JUDGED) | pl.col("record_status").is_null())
    limited = []
    for field in form.fields:
        if field.is_numeric and field.hard is not None:
            low, high = field.hard
            column = pl.col(field.name)
            usable = pl.lit(True) if low is None else column >= low
            usable = usable if high is None else usable & (column <= high)
            limited.append(pl.when(usable).then(column).alias(field.name))
    return current.with_columns(limited)


def records_of(rule: Rule, form_id: str, rows: pl.DataFrame) -> list[Finding]:
    return [
        Finding(rule.rule_id, form_id, rule.field, "record", record or "", record or "")
        for record in rows["record_id"].to_list()
    ]


def people_of(rule: Rule, form_id: str, archive_numbers: pl.Series) -> list[Finding]:
    found = sorted(set(archive_numbers.drop_nulls().to_list()))
    return [Finding(rule.rule_id, form_id, rule.field, "person", number) for number in found]


def valid_numbers(numbers: pl.Series) -> pl.Series:
    """Which identity numbers have 18 characters, a real birth date and the right check digit (GB 11643)."""
    text = numbers.str.to_uppercase()
    shaped = text.str.contains(r"^[0-9]{17}[0-9X]$").fill_null(False)
    safe = text.set(~shaped, "0" * 18)
    date_ = safe.str.slice(6, 8).str.to_date("%Y%m%d", strict=False)
    digits = np.array([list(one[:17]) for one in safe.to_list()], dtype=np.int64).reshape(len(safe), 17)
    sums = (digits * np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])).sum(axis=1) % 11
    right = pl.Series(np.array(list("10X98765432"))[sums]) == safe.str.slice(17, 1)
    return shaped & date_.is_not_null() & right


def managed_days(truth: Truth, disease: str) -> dict[str, int]:
    """Days under management in the period, up to today, both ends included; several cards count a day once (0a.12)."""
    columns = [
        "archive_no",
        "disease",
        "register_date",
        "end_date",
        "manage_status",
        "archive_status",
        "archive_status_date",
    ]
    cards = truth.rows["chronic_registry"]
    unread = {row for row, texts in truth.work.texts["chronic_registry"].items() if texts.get("end_date")}
    found: dict[str, set[int]] = {}
    for row in (
        cards.filter((pl.col("disease") == disease) & pl.col("archive_no").is_not_null())
        .select(*columns, "_row")
        .iter_rows(named=True)
    ):
        end = row["end_date"]
        if end is None:
            if row["_row"] in unread or row["manage_status"] in _ENDED:
                end = None
            elif row["archive_status"] in _CLOSED:
                end = row["archive_status_date"]
            else:
                end = truth.until
        spans = found.setdefault(row["archive_no"], set())
        if row["register_date"] is None or end is None:
            continue
        first = max(row["register_date"], truth.ctx.period_start).toordinal()
        spans.update(range(first, min(end, truth.until).toordinal() + 1))
    return {archive_no: len(spans) for archive_no, spans in found.items()}


#: What one cross rule reports on one form (or report): the truth, the rule version in force, the form.
Judgement = Callable[[Truth, Rule, str], list[Finding]]


def where_received(judgement: Judgement) -> Judgement:
    """The judgement, silent where the institution does not deliver a form the rule reads beside those it reports on."""

    def judged(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
        needed = [one for one in rule.reads if one not in rule.form_ids]
        return judgement(truth, rule, form_id) if all(one in truth.rows for one in needed) else []

    return judged
