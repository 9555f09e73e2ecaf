"""高血压, 糖尿病, 慢阻肺, 严重精神障碍: visits, registrations, examinations and histories against one another."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.cross.core import JUDGEMENTS as CORE
from phqc_pipeline.sample.faults.truth import (
    Finding,
    Judgement,
    Truth,
    managed_days,
    people_of,
    records_of,
)

_REGISTER, _PROFILE, _EXAM = "chronic_registry", "resident_profile", "health_exam"


def _people(rule: Rule, form_id: str, archive_numbers: set[str]) -> list[Finding]:
    return people_of(rule, form_id, pl.Series(sorted(archive_numbers), dtype=pl.String))


def _managed(truth: Truth, rule: Rule) -> set[str]:
    return {number for number, days in managed_days(truth, rule.params["disease"]).items() if days > 0}


def _numbers(rows: pl.DataFrame) -> set[str]:
    return set(rows["archive_no"].drop_nulls().to_list())


# --- how often ----------------------------------------------------------------------------------------------------


def _too_few(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    params = rule.params
    counted = params["counted_form"]
    day = pl.col(params["counted_day"]) if "counted_day" in params else truth.service(counted)
    rows = truth.rows[counted].filter(day.is_between(truth.ctx.period_start, truth.until))
    if "face_to_face" in params:
        rows = rows.filter(pl.col("visit_mode_code").is_in(list(params["face_to_face"])))
    if "filled" in params:
        rows = rows.filter(pl.col(params["filled"]).is_not_null())
    times = dict(rows.drop_nulls("archive_no").group_by("archive_no").agg(day.n_unique()).iter_rows())
    excused: set[str] = set()
    if "able_form" in params:
        told = truth.in_period(params["able_form"]).drop_nulls(params["able_column"])
        able = pl.col(params["able_column"]).is_in(list(params["able_codes"]))
        excused = _numbers(told) - _numbers(told.filter(able))
    length = (truth.ctx.period_end - truth.ctx.period_start).days + 1
    found = {
        number
        for number, days in managed_days(truth, params["disease"]).items()
        if days > 0 and times.get(number, 0) < int(params["min_visits"]) * days // length
    }
    return _people(rule, form_id, found - excused)


def _too_many(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    times = truth.in_period(form_id).group_by("archive_no").agg(pl.col("visit_date").n_unique())
    return people_of(rule, form_id, times.filter(pl.col("visit_date") > int(rule.params["max_visits"]))["archive_no"])


def _examined_too_late(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    visited, examined = (
        truth.rows[one]
        .filter(truth.service(one) <= truth.until)
        .group_by("archive_no")
        .agg(truth.service(one).min().alias(one))
        for one in (rule.params["visit_form"], _EXAM)
    )
    both = visited.join(examined, on="archive_no", how="left")
    late = both.filter((pl.col(_EXAM) > pl.col(rule.params["visit_form"])).fill_null(True))
    return _people(rule, form_id, _numbers(late) & _managed(truth, rule))


# --- one visit behind the other -----------------------------------------------------------------------------------


def _pairs(truth: Truth, rule: Rule, form_id: str, *columns: str) -> pl.DataFrame:
    """Visits of the period with what the one before told, as ``<column>_before``, and the days between."""
    since = truth.ctx.period_start - timedelta(days=int(rule.params["look_back_days"]))
    visits = truth.visits(form_id, since).with_columns(
        *(pl.col(name).shift(1).over("archive_no").name.suffix("_before") for name in columns),
        (pl.col("visit_date") - pl.col("visit_date").shift(1).over("archive_no")).dt.total_days().alias("gap"),
    )
    return visits.filter(pl.col("gap").is_not_null() & (pl.col("visit_date") >= truth.ctx.period_start))


def _came_too_soon(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    pairs = _pairs(truth, rule, form_id, "class_code")
    bad = pairs.filter(
        (pl.col("gap") < int(rule.params["fewer_than_days"]))
        & pl.col("class_code_before").is_not_null()
        & ~pl.col("class_code_before").is_in(list(rule.params["previous_not"]))
    )
    return people_of(rule, form_id, bad["archive_no"])


def _came_too_late(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    pairs = _pairs(truth, rule, form_id, "class_code")
    bad = pairs.filter(
        (pl.col("gap") > int(rule.params["more_than_days"]))
        & pl.col("class_code_before").is_in(list(rule.params["previous"]))
    )
    return people_of(rule, form_id, bad["archive_no"])


def _locked_again(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    pairs = _pairs(truth, rule, form_id, "lock_code")
    return records_of(rule, form_id, pairs.filter((pl.col("lock_code") == "2") & (pl.col("lock_code_before") == "3")))


def _agreed_too_late(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    pairs = _pairs(truth, rule, form_id, "class_code")
    ahead = (pl.col("next_visit_date") - pl.col("visit_date")).dt.total_days()
    bad = pairs.filter(
        (pl.col("class_code") == "2")
        & (pl.col("class_code_before") == "3")
        & (ahead > int(rule.params["next_more_than_days"]))
    )
    return people_of(rule, form_id, bad["archive_no"])


def _fewer_than_before(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    counts = list(rule.params["lower"])
    pairs = _pairs(truth, rule, form_id, "danger_codes", *counts)
    fallen = pl.any_horizontal((pl.col(name) < pl.col(f"{name}_before")).fill_null(False) for name in counts)
    dangerous = ~pl.col("danger_codes_before").list.contains("7")
    return people_of(rule, form_id, pairs.filter(fallen & dangerous.fill_null(False))["archive_no"])


def _always_as_agreed(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    visits = truth.in_period(form_id).group_by("archive_no").agg(pl.col("visit_date").n_unique().alias("visits"))
    pairs = _pairs(truth, rule, form_id, "next_visit_date")
    other = pairs.filter((pl.col("next_visit_date_before") != pl.col("visit_date")).fill_null(True))
    often = visits.filter(pl.col("visits") >= int(rule.params["min_visits"]))
    return _people(rule, form_id, _numbers(often) - _numbers(other))


# --- time that ran out --------------------------------------------------------------------------------------------


def _not_followed(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    params = rule.params
    days = int(params["within_days"])
    visits: dict[str, set[date]] = {}
    service = params["visit_form"]
    for number, day in truth.rows[service].select("archive_no", "visit_date").drop_nulls().iter_rows():
        if day <= truth.until:
            visits.setdefault(number, set()).add(day)
    registers = form_id == _REGISTER
    unread = {row for row, texts in truth.work.texts[form_id].items() if texts.get("end_date")}
    if registers:
        events = truth.rows[form_id].filter(pl.col("disease") == params["disease"])
        order = ["archive_no", "register_date", "created_at", "record_id"]
        events = events.sort(order, nulls_last=False).unique(order[:2], keep="last", maintain_order=True)
        events = events.with_columns(pl.col("register_date").alias("_day"), pl.col("end_date").alias("_end"))
    else:
        told = truth.rows[form_id].filter(~pl.col(params["filled"]).is_in(list(params["no_reason"])))
        order = ["archive_no", "visit_date", "created_at", "record_id"]
        events = told.sort(order, nulls_last=False).unique(order[:2], keep="last", maintain_order=True)
        events = events.with_columns(pl.col("visit_date").alias("_day"), pl.lit(None, pl.Date).alias("_end"))
    found = set()
    for row in events.drop_nulls(["archive_no", "_day"]).iter_rows(named=True):
        last = row["_day"] + timedelta(days=days)
        gone = row["archive_status"] in params["closed_status"] and (row["archive_status_date"] or last) <= last
        if registers:
            unknown = row["_row"] in unread or row["manage_status"] in params["ended_status"]
            gone |= row["_end"] <= last if row["_end"] else unknown
        first = row["_day"] if registers else row["_day"] + timedelta(days=1)
        seen = any(first <= day <= last for day in visits.get(row["archive_no"], ()))
        over = truth.ctx.period_start <= last + timedelta(days=1) <= truth.until
        if over and not gone and not seen:
            found.add(row["archive_no"])
    return _people(rule, form_id, found)


def _test_too_old(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = truth.rows[form_id].filter(pl.col("visit_date") <= truth.ctx.today)
    order = ["archive_no", "visit_date", "created_at", "record_id"]
    last = rows.drop_nulls("archive_no").sort(order, nulls_last=False).unique("archive_no", keep="last")
    closed = _numbers(last.filter(pl.col("archive_status").is_in(list(rule.params["closed_status"]))))
    tests = rows.filter(pl.col("hba1c_date") <= truth.ctx.today).group_by("archive_no").agg(pl.col("hba1c_date").max())
    limit = truth.ctx.today - timedelta(days=int(rule.params["max_days"]))
    return _people(rule, form_id, _numbers(tests.filter(pl.col("hba1c_date") < limit)) - closed)


# --- diagnoses ----------------------------------------------------------------------------------------------------


def _diagnosed(truth: Truth, rule: Rule) -> pl.DataFrame:
    cards = truth.rows[_REGISTER].filter(pl.col("disease") == rule.params["disease"])
    return cards.group_by("archive_no").agg(pl.col("diagnosis_date").min().alias("diagnosed")).drop_nulls()


def _controlled_at_once(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    order = ["archive_no", "visit_date"]
    visits = truth.rows[form_id].drop_nulls(order)
    # Of several on the first day the last counts (0a.13).
    visits = visits.sort(*order, "created_at", "record_id", nulls_last=False).unique(order, keep="last")
    first = visits.sort(order).unique("archive_no", keep="first").join(_diagnosed(truth, rule), on="archive_no")
    days = (pl.col("visit_date") - pl.col("diagnosed")).dt.total_days()
    return records_of(
        rule, form_id, first.filter((days < int(rule.params["within_days"])) & (pl.col("class_code") == "1"))
    )


def _young(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    cards = truth.rows[form_id].filter(pl.col("disease") == rule.params["disease"]).drop_nulls("archive_no")
    first = cards.sort("archive_no", "diagnosis_date", "register_date", "record_id", nulls_last=True).unique(
        "archive_no", keep="first", maintain_order=True
    )
    found = set()
    for number, born, day in first.select("archive_no", "birth_date", "diagnosis_date").drop_nulls().iter_rows():
        years = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
        if day >= born and years < int(rule.params["min_age"]):
            found.add(number)
    return _people(rule, form_id, found)


def _filled_in_late(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = truth.rows[form_id].sort("archive_no", "fill_date", "record_id", nulls_last=True)
    named = rows.drop_nulls("archive_no").unique("archive_no", keep="first", maintain_order=True)
    rows = pl.concat([named, rows.filter(pl.col("archive_no").is_null())])
    rows = rows.join(_diagnosed(truth, rule), on="archive_no", how="left")
    since = pl.coalesce("diagnosed", "diagnosis_date")
    days = (pl.col("fill_date") - since).dt.total_days()
    return records_of(rule, form_id, rows.filter(days > int(rule.params["within_days"])))


def _form_lacking(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    return _people(rule, form_id, _managed(truth, rule) - _numbers(truth.rows[rule.params["needs_form"]]))


# --- histories and registrations ----------------------------------------------------------------------------------


def _told(truth: Truth, rule: Rule) -> pl.DataFrame:
    chosen = pl.col(rule.params["column"]).list.contains(rule.params["code"])
    return truth.rows[_PROFILE].with_columns(chosen.alias("_told")).drop_nulls("_told")


def _not_registered(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    told = _told(truth, rule).filter(pl.col("_told"))
    told = told.filter(~pl.col("archive_status").is_in(list(rule.params["closed_status"])).fill_null(False))
    # A card whose disease is not told may be the one.
    cards = truth.rows[_REGISTER].filter((pl.col("disease") == rule.params["disease"]).fill_null(True))
    return _people(rule, form_id, _numbers(told) - _numbers(cards))


def _not_told(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    cards = truth.rows[_REGISTER].filter(
        (pl.col("disease") == rule.params["disease"])
        & ~pl.col("manage_status").is_in(list(rule.params["excluded_status"])).fill_null(False)
    )
    told = _told(truth, rule)
    silent = _numbers(told) - _numbers(told.filter(pl.col("_told")))
    return _people(rule, form_id, _numbers(cards) & silent)


def _one_kind(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    params = rule.params
    has, seen, fresh = [], [], []
    for disease, code, service in zip(params["diseases"], params["codes"], params["visit_forms"], strict=True):
        cards = truth.rows[_REGISTER].filter(
            (pl.col("disease") == disease)
            & ~pl.col("manage_status").is_in(list(params["excluded_status"])).fill_null(False)
        )
        told = truth.rows[_PROFILE].filter(pl.col("past_disease_codes").list.contains(code))
        has.append(_numbers(told) | _numbers(cards))
        seen.append(_numbers(truth.rows[service].filter(pl.col("visit_date") <= truth.until)))
        first = cards.group_by("archive_no").agg(pl.col("register_date").min())
        late = truth.until - timedelta(days=int(params["first_visit_days"]))
        fresh.append(_numbers(first.filter(pl.col("register_date") >= late)))
    both = has[0] & has[1] & _numbers(truth.rows[_PROFILE])
    found = (both & seen[0]) - seen[1] - fresh[1] | (both & seen[1]) - seen[0] - fresh[0]
    return _people(rule, form_id, found)


def _never_ill(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    params = rule.params
    visits = (
        truth.in_period(params["visit_form"])
        .group_by("archive_no")
        .agg(
            pl.col("visit_date").n_unique(),
            pl.col("fbg").max(),
            pl.any_horizontal(pl.col(name).is_not_null() for name in params["treatment"]).any().alias("treated"),
        )
    )
    well = visits.filter(
        (pl.col("visit_date") >= int(params["min_visits"]))
        & (pl.col("fbg") < params["normal_below"])
        & ~pl.col("treated")
    )
    return _people(rule, form_id, _numbers(well) & _managed(truth, rule))


# --- examinations -------------------------------------------------------------------------------------------------


def _beside_exam(truth: Truth, form_id: str, *columns: str) -> pl.DataFrame:
    """Visits with the person's last examination beside them: ``exam_date`` and its columns as ``exam_<column>``."""
    order = ["archive_no", "exam_date", "created_at", "record_id"]
    exams = truth.rows[_EXAM].filter(pl.col("exam_date") <= truth.ctx.today).drop_nulls("archive_no")
    last = exams.sort(order, nulls_last=False).unique("archive_no", keep="last", maintain_order=True)
    last = last.select("archive_no", "exam_date", *(pl.col(name).alias(f"exam_{name}") for name in columns))
    return truth.rows[form_id].filter(pl.col("visit_date") <= truth.ctx.today).join(last, on="archive_no")


def _months_apart() -> pl.Expr:
    month = [
        pl.col(name).dt.year().cast(pl.Int64) * 12 + pl.col(name).dt.month() for name in ("visit_date", "exam_date")
    ]
    return (month[0] - month[1]).abs()


def _differs_from_exam(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    params = rule.params
    other = [params["other_unit"]] if "other_unit" in params else []
    rows = _beside_exam(truth, form_id, *params["exam"], *other)
    there = pl.max_horizontal(f"exam_{name}" for name in params["exam"])
    if other:
        there = pl.coalesce(there, (pl.col(f"exam_{other[0]}") / params["divided_by"]).round(1))
    bad = (pl.col(params["visit"]) - there).abs().round(6) > params["max_difference"]
    if "within_days" in params:
        apart = (pl.col("visit_date") - pl.col("exam_date")).dt.total_days().abs()
        bad &= apart <= int(params["within_days"])
    if "within_months" in params:
        bad &= _months_apart() <= int(params["within_months"])
    return people_of(rule, form_id, rows.filter(bad)["archive_no"])


def _smokes_after_all(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = _beside_exam(truth, form_id, "smoke_code")
    visit = pl.col(rule.params["visit"])
    smokes = visit > rule.params["more_than"] if "more_than" in rule.params else visit == "3"
    return people_of(rule, form_id, rows.filter(smokes & (pl.col("exam_smoke_code") == "1"))["archive_no"])


def _seen_in_hospital(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    stays = truth.rows[_EXAM].select("archive_no", "hosp_in_date_1", "hosp_out_date_1").drop_nulls()
    visits = truth.rows[form_id].filter(pl.col("visit_mode_code").is_in(list(rule.params["face_to_face"])))
    both = visits.join(stays, on="archive_no").filter(
        pl.col("visit_date").is_between("hosp_in_date_1", "hosp_out_date_1")
    )
    return records_of(rule, form_id, both.unique("_row"))


def _guessed(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = truth.rows[form_id].drop_nulls(["doctor_name", "fbg"])
    whole = pl.col("fbg") == pl.col("fbg").round(0)
    share = (whole.sum() / pl.len()).over("doctor_name")
    enough = pl.len().over("doctor_name") >= int(rule.params["min_records"])
    return records_of(rule, form_id, rows.filter(enough & (share.round(6) > rule.params["max_share"]) & whole))


JUDGEMENTS: Mapping[str, Judgement] = {
    **dict.fromkeys(
        ("HTN-T-006", "DM-T-002", "DM-T-003", "CPD-T-001", "CPD-C-002", "SMI-T-001", "SMI-T-002"), _too_few
    ),
    "HTN-T-002": _too_many,
    "HTN-C-010": _examined_too_late,
    "HTN-T-004": _came_too_soon,
    **dict.fromkeys(("HTN-T-005", "DM-T-005", "SMI-T-003"), _came_too_late),
    "HTN-T-008": _always_as_agreed,
    **dict.fromkeys(("HTN-T-007", "HTN-L-009"), _not_followed),
    **dict.fromkeys(("DM-T-004", "SMI-T-004"), CORE["HTN-T-003"]),
    "DM-T-006": _test_too_old,
    "HTN-L-021": _seen_in_hospital,
    "HTN-L-023": _controlled_at_once,
    "DM-L-015": CORE["HTN-L-018"],
    "DM-L-014": _guessed,
    **dict.fromkeys(("HTN-X-001", "DM-X-001", "CPD-X-002", "SMI-X-003"), _not_registered),
    **dict.fromkeys(("HTN-X-002", "SMI-X-002"), _not_told),
    "HTN-X-008": _one_kind,
    "DM-X-002": _never_ill,
    "DM-X-003": _young,
    **dict.fromkeys(("HTN-X-003", "HTN-X-004", "HTN-X-005", "DM-X-004"), _differs_from_exam),
    **dict.fromkeys(("HTN-X-006", "CPD-X-001"), _smokes_after_all),
    "SMI-L-017": _locked_again,
    "SMI-L-021": _agreed_too_late,
    "SMI-X-004": _fewer_than_before,
    "SMI-X-001": _form_lacking,
    "SMI-T-005": _filled_in_late,
}
