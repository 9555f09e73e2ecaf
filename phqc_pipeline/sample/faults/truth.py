"""What cross rules say of one institution's final records: the second, independent judgement behind the answer key.

Belongs here: the cross rules the sample injects, each as a few lines of Polars over the judged records.
Does not belong here: record rules (``judge``), how faults are made (``recipes``).

Written from domain/rules.md and its section 0a, not from the dbt models: the two must agree, and a test of the whole
night says whether they do. Institutions of a sample share no archive, number or telephone, so each is judged alone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue, Context, Rule
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


class Truth:
    """The judged records of an institution, unusable cells NULL, and what the cross rules find in them."""

    def __init__(
        self, work: Work, ctx: Context, reports: Mapping[str, pl.DataFrame], recomputed: Mapping[tuple[int, str], int]
    ) -> None:
        self.cat: Catalogue = work.cat
        self.work = work
        self.ctx = ctx
        self.reports = reports
        self.recomputed = recomputed
        self.rows = {form_id: judged_rows(work, form_id) for form_id in work.frames}
        self.until = min(ctx.period_end, ctx.today)

    def findings(self) -> list[Finding]:
        found: list[Finding] = []
        for rule in self.cat.rules:
            judgement = _JUDGEMENTS.get(rule.rule_id)
            if rule.carrier == "dbt" and judgement and (rule.grain == "row" or rule.in_force_on(self.ctx.period_end)):
                for form_id in rule.form_ids or rule.forms:
                    if form_id in self.rows or form_id in self.reports:
                        found += judgement(self, rule, form_id)
        return found

    def service(self, form_id: str) -> pl.Expr:
        """The day of service, of forms that tell a time as well."""
        return pl.col(self.cat.forms[form_id].service_date).cast(pl.Date)

    def in_period(self, form_id: str) -> pl.DataFrame:
        """Records of a person served within the period, as far as today."""
        day = self.service(form_id)
        return self.rows[form_id].filter(
            pl.col("archive_no").is_not_null() & day.is_between(self.ctx.period_start, self.until)
        )

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


def _records(rule: Rule, form_id: str, rows: pl.DataFrame) -> list[Finding]:
    return [
        Finding(rule.rule_id, form_id, rule.field, "record", record or "", record or "")
        for record in rows["record_id"].to_list()
    ]


def _people(rule: Rule, form_id: str, archive_numbers: pl.Series) -> list[Finding]:
    found = sorted(set(archive_numbers.drop_nulls().to_list()))
    return [Finding(rule.rule_id, form_id, rule.field, "person", number) for number in found]


# --- records ------------------------------------------------------------------------------------------------------


def _number_twice(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = truth.rows[form_id]
    return _records(rule, form_id, rows.filter(pl.col("record_id").is_not_null() & (pl.col("_copies") > 1)))


def _day_twice(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    form = truth.cat.forms[form_id]
    key = ["archive_no", "_day", *form.stage]
    rows = truth.rows[form_id].with_columns(truth.service(form_id).alias("_day"))
    rows = rows.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in key))
    return _records(rule, form_id, rows.filter(pl.len().over(key) > 1))


def _content_twice(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    form = truth.cat.forms[form_id]
    key = ["archive_no", "_day"]
    day = truth.service(form_id).alias("_day")
    rows = truth.rows[form_id].with_columns(day)
    rows = rows.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in key))
    rows = rows.filter(pl.len().over(key) > 1)
    if rows.is_empty():
        return []
    # As delivered: also what cannot be used tells two records apart.
    delivered = truth.work.lake_rows(
        form_id, truth.work.frames[form_id].filter(pl.col("_row").is_in(rows["_row"].implode()))
    ).with_columns(day)
    business = [field.name for field in form.fields if field.business]
    raws = [f"{name}__raw" for name in business if f"{name}__raw" in delivered.columns]
    content = pl.struct(*business, *raws).hash()
    return _records(rule, form_id, delivered.filter(pl.len().over(*key, content) > 1))


def _orphans(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    known = truth.rows["resident_profile"]["archive_no"].drop_nulls().implode()
    rows = truth.rows[form_id].filter(
        pl.col("archive_no").str.contains(r"^[0-9]{17}$") & ~pl.col("archive_no").is_in(known)
    )
    return _records(rule, form_id, rows)


def _too_early(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    cards = truth.rows["chronic_registry"].filter(pl.col("disease") == rule.params["disease"])
    first = cards.group_by("archive_no").agg(pl.col("diagnosis_date").min())
    rows = truth.rows[form_id].join(first.drop_nulls(), on="archive_no", how="inner")
    return _records(rule, form_id, rows.filter(pl.col("visit_date") < pl.col("diagnosis_date")))


# --- archives -----------------------------------------------------------------------------------------------------


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


def _archives_per_number(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = truth.rows[form_id].filter((pl.col("archive_status") == "1") & pl.col("archive_no").is_not_null())
    rows = rows.filter(valid_numbers(rows["id_card_no"])).with_columns(pl.col("id_card_no").str.to_uppercase())
    return _people(rule, form_id, rows.filter(pl.col("archive_no").n_unique().over("id_card_no") > 1)["archive_no"])


def _numbers_per_archive(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = truth.rows[form_id].filter(pl.col("id_card_no").is_not_null() & pl.col("archive_no").is_not_null())
    upper = pl.col("id_card_no").str.to_uppercase()
    return _people(rule, form_id, rows.filter(upper.n_unique().over("archive_no") > 1)["archive_no"])


def _archives_per_phone(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = truth.rows[form_id].filter(
        pl.col("phone").str.contains(r"^1[3-9][0-9]{9}$") & pl.col("archive_no").is_not_null()
    )
    limit = int(rule.params.get("max_count", 5))
    return _people(rule, form_id, rows.filter(pl.col("archive_no").n_unique().over("phone") > limit)["archive_no"])


def _forms_differ(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    item = rule.params["item"]
    told = pl.concat([
        truth.rows[one].select("archive_no", pl.col(item).cast(pl.String).alias("said"), pl.lit(one).alias("form"))
        for one in (rule.reads or truth.rows)
        if one in truth.rows
    ]).drop_nulls()  # fmt: skip
    if rule.params.get("normalize_name"):
        told = told.with_columns(pl.Series("said", [_normal_name(one) for one in told["said"].to_list()], pl.String))
    differs = told.group_by("archive_no").agg(pl.col("said").n_unique(), pl.col("form").n_unique())
    differs = differs.filter((pl.col("said") > 1) & (pl.col("form") > 1))
    profiles = truth.rows[form_id].filter(pl.col("archive_no").is_in(differs["archive_no"].implode()))
    return _people(rule, form_id, profiles["archive_no"])


def _normal_name(name: str) -> str:
    plain = "".join(name.split()).replace("\u3000", "")
    for dot in "•・．.‧":
        plain = plain.replace(dot, "·")
    return unicodedata.normalize("NFC", plain).upper()


def _served_after_end(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    served = pl.concat([
        truth.rows[one].select("archive_no", truth.service(one).alias("day"))
        for one in rule.reads
        if one != form_id and one in truth.rows
    ]).drop_nulls()  # fmt: skip
    last = served.group_by("archive_no").agg(pl.col("day").max())
    rows = (
        truth.rows[form_id]
        .filter(pl.col("archive_status").is_in(list(rule.params["ended_status"])))
        .join(last, on="archive_no")
    )
    return _people(rule, form_id, rows.filter(pl.col("day") > pl.col("archive_status_date"))["archive_no"])


# --- visits -------------------------------------------------------------------------------------------------------


def _unrelieved(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    classes = list(rule.params["uncontrolled"])
    since = truth.ctx.period_start - timedelta(days=int(rule.params.get("look_back_days", 366)))
    visits = truth.visits(form_id, since).with_columns(pl.col("class_code").shift(1).over("archive_no").alias("before"))
    # A reason that cannot be read is neither there nor missing; texts always can.
    bad = visits.filter(
        pl.col("class_code").is_in(classes)
        & pl.col("before").is_in(classes)
        & pl.col("referral_reason").is_null()
        & (pl.col("visit_date") >= truth.ctx.period_start)
    )
    return _people(rule, form_id, bad["archive_no"])


def _visits_missing(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    disease = rule.params["disease"]
    service = next(one for one in rule.reads if one != form_id)
    rows = truth.in_period(service).filter(pl.col("visit_mode_code").is_in(list(rule.params["face_to_face"])))
    counted = dict(rows.group_by("archive_no").agg(pl.col("visit_date").n_unique()).iter_rows())
    length = (truth.ctx.period_end - truth.ctx.period_start).days + 1
    found = []
    for archive_no, days in managed_days(truth, disease).items():
        due = int(rule.params["min_visits"]) * days // length
        if days > 0 and counted.get(archive_no, 0) < due:
            found.append(archive_no)
    return _people(rule, form_id, pl.Series(found, dtype=pl.String))


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


def _long_gap(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    visits = truth.visits(form_id, truth.ctx.period_start)
    gap = (pl.col("visit_date") - pl.col("visit_date").shift(1).over("archive_no")).dt.total_days()
    return _people(rule, form_id, visits.filter(gap > int(rule.params["max_gap_days"]))["archive_no"])


def _told_differently(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    other = next(one for one in rule.reads if one != form_id)
    compare = list(rule.params["compare"])
    here = truth.rows[form_id].select("archive_no", "visit_date", *compare)
    there = truth.rows[other].select("archive_no", "visit_date", *compare)
    both = here.drop_nulls(["archive_no", "visit_date"]).join(there, on=["archive_no", "visit_date"], suffix="_there")
    differs = pl.any_horizontal((pl.col(name) != pl.col(f"{name}_there")).fill_null(False) for name in compare)
    return _people(rule, form_id, both.filter(differs)["archive_no"])


def _alike(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    form = truth.cat.forms[form_id]
    columns = [name for name in rule.params["compare"] if form.has(name)]
    run = int(rule.params["run_length"])
    since = truth.ctx.period_start - timedelta(days=int(rule.params.get("look_back_days", 366)))
    visits = truth.visits(form_id, since)
    same = pl.all_horizontal(
        (pl.col(name) == pl.col(name).shift(back).over("archive_no")).fill_null(False)
        for name in columns
        for back in range(1, run)
    )
    return _people(rule, form_id, visits.filter(same & (pl.col("visit_date") >= truth.ctx.period_start))["archive_no"])


# --- elders -------------------------------------------------------------------------------------------------------


def _never_examined(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    examined = truth.in_period(rule.params["needs_form"])["archive_no"].unique().implode()
    year, length = truth.ctx.period_end.year, (truth.ctx.period_end - truth.ctx.period_start).days + 1
    there = (
        pl.lit(truth.until) - pl.max_horizontal(pl.col("archive_date"), pl.lit(truth.ctx.period_start))
    ).dt.total_days() + 1
    elders = truth.rows[form_id].filter(
        (pl.col("archive_status") == rule.params["active_status"])
        & (year - pl.col("birth_date").dt.year() >= int(rule.params["elder_age"]))
        & pl.col("archive_date").is_not_null()
        & (there >= length)
    )
    return _people(rule, form_id, elders.filter(~pl.col("archive_no").is_in(examined))["archive_no"])


def _never_assessed(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    assessed = truth.in_period(rule.params["needs_form"])["archive_no"].unique().implode()
    year = truth.ctx.period_end.year
    elders = truth.in_period(rule.params["has_form"]).filter(
        year - pl.col("birth_date").dt.year() >= int(rule.params["elder_age"])
    )
    return _people(rule, form_id, elders.filter(~pl.col("archive_no").is_in(assessed))["archive_no"])


# --- entry and reports --------------------------------------------------------------------------------------------


def _entered_at_once(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    timed = (pl.col("created_at") != pl.col("created_at").dt.truncate("1d")) & pl.col("doctor_name").is_not_null()
    minutes = (
        truth.rows[form_id]
        .filter(timed.fill_null(False))
        .group_by("doctor_name", pl.col("created_at").dt.truncate("1m"))
        .agg(pl.col("archive_no").drop_nulls().n_unique().alias("residents"))
        .filter(pl.col("residents") > int(rule.params["max_residents"]))
    )
    doctors = sorted(set(minutes["doctor_name"].to_list()))
    return [Finding(rule.rule_id, form_id, rule.field, "doctor", doctor) for doctor in doctors]


def _reports(truth: Truth, report_id: str, bad: Callable[[Mapping[str, Any]], bool]) -> Iterator[Mapping[str, Any]]:
    return (row for row in truth.reports[report_id].iter_rows(named=True) if bad(row))


def _miscounted(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    item, tolerance = rule.params["item"], rule.params.get("tolerance", 0)
    counted = truth.recomputed
    wrong = _reports(truth, form_id, lambda row: abs(row[item] - counted[row["year"], row["period"]]) > tolerance)
    return [Finding(rule.rule_id, form_id, rule.field, "institution", row["institution_code"]) for row in wrong]


def _part_exceeds(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    part, whole = rule.params["part"], rule.params["whole"]
    wrong = _reports(truth, form_id, lambda row: row[part] > row[whole])
    return [Finding(rule.rule_id, form_id, rule.field, "institution", row["institution_code"]) for row in wrong]


_JUDGEMENTS: Mapping[str, Callable[[Truth, Rule, str], list[Finding]]] = {
    "COM-U-001": _number_twice,
    "COM-U-002": _day_twice,
    "COM-U-003": _content_twice,
    "UNI-U-001": _archives_per_number,
    "UNI-U-002": _numbers_per_archive,
    "UNI-U-006": _archives_per_phone,
    "XFM-X-001": _forms_differ,
    "XFM-X-002": _forms_differ,
    "XFM-X-003": _forms_differ,
    "XFM-X-005": _orphans,
    "XFM-X-019": _served_after_end,
    "HTN-L-008": _unrelieved,
    "DM-L-010": _unrelieved,
    "HTN-L-018": _too_early,
    "HTN-T-001": _visits_missing,
    "DM-T-001": _visits_missing,
    "HTN-T-003": _long_gap,
    "HTN-X-007": _told_differently,
    "AUT-A-006": _alike,
    "ELD-T-001": _never_examined,
    "ELD-C-001": _never_assessed,
    "AUT-A-012": _entered_at_once,
    "RPT-R-002": _miscounted,
    "RPT-R-030": _part_exceeds,
}
KNOWN = frozenset(_JUDGEMENTS)
