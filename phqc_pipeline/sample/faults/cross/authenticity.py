"""Authenticity: copies, series too regular, days too full, dates that crowd, answers that never differ.

Rules marked statistical have no key: what they say of a doctor depends on everybody else.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import chinese_calendar
import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.truth import Finding, Judgement, Truth, people_of, records_of


def _doctors(rule: Rule, form_id: str, names: pl.Series) -> list[Finding]:
    found = sorted(set(names.drop_nulls().to_list()))
    return [Finding(rule.rule_id, form_id, rule.field, "doctor", name) for name in found]


def _institution(truth: Truth, rule: Rule, form_id: str, wrong: bool) -> list[Finding]:
    code = truth.work.institution.code
    return [Finding(rule.rule_id, form_id, rule.field, "institution", code)] if wrong else []


def _this_period(truth: Truth, form_id: str) -> pl.DataFrame:
    day = truth.service(form_id)
    return truth.rows[form_id].filter(day.is_between(truth.ctx.period_start, truth.until))


def _above(rows: int, hits: int, params: Mapping[str, Any]) -> bool:
    return rows >= params["min_n"] and hits > params["max_share"] * rows


# --- copies -------------------------------------------------------------------------------------------------------


def _content(truth: Truth, form_id: str) -> pl.DataFrame:
    """Judged records with a day and a person, with ``_said`` (all business cells as delivered) and ``_filled``."""
    form = truth.cat.forms[form_id]
    judged = truth.rows[form_id].filter(pl.col("archive_no").is_not_null() & truth.service(form_id).is_not_null())
    frame = truth.work.frames[form_id].filter(pl.col("_row").is_in(judged["_row"].implode()))
    business = [field.name for field in form.fields if field.business]
    rows = truth.work.lake_rows(form_id, frame)
    raws = [f"{name}__raw" for name in business if f"{name}__raw" in rows.columns]
    return rows.with_columns(
        truth.service(form_id).alias("_day"),
        pl.struct(*business, *raws).hash().alias("_said"),
        pl.sum_horizontal(pl.col(name).is_not_null().cast(pl.Int32) for name in business).alias("_filled"),
    )


def _as_last_time(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = _content(truth, form_id).sort("archive_no", "_day", "created_at", "record_id", nulls_last=False)
    visits = rows.unique(["archive_no", "_day"], keep="last", maintain_order=True)
    same = pl.col("_said") == pl.col("_said").shift(1).over("archive_no")
    return records_of(rule, form_id, visits.filter(same & (pl.col("_filled") >= rule.params["min_filled"])))


def _as_others(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = _content(truth, form_id).drop_nulls("doctor_name")
    alike = rows.group_by("doctor_name", "_said").agg(pl.col("archive_no").n_unique(), pl.col("_filled").min())
    enough = (pl.col("archive_no") >= rule.params["min_residents"]) & (pl.col("_filled") >= rule.params["min_filled"])
    return _doctors(rule, form_id, alike.filter(enough)["doctor_name"])


def _twice_a_year(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = _content(truth, form_id).filter(pl.col("_filled") >= rule.params["min_filled"])
    return people_of(
        rule,
        form_id,
        rows.filter(pl.len().over("archive_no", pl.col("_day").dt.year(), "_said") > 1)["archive_no"],
    )


# --- series -------------------------------------------------------------------------------------------------------


def _series(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    """People whose readings, or days of visit, are too regular."""
    regular, least = rule.params["regular"], rule.params["min_n"]
    since = truth.ctx.period_start if regular == "equal intervals" else date.min
    needed = {"equal intervals": [], "no change": ["sbp"]}.get(regular, ["sbp", "dbp"])
    visits = truth.visits(form_id, since).drop_nulls(needed)
    odd = []
    for (archive_no,), rows in visits.group_by("archive_no", maintain_order=True):
        if rows.height < least:
            continue
        sbp, dbp, days = (rows[name].to_list() for name in ("sbp", "dbp", "visit_date"))
        if regular == "no change":
            wrong = len(set(sbp)) == 1
        elif regular == "equal steps":
            wrong = len(steps := _steps(sbp)) == 1 and steps != {0.0} and len(_steps(dbp)) == 1
        elif regular == "hardly varying":
            wrong = max(_deviation(sbp), _deviation(dbp)) < rule.params["max_sd"]
        else:
            wrong = len({later - earlier for earlier, later in itertools.pairwise(days)}) == 1
        if wrong:
            odd.append(archive_no)
    return people_of(rule, form_id, pl.Series(odd, dtype=pl.String))


def _steps(values: list[float]) -> set[float]:
    return {round(later - earlier, 6) for earlier, later in itertools.pairwise(values)}


def _deviation(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return round(math.sqrt(sum((value - mean) ** 2 for value in values) / len(values)), 6)


# --- days and entry -----------------------------------------------------------------------------------------------


def _too_many_a_day(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    seen = pl.concat([
        truth.rows[one]
        .filter(pl.col("visit_mode_code").is_in(list(rule.params["face_to_face"])))
        .select("doctor_name", truth.service(one).alias("day"), "archive_no")
        for one in rule.reads
        if one in truth.rows
    ]).drop_nulls()  # fmt: skip
    days = seen.group_by("doctor_name", "day").agg(pl.col("archive_no").n_unique())
    return _doctors(rule, form_id, days.filter(pl.col("archive_no") > rule.params["max_residents"])["doctor_name"])


def _by_roster(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = truth.rows[form_id].drop_nulls(["doctor_name", "archive_no", "created_at"])
    rows = rows.filter(pl.col("created_at") != pl.col("created_at").dt.truncate("1d"))
    by_day = rows.sort("created_at", "archive_no").group_by("doctor_name", pl.col("created_at").dt.date().alias("day"))
    days = by_day.agg(pl.col("archive_no"), pl.col("archive_no").n_unique().alias("residents"))
    days = days.filter(pl.col("residents") >= rule.params["min_residents"])
    in_order = [name for name, _, numbers, _ in days.iter_rows() if numbers == sorted(numbers)]
    return _doctors(rule, form_id, pl.Series(in_order, dtype=pl.String))


def _crowded_dates(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    params, effect = rule.params, rule.params["effect"]
    if effect == "last week":
        rows, day = truth.rows[form_id], pl.col("created_at").dt.date()
        days = rows.filter(day.is_between(truth.ctx.period_start, truth.until)).select(day)["created_at"].to_list()
        first = truth.ctx.period_end - timedelta(days=int(params["days"]) - 1)
        hits = sum(one >= first for one in days)
    else:
        rows = _this_period(truth, form_id)
        if effect == "days of rest":
            rows = rows.filter(pl.col("visit_mode_code").is_in(list(params["face_to_face"])))
        days = rows["visit_date"].to_list()
        hits = sum(_is_rest(one) if effect == "days of rest" else (one + timedelta(days=1)).day == 1 for one in days)
    return _institution(truth, rule, form_id, _above(len(days), hits, params))


def _is_rest(day: date) -> bool:
    works = chinese_calendar.is_workday(day)
    return not works and (chinese_calendar.get_holiday_detail(day)[1] is not None or day.weekday() == 6)


# --- places -------------------------------------------------------------------------------------------------------


def _places(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    params = rule.params
    if params["impossible"] == "one point":
        rows = _this_period(truth, form_id).drop_nulls(["service_lng", "service_lat"])
        at = [pl.col(name).round(int(params["decimals"])) for name in ("service_lng", "service_lat")]
        most = max(rows.group_by(at).len()["len"].to_list(), default=0)
        return _institution(truth, rule, form_id, _above(rows.height, most, params))
    rows = truth.rows[form_id].drop_nulls(["doctor_name", "archive_no", "created_at", "service_lng", "service_lat"])
    rows = rows.filter(
        (pl.col("created_at") != pl.col("created_at").dt.truncate("1d"))
        & (pl.col("created_at").dt.date() == truth.service(form_id))
    ).sort("doctor_name", "created_at", "archive_no")
    told = rows.select("doctor_name", "created_at", "archive_no", "service_lng", "service_lat").rows()
    odd = [
        later[0]
        for earlier, later in itertools.pairwise(told)
        if earlier[0] == later[0]
        and earlier[1].date() == later[1].date()
        and earlier[2] != later[2]
        and later[1] - earlier[1] < timedelta(minutes=int(params["max_minutes"]))
        and _kilometres(earlier[3:], later[3:]) > params["max_km"]
    ]
    return _doctors(rule, form_id, pl.Series(odd, dtype=pl.String))


def _kilometres(here: tuple[float, float], there: tuple[float, float]) -> float:
    """Great-circle distance of two (longitude, latitude) by the spherical law of cosines."""
    (lng1, lat1), (lng2, lat2) = (tuple(map(math.radians, one)) for one in (here, there))
    cosine = math.sin(lat1) * math.sin(lat2) + math.cos(lat1) * math.cos(lat2) * math.cos(lng1 - lng2)
    return 6371 * math.acos(min(1.0, cosine))


# --- outcomes -----------------------------------------------------------------------------------------------------


def _nothing_but_well(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    params = rule.params
    rows = _this_period(truth, form_id).drop_nulls("class_code")
    controlled = pl.col("class_code") == params["controlled"]
    if params["among"] == "first visits":
        cards = truth.rows["chronic_registry"].filter(pl.col("disease") == params["disease"])
        new = cards.select("archive_no", pl.col("diagnosis_date").alias("visit_date")).unique()
        rows = rows.join(new, on=["archive_no", "visit_date"], how="semi").with_columns(controlled.alias("good"))
    else:
        rows = rows.drop_nulls("symptom_codes")
        only = (pl.col("symptom_codes").list.len() == 1) & (
            pl.col("symptom_codes").list.first() == params["no_symptom"]
        )
        rows = rows.with_columns((only & controlled).alias("good"))
    if params["among"] == "the very old":
        return _very_old(truth, rule, form_id, rows)
    doctors = rows.drop_nulls("doctor_name").group_by("doctor_name").agg(pl.len(), pl.col("good").sum())
    bad = [name for name, count, good in doctors.iter_rows() if _above(count, good, params)]
    return _doctors(rule, form_id, pl.Series(bad, dtype=pl.String))


def _very_old(truth: Truth, rule: Rule, form_id: str, visits: pl.DataFrame) -> list[Finding]:
    params = rule.params
    assessed = _this_period(truth, "elderly_self_care").drop_nulls("grade_code")
    told = pl.concat([
        visits.select("archive_no", "birth_date", pl.col("visit_date").alias("day"), "good"),
        assessed.select(
            "archive_no",
            "birth_date",
            pl.col("assess_date").alias("day"),
            (pl.col("grade_code") == params["independent"]).alias("good"),
        ),
    ]).drop_nulls(["archive_no", "birth_date"])  # fmt: skip
    old = told.filter(pl.col("birth_date").dt.offset_by(f"{params['old_age']}y") <= pl.col("day"))
    people = old.group_by("archive_no").agg(pl.col("good").all())
    return _institution(truth, rule, form_id, _above(people.height, int(people["good"].sum()), params))


def _same_answer(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows, params = _this_period(truth, form_id), rule.params
    columns = [name for name in params["columns"] if name in rows.columns]
    who = "doctor_name" if rule.grain == "doc" else "institution_code"
    if rule.grain == "inst":
        rows = rows.with_columns(pl.lit(truth.work.institution.code).alias(who))
    odd: list[str] = []
    for column in columns:
        answers = rows.drop_nulls([who, column]).group_by(who, column).len().group_by(who)
        for name, total, most in answers.agg(pl.col("len").sum(), pl.col("len").max().alias("most")).iter_rows():
            odd += [name] if _above(total, most, params) else []
    if rule.grain == "inst":
        return _institution(truth, rule, form_id, bool(odd))
    return _doctors(rule, form_id, pl.Series(odd, dtype=pl.String))


def _registered_share(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    params = rule.params
    adults = truth.rows["resident_profile"].filter(
        (pl.col("archive_status") == "1")
        & (pl.col("birth_date").dt.offset_by(f"{params['adult_age']}y") <= truth.until)
    )["archive_no"].drop_nulls().unique()  # fmt: skip
    managed = truth.rows[form_id].filter(pl.col("end_date").is_null() & pl.col("archive_no").is_in(adults.implode()))
    wrong = False
    for disease, norm, limit in zip(params["diseases"], params["prevalence"], params["max_difference"], strict=True):
        count = managed.filter(pl.col("disease") == disease)["archive_no"].n_unique()
        wrong |= len(adults) >= params["min_n"] and round(abs(count / len(adults) - norm), 6) > limit
    return _institution(truth, rule, form_id, wrong)


JUDGEMENTS: Mapping[str, Judgement] = {
    "AUT-A-007": _series,
    "AUT-A-008": _as_last_time,
    "AUT-A-009": _as_others,
    "AUT-A-010": _too_many_a_day,
    "AUT-A-013": _crowded_dates,
    "AUT-A-014": _crowded_dates,
    "AUT-A-015": _crowded_dates,
    "AUT-A-016": _places,
    "AUT-A-017": _places,
    "AUT-A-019": _nothing_but_well,
    "AUT-A-020": _same_answer,
    "AUT-A-021": _series,
    "AUT-A-022": _series,
    "AUT-A-023": _nothing_but_well,
    "AUT-A-025": _same_answer,
    "AUT-A-029": _registered_share,
    "AUT-A-030": _twice_a_year,
    "AUT-A-032": _series,
    "AUT-A-033": _by_roster,
    "AUT-A-034": _nothing_but_well,
}
