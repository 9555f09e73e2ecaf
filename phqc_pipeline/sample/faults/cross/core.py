"""The first cross rules: records twice, archives twice, visits too few or too far apart."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import timedelta

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.truth import (
    Finding,
    Judgement,
    Truth,
    managed_days,
    people_of,
    records_of,
    valid_numbers,
)

# --- records ------------------------------------------------------------------------------------------------------


def _number_twice(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = truth.rows[form_id]
    return records_of(rule, form_id, rows.filter(pl.col("record_id").is_not_null() & (pl.col("_copies") > 1)))


def _day_twice(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    form = truth.cat.forms[form_id]
    key = ["archive_no", "_day", *form.stage]
    rows = truth.rows[form_id].with_columns(truth.service(form_id).alias("_day"))
    # Of a stage told by several columns the first must be there; an empty one of the others is like another empty one.
    told = ["archive_no", "_day", *form.stage[:1]]
    rows = rows.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in told))
    return records_of(rule, form_id, rows.filter(pl.len().over(key) > 1))


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
    return records_of(rule, form_id, delivered.filter(pl.len().over(*key, content) > 1))


def _orphans(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    known = truth.rows["resident_profile"]["archive_no"].drop_nulls().implode()
    rows = truth.rows[form_id].filter(
        pl.col("archive_no").str.contains(r"^[0-9]{17}$") & ~pl.col("archive_no").is_in(known)
    )
    return records_of(rule, form_id, rows)


def _too_early(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    cards = truth.rows["chronic_registry"].filter(pl.col("disease") == rule.params["disease"])
    first = cards.group_by("archive_no").agg(pl.col("diagnosis_date").min())
    rows = truth.rows[form_id].join(first.drop_nulls(), on="archive_no", how="inner")
    return records_of(rule, form_id, rows.filter(pl.col("visit_date") < pl.col("diagnosis_date")))


# --- archives -----------------------------------------------------------------------------------------------------


def _archives_per_number(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = truth.rows[form_id].filter((pl.col("archive_status") == "1") & pl.col("archive_no").is_not_null())
    rows = rows.filter(valid_numbers(rows["id_card_no"])).with_columns(pl.col("id_card_no").str.to_uppercase())
    return people_of(rule, form_id, rows.filter(pl.col("archive_no").n_unique().over("id_card_no") > 1)["archive_no"])


def _numbers_per_archive(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = truth.rows[form_id].filter(pl.col("id_card_no").is_not_null() & pl.col("archive_no").is_not_null())
    upper = pl.col("id_card_no").str.to_uppercase()
    return people_of(rule, form_id, rows.filter(upper.n_unique().over("archive_no") > 1)["archive_no"])


def _archives_per_phone(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = truth.rows[form_id].filter(
        pl.col("phone").str.contains(r"^1[3-9][0-9]{9}$") & pl.col("archive_no").is_not_null()
    )
    limit = int(rule.params.get("max_count", 5))
    return people_of(rule, form_id, rows.filter(pl.col("archive_no").n_unique().over("phone") > limit)["archive_no"])


def _forms_differ(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    item = rule.params["item"]
    told = pl.concat([
        truth.rows[one].select("archive_no", pl.col(item).cast(pl.String).alias("said"), pl.lit(one).alias("form"))
        for one in (rule.reads or truth.rows)
        if one in truth.rows
    ]).drop_nulls()  # fmt: skip
    if rule.params.get("normalize_name"):
        told = told.with_columns(pl.Series("said", [normal_name(one) for one in told["said"].to_list()], pl.String))
    differs = told.group_by("archive_no").agg(pl.col("said").n_unique(), pl.col("form").n_unique())
    differs = differs.filter((pl.col("said") > 1) & (pl.col("form") > 1))
    profiles = truth.rows[form_id].filter(pl.col("archive_no").is_in(differs["archive_no"].implode()))
    return people_of(rule, form_id, profiles["archive_no"])


def normal_name(name: str) -> str:
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
    return people_of(rule, form_id, rows.filter(pl.col("day") > pl.col("archive_status_date"))["archive_no"])


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
    return people_of(rule, form_id, bad["archive_no"])


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
    return people_of(rule, form_id, pl.Series(found, dtype=pl.String))


def _long_gap(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    visits = truth.visits(form_id, truth.ctx.period_start)
    gap = (pl.col("visit_date") - pl.col("visit_date").shift(1).over("archive_no")).dt.total_days()
    return people_of(rule, form_id, visits.filter(gap > int(rule.params["max_gap_days"]))["archive_no"])


def _told_differently(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    other = next(one for one in rule.reads if one != form_id)
    compare = list(rule.params["compare"])
    here = truth.rows[form_id].select("archive_no", "visit_date", *compare)
    there = truth.rows[other].select("archive_no", "visit_date", *compare)
    both = here.drop_nulls(["archive_no", "visit_date"]).join(there, on=["archive_no", "visit_date"], suffix="_there")
    differs = pl.any_horizontal((pl.col(name) != pl.col(f"{name}_there")).fill_null(False) for name in compare)
    return people_of(rule, form_id, both.filter(differs)["archive_no"])


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
    return people_of(
        rule, form_id, visits.filter(same & (pl.col("visit_date") >= truth.ctx.period_start))["archive_no"]
    )


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
    return people_of(rule, form_id, elders.filter(~pl.col("archive_no").is_in(examined))["archive_no"])


def _never_assessed(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    assessed = truth.in_period(rule.params["needs_form"])["archive_no"].unique().implode()
    year = truth.ctx.period_end.year
    elders = truth.in_period(rule.params["has_form"]).filter(
        year - pl.col("birth_date").dt.year() >= int(rule.params["elder_age"])
    )
    return people_of(rule, form_id, elders.filter(~pl.col("archive_no").is_in(assessed))["archive_no"])


# --- entry --------------------------------------------------------------------------------------------


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


JUDGEMENTS: Mapping[str, Judgement] = {
    "COM-U-001": _number_twice,
    "COM-U-002": _day_twice,
    "COM-U-003": _content_twice,
    "UNI-U-001": _archives_per_number,
    "UNI-U-002": _numbers_per_archive,
    "UNI-U-006": _archives_per_phone,
    "UNI-U-007": _archives_per_phone,
    "XFM-X-001": _forms_differ,
    "XFM-X-002": _forms_differ,
    "XFM-X-003": _forms_differ,
    "XFM-X-004": _forms_differ,
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
    "ELD-C-002": _never_assessed,
    "AUT-A-012": _entered_at_once,
}
