"""Archives and the registry: households, one archive a person, archives nobody uses, who is on which list."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from math import asin, cos, radians, sin, sqrt

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.cross.child import found_people
from phqc_pipeline.sample.faults.truth import (
    Finding,
    Judgement,
    Truth,
    people_of,
    records_of,
    valid_numbers,
    where_received,
)

# --- the registry -------------------------------------------------------------------------------------------------


def _unknown_institution(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    one = truth.work.institution
    known = [one.code, *(village.clinic_code for village in one.villages)]
    rows = truth.rows[form_id]
    return records_of(rule, form_id, rows.filter(~pl.col("institution_code").is_in(known)))


def _unlisted_doctor(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    listed = [
        (doctor.name.replace(" ", ""), doctor.from_date) for doctor in truth.work.institution.doctors
    ]  # all of them at the health centre, which delivers
    since = pl.DataFrame(listed, schema={"name": pl.String, "since": pl.Date}, orient="row")
    rows = truth.rows[form_id].with_columns(
        pl.col("doctor_name").str.replace_all(r"[\s\u{3000}]", "").alias("name"),
        truth.service(form_id).fill_null(truth.ctx.today).alias("day"),
    )
    there = rows.join(since, on="name", how="left")
    return records_of(
        rule, form_id, there.filter(pl.col("name").is_not_null() & ~(pl.col("since") <= pl.col("day")).fill_null(False))
    )


def _nothing_new(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    days = [
        day
        for rows in truth.rows.values()
        for day in [rows["created_at"].cast(pl.Date).filter(rows["created_at"].cast(pl.Date) <= truth.ctx.today).max()]
        if isinstance(day, date)
    ]
    if not days or max(days) >= truth.ctx.today - timedelta(days=rule.params["max_days"]):
        return []
    return [Finding(rule.rule_id, form_id, rule.field, "institution", truth.work.institution.code)]


# --- households ---------------------------------------------------------------------------------------------------


def _households(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = truth.rows[form_id].filter(pl.col("household_id").is_not_null() & pl.col("archive_no").is_not_null())
    if "head" in rule.params:
        heads = pl.col("archive_no").filter(pl.col("household_relation") == rule.params["head"]).n_unique()
        told = pl.col("household_relation").count() > 0
        homes = rows.group_by("household_id").agg(heads.alias("n"), told.alias("told"))
        wrong = homes.filter(pl.col("told") & (pl.col("n") != 1))
    else:
        homes = rows.group_by("household_id").agg(pl.col("archive_no").n_unique().alias("n"))
        wrong = homes.filter(pl.col("n") > rule.params["max_members"])
    return [
        Finding(rule.rule_id, form_id, rule.field, "household", home)
        for home in sorted(wrong["household_id"].to_list())
    ]


def _older_than_head(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = truth.rows[form_id]
    heads = rows.filter((pl.col("household_relation") == rule.params["head"]) & pl.col("household_id").is_not_null())
    by_home = _one_birth(heads, "household_id", "head_at_home")
    bearers = rows.filter(valid_numbers(rows["id_card_no"])).with_columns(pl.col("id_card_no").str.to_uppercase())
    by_number = _one_birth(bearers, "id_card_no", "head_by_number").rename({"id_card_no": "_head"})
    rows = rows.with_columns(pl.col("household_head_id_card").str.to_uppercase().alias("_head"))
    rows = rows.join(by_home, on="household_id", how="left").join(by_number, on="_head", how="left")
    rows = rows.with_columns(valid_numbers(rows["_head"]).alias("_right"))
    told = pl.when("_right").then(pl.col("_head").str.slice(6, 8).str.to_date("%Y%m%d", strict=False))
    head = pl.coalesce("head_at_home", "head_by_number", told)
    child = pl.col("household_relation").is_in(list(rule.params["children"]))
    return records_of(rule, form_id, rows.filter(child & (pl.col("birth_date") <= head)))


def _one_birth(rows: pl.DataFrame, key: str, name: str) -> pl.DataFrame:
    births = rows.group_by(key).agg(pl.col("birth_date").drop_nulls().unique().alias("births"))
    return births.filter(pl.col("births").list.len() == 1).select(key, pl.col("births").list.first().alias(name))


# --- one archive a person -----------------------------------------------------------------------------------------


def _old_and_new_number(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = truth.rows[form_id].filter(pl.col("archive_no").is_not_null() & pl.col("id_card_no").is_not_null())
    number = pl.col("id_card_no")
    old = number.str.contains(r"^[0-9]{15}$")
    new = pl.Series(valid_numbers(rows["id_card_no"])) & (rows["id_card_no"].str.slice(6, 2) == "19")
    rows = rows.with_columns(
        pl.when(old).then(number).when(new).then(number.str.slice(0, 6) + number.str.slice(8, 9)).alias("short"),
        old.alias("old"),
    ).filter(pl.col("short").is_not_null())
    twice = (pl.col("archive_no").n_unique().over("short") > 1) & (pl.col("old").n_unique().over("short") > 1)
    return people_of(rule, form_id, rows.filter(twice)["archive_no"])


def _heads_per_household(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = truth.rows[form_id].filter(pl.col("household_id").is_not_null() & pl.col("archive_no").is_not_null())
    heads = pl.col("household_head_id_card").str.to_uppercase().drop_nulls().n_unique().over("household_id")
    return people_of(rule, form_id, rows.filter(heads > rule.params["max_count"])["archive_no"])


def _managed_elsewhere(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    """Institutions of a sample share no archive, but for the one that was taken on from another on purpose."""
    return found_people(rule, form_id, {str(one.subject) for one in truth.work.faults if one.rule_id == rule.rule_id})


def _no_profile(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    profiles = truth.rows["resident_profile"]
    numbers = profiles.filter(valid_numbers(profiles["id_card_no"]))["id_card_no"].str.to_uppercase()
    age = truth.ctx.today.year - pl.col("birth_date").dt.year()
    month, day = pl.col("birth_date").dt.month(), pl.col("birth_date").dt.day()
    today = truth.ctx.today
    before = (month > today.month) | ((month == today.month) & (day > today.day))
    rows = truth.rows[form_id].filter(
        pl.col("archive_no").is_not_null()
        & (pl.col("birth_date") <= truth.ctx.today)
        & (age - before.cast(pl.Int32) <= rule.params["max_age"])
        & ~pl.col("archive_no").is_in(profiles["archive_no"].drop_nulls().implode())
        & ~pl.col("id_card_no").str.to_uppercase().is_in(numbers.implode()).fill_null(False)
    )
    return people_of(rule, form_id, rows["archive_no"])


def _against_profile(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    profiles = truth.rows["resident_profile"].filter(pl.col(rule.params["column"]).is_in(list(rule.params["codes"])))
    rows = truth.rows[form_id].filter(pl.col("archive_no").is_in(profiles["archive_no"].drop_nulls().implode()))
    return people_of(rule, form_id, rows["archive_no"])


def _unused(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    days = pl.concat(
        rows.select("archive_no", truth.service(one).alias("day"))
        for one, rows in truth.rows.items()
        if "archive_no" in rows.columns
    ).drop_nulls()
    last = days.group_by("archive_no").agg(pl.col("day").max())
    rows = truth.rows[form_id].filter(pl.col("archive_status") == rule.params["active_status"])
    limit = truth.ctx.today - timedelta(days=rule.params["max_days"])
    return people_of(rule, form_id, rows.join(last, on="archive_no").filter(pl.col("day") < limit)["archive_no"])


def _far_apart(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    columns = ["archive_no", "institution_code", "service_lng", "service_lat"]
    placed = pl.concat(
        rows.select(*columns, truth.service(one).alias("day"))
        for one, rows in truth.rows.items()
        if one in rule.reads and one != form_id
    ).drop_nulls()
    several = placed.filter(pl.col("institution_code").n_unique().over("archive_no", "day") > 1)
    found = set()
    for _, group in several.group_by("archive_no", "day"):
        places = group.select(columns).rows()
        for person, at, lng, lat in places:
            if any(
                other != at and _km(lng, lat, x, y, rule.params["earth_radius_km"]) > rule.params["max_km"]
                for _, other, x, y in places
            ):
                found.add(person)
    mine = truth.rows[form_id]["archive_no"]
    return people_of(rule, form_id, mine.filter(mine.is_in(sorted(found))))


def _km(lng: float, lat: float, x: float, y: float, radius: float) -> float:
    a, b = radians(lat), radians(y)
    half = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians(x - lng) / 2) ** 2
    return 2 * radius * asin(sqrt(min(1.0, half)))


_ANY_FORM_SUFFICES = ("XFM-X-020",)
_ASKED: Mapping[str, Judgement] = {
    "COM-F-016": _unknown_institution,
    "COM-F-017": _unlisted_doctor,
    "COM-T-004": _nothing_new,
    "RES-L-015": _older_than_head,
    "RES-L-016": _households,
    "RES-L-017": _households,
    "UNI-U-005": _old_and_new_number,
    "UNI-U-008": _heads_per_household,
    "UNI-U-009": _managed_elsewhere,
    "UNI-U-010": _managed_elsewhere,
    "XFM-X-015": _against_profile,
    "XFM-X-016": _against_profile,
    "XFM-X-017": _no_profile,
    "XFM-X-018": _unused,
    "XFM-X-020": _far_apart,
}
#: Of a rule that needs several forms nothing is said where one was not delivered (0a.18).
JUDGEMENTS: Mapping[str, Judgement] = {
    rule_id: one if rule_id in _ANY_FORM_SUFFICES else where_received(one) for rule_id, one in _ASKED.items()
}
