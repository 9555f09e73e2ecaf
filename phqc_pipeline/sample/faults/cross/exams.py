"""Examinations, assessments, measurements: against each other, against visits, against what is known of a person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.truth import Finding, Judgement, Truth, people_of, records_of, where_received


def _latest(truth: Truth, form_id: str) -> pl.DataFrame:
    """The last record of each person, as far as today, with its ``_day``."""
    return _ordered(truth, form_id, date.min, truth.ctx.today).unique("archive_no", keep="last", maintain_order=True)


def _ordered(truth: Truth, form_id: str, since: date, until: date) -> pl.DataFrame:
    """A person's records in order, of several on one day the last (0a.13), with their ``_day``."""
    rows = truth.rows[form_id].with_columns(truth.service(form_id).alias("_day"))
    rows = rows.filter(pl.col("archive_no").is_not_null() & pl.col("_day").is_between(since, until))
    rows = rows.sort("archive_no", "_day", "created_at", "record_id", nulls_last=False)
    return rows.unique(["archive_no", "_day"], keep="last", maintain_order=True)


def _patients(truth: Truth, rule: Rule) -> pl.DataFrame:
    """archive_no, known: who is known to have the disease; NULL where past diseases are empty and no card speaks, or
    where a card does not tell its disease."""
    told = pl.col("past_disease_codes").list.contains(rule.params["history_code"])
    profiles = truth.rows["resident_profile"].select("archive_no", told.alias("known"), pl.lit(False).alias("unsaid"))
    its = pl.col("disease") == rule.params["disease"]
    cards = (
        truth.rows["chronic_registry"]
        .filter(its.fill_null(True))
        .select("archive_no", its.alias("known"), pl.col("disease").is_null().alias("unsaid"))
    )
    both = pl.concat([profiles, cards])
    some = pl.col("known").drop_nulls()
    known = pl.when(some.any()).then(True).when((some.len() > 0) & ~pl.col("unsaid").any()).then(False)
    return both.drop_nulls("archive_no").group_by("archive_no").agg(known.alias("known"), pl.lit(True).alias("_met"))


def _with_known(truth: Truth, rule: Rule, rows: pl.DataFrame) -> pl.DataFrame:
    joined = rows.join(_patients(truth, rule), on="archive_no", how="left")
    return joined.with_columns(pl.when(pl.col("_met").is_null()).then(False).otherwise("known").alias("known"))


def _elder(truth: Truth, rule: Rule) -> pl.Expr:
    return truth.ctx.period_end.year - pl.col("birth_date").dt.year() >= rule.params["elder_age"]


def _age() -> pl.Expr:
    """Whole years on ``_day`` (0a.15)."""
    birth, day = pl.col("birth_date"), pl.col("_day")
    before = (day.dt.month() < birth.dt.month()) | (
        (day.dt.month() == birth.dt.month()) & (day.dt.day() < birth.dt.day())
    )
    return pl.when(day >= birth).then(day.dt.year() - birth.dt.year() - before.cast(pl.Int32))


# --- examinations -------------------------------------------------------------------------------------------------


def _unchecked_patient(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    needed = rule.params["needed"]
    unread = [row for row, texts in truth.work.texts[form_id].items() if texts.get(needed)]
    rows = _with_known(truth, rule, _latest(truth, form_id))
    empty = pl.col(needed).is_null() & ~pl.col("_row").is_in(unread)
    return people_of(rule, form_id, rows.filter(pl.col("known") & empty)["archive_no"])


def _unadvised(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = _with_known(truth, rule, truth.rows[form_id])
    high = pl.max_horizontal(rule.params["columns"]) >= rule.params["limit"]
    told = pl.col(rule.params["advice_column"]).list.contains(rule.params["advice"])
    return records_of(rule, form_id, rows.filter(high & ~pl.col("known") & ~told))


def _unregistered(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    readings = []
    for one in (form for form in rule.form_ids if form in truth.rows):
        columns = [name for name in rule.params["columns"] if name in rule.reads[one]]
        rows = truth.rows[one].with_columns(truth.service(one).alias("_day"), pl.lit(one).alias("form"))
        rows = rows.filter(
            (pl.max_horizontal(columns) >= rule.params["limit"]) & (pl.col("_day") <= truth.ctx.today)
        ).drop_nulls("archive_no")
        readings.append(rows.select("archive_no", "_day", "created_at", "record_id", "form"))
    high = pl.concat(readings).sort("archive_no", "_day", "created_at", "record_id", nulls_last=False)
    people = high.group_by("archive_no", maintain_order=True).agg(
        pl.col("_day").n_unique().alias("days"), pl.col("form").last()
    )
    people = people.filter((pl.col("days") >= rule.params["min_times"]) & (pl.col("form") == form_id))
    return people_of(rule, form_id, _with_known(truth, rule, people).filter(~pl.col("known"))["archive_no"])


def _examined_often(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = _ordered(truth, form_id, truth.ctx.period_start, truth.until).filter(_elder(truth, rule))
    return people_of(rule, form_id, rows.filter(pl.len().over("archive_no") > rule.params["max_exams"])["archive_no"])


def _examined_soon(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    since = truth.ctx.period_start - timedelta(days=rule.params["look_back_days"])
    rows = _ordered(truth, form_id, since, truth.until)
    days = (pl.col("_day") - pl.col("_day").shift(1).over("archive_no")).dt.total_days()
    rows = rows.filter((days < rule.params["min_days"]) & (pl.col("_day") >= truth.ctx.period_start))
    return people_of(rule, form_id, rows.filter(_elder(truth, rule))["archive_no"])


def _same_year(truth: Truth, rule: Rule, rows: pl.DataFrame) -> pl.DataFrame:
    """Records with the value ``there`` of the examination of the same year that is nearest."""
    exam = rule.params["exam"]
    exams = truth.rows[exam].select(
        "archive_no",
        truth.service(exam).alias("exam_day"),
        pl.col(rule.params["there"]).alias("there"),
        pl.col("record_id").alias("exam_id"),
    )
    pairs = rows.join(exams, on="archive_no").filter(pl.col("exam_day").dt.year() == pl.col("_day").dt.year())
    away = (pl.col("exam_day") - pl.col("_day")).dt.total_days().abs().alias("away")
    pairs = pairs.with_columns(away).sort(
        "away", "exam_day", "exam_id", descending=[False, True, True], nulls_last=True
    )
    return pairs.unique("_row", keep="first", maintain_order=True)


def _graded_otherwise(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    if rule.grain == "person":
        pairs = _same_year(truth, rule, _latest(truth, form_id))
        return people_of(rule, form_id, pairs.filter(pl.col(rule.params["here"]) != pl.col("there"))["archive_no"])
    pairs = _same_year(truth, rule, truth.rows[form_id].with_columns(truth.service(form_id).alias("_day")))
    grade = pl.lit(1)
    for limit in rule.params["bands"]:
        grade = grade + (pl.col("there") >= limit).cast(pl.Int32)
    return records_of(rule, form_id, pairs.filter(pl.col(rule.params["here"]) != grade))


def _not_together(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    other = next(one for one in rule.reads if one != form_id)
    there = truth.rows[other].select("archive_no", truth.service(other).alias("other_day")).drop_nulls()
    rows = truth.rows[form_id].with_columns(truth.service(form_id).alias("_day")).drop_nulls("_day")
    pairs = rows.join(there, on="archive_no").with_columns(
        (pl.col("other_day") - pl.col("_day")).dt.total_days().abs().alias("away"),
        (pl.col("other_day").dt.year() == pl.col("_day").dt.year()).alias("alike"),
    )
    near = pairs.group_by("_row").agg(pl.col("away").min(), pl.col("alike").any())
    if "max_days" in rule.params:
        near = near.filter(pl.col("alike") & (pl.col("away") > rule.params["max_days"]))
    else:
        near = near.filter(~pl.col("alike"))
    return records_of(rule, form_id, rows.join(near, on="_row", how="semi"))


def _dependent_at_clinic(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    visits = pl.concat(
        truth.in_period(one)
        .filter(pl.col("visit_mode_code") == rule.params["at_clinic"])
        .select("archive_no", truth.service(one).alias("day"))
        for one in rule.reads
        if one != form_id and one in truth.rows
    )
    often = (
        visits.group_by("archive_no").agg(pl.col("day").n_unique()).filter(pl.col("day") >= rule.params["min_visits"])
    )
    rows = _latest(truth, form_id).filter(pl.col("grade_code") == rule.params["dependent"])
    return people_of(rule, form_id, rows.join(often, on="archive_no", how="semi")["archive_no"])


def _mostly_one(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    column = pl.col(rule.params["column"])
    doctors = (
        truth.rows[form_id]
        .drop_nulls("doctor_name")
        .group_by("doctor_name")
        .agg(column.count().alias("n"), (column == rule.params["code"]).sum().alias("hits"))
        .filter((pl.col("n") >= rule.params["min_records"]) & (pl.col("hits") / pl.col("n") > rule.params["max_share"]))
    )
    return [Finding(rule.rule_id, form_id, rule.field, "doctor", one) for one in sorted(doctors["doctor_name"])]


def _full_months(months: int) -> pl.Expr:
    """The day a child is so many months old: where the month has no such day, the first of the next (0a.15)."""
    birth = pl.col("birth_date")
    day = birth.dt.offset_by(f"{months}mo")
    return pl.when(day.dt.day() < birth.dt.day()).then(day.dt.offset_by("1d")).otherwise(day)


def _stage_missed(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    done = truth.rows["child_tcm"].select("archive_no", "month_stage").drop_nulls().unique()
    children = truth.rows[form_id].filter(pl.col("archive_status") == rule.params["active_status"])
    found = []
    for stage in rule.params["stages"]:
        reached, due = _full_months(stage), _full_months(stage + rule.params["grace_months"])
        over = due.dt.offset_by("1d")
        concerned = children.filter(
            over.is_between(truth.ctx.period_start, truth.until) & (pl.col("archive_date") <= reached)
        ).with_columns(pl.lit(str(stage)).alias("month_stage"))
        found.append(concerned.join(done, on=["archive_no", "month_stage"], how="anti")["archive_no"])
    return people_of(rule, form_id, pl.concat(found))


# --- examinations, visits, profiles -------------------------------------------------------------------------------


def _visits_deny(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    column, params = pl.col(rule.params["visit_column"]), rule.params
    said = column <= params["at_most"] if "at_most" in params else column > params["above"]
    visits = pl.concat(
        truth.rows[one].filter(said).select("archive_no", truth.service(one).alias("day"))
        for one in rule.reads
        if one != form_id and one in truth.rows
    ).filter(pl.col("day") <= truth.ctx.today)
    exams = _latest(truth, form_id).filter(pl.col(params["exam_column"]).is_in(list(params["exam_codes"])))
    pairs = exams.join(visits, on="archive_no")
    near = (pl.col("day") - pl.col("_day")).dt.total_days().abs() < params["within_days"]
    return people_of(rule, form_id, pairs.filter(near)["archive_no"])


def _not_in_history(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    past = (
        truth.rows["resident_profile"]
        .drop_nulls(["archive_no", rule.params["history_column"]])
        .group_by("archive_no")
        .agg(pl.col(rule.params["history_column"]).list.explode().alias("past"))
    )
    rows = _latest(truth, form_id).join(past, on="archive_no")
    lacking = pl.lit(False)
    for column, code in zip(rule.params["columns"], rule.params["history_codes"], strict=True):
        ticked = pl.col(column).list.eval(pl.element().is_in(list(rule.params["codes"]))).list.any().fill_null(False)
        lacking = lacking | (ticked & ~pl.col("past").list.contains(code))
    return people_of(rule, form_id, rows.filter(lacking)["archive_no"])


def _allergic(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    allergies: dict[str, tuple[set[str], list[str]]] = {}
    profiles = truth.rows["resident_profile"].drop_nulls(["archive_no", "allergy_codes"])
    for person, codes, other in profiles.select("archive_no", "allergy_codes", "allergy_other").iter_rows():
        own = allergies.setdefault(person, (set(), []))
        own[0].update(codes)
        for word in (
            (other or "").replace(",", "、").replace("，", "、").replace("；", "、").replace(";", "、").split("、")
        ):
            for tail in ("类药物", "类", "过敏", "药物"):
                word = word.replace(tail, "")
            own[1].extend(part for part in word.split() if len(part) >= rule.params["min_word"])
    words = dict(zip(rule.params["class_codes"], rule.params["class_words"], strict=True))
    form = truth.cat.forms[form_id]
    drugs = [name for name in rule.params["drugs"] if form.has(name)]
    found = []
    for person, *names in truth.in_period(form_id).select("archive_no", *drugs).iter_rows():
        codes, others = allergies.get(person, (set(), []))
        bad = [part for code in codes if code in words for part in words[code].split("|")]
        bad += others if rule.params["other_code"] in codes else []
        if any(word in name for name in names if name for word in bad):
            found.append(person)
    return people_of(rule, form_id, pl.Series(found, dtype=pl.String))


# --- measurements -------------------------------------------------------------------------------------------------


def _measured(truth: Truth, rule: Rule, since: date, until: date) -> pl.DataFrame:
    """A column of several forms, one row a person and day."""
    rows = pl.concat(
        truth.rows[one].select(
            "archive_no",
            truth.service(one).alias("_day"),
            "created_at",
            "record_id",
            "birth_date",
            pl.col(rule.params["column"]).cast(pl.Float64).alias("value"),
            pl.lit(one).alias("form"),
        )
        for one in rule.form_ids
        if one in truth.rows
    ).drop_nulls(["archive_no", "value"])
    rows = rows.filter(pl.col("_day").is_between(since, until))
    rows = rows.sort("archive_no", "_day", "created_at", "record_id", nulls_last=False)
    return rows.unique(["archive_no", "_day"], keep="last", maintain_order=True)


def _changed(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    params = rule.params
    rows = _measured(truth, rule, truth.ctx.period_start - timedelta(days=params["look_back_days"]), truth.until)
    value, before = pl.col("value"), pl.col("value").shift(1).over("archive_no")
    days = (pl.col("_day") - pl.col("_day").shift(1).over("archive_no")).dt.total_days()
    change = {"drop": before - value, "rise": value - before, "ratio": (value - before).abs() / before}
    size = change[params["change"]].round(6)
    bad = size > params["over"] if "over" in params else size >= params["at_least"]
    if "min_age" in params:
        bad = bad & (_age() >= params["min_age"])
    if "max_age" in params:
        bad = bad & (_age() <= params["max_age"])
    if "max_days" in params:
        bad = bad & (days <= params["max_days"])
    rows = rows.filter(bad & (pl.col("_day") >= truth.ctx.period_start))
    return people_of(rule, form_id, rows.filter(pl.col("form") == form_id)["archive_no"])


def _off_median(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = _measured(truth, rule, date.min, truth.ctx.today).filter(_age() >= rule.params["min_age"])
    off = (pl.col("value") - pl.col("value").median().over("archive_no")).abs().round(6)
    rows = rows.filter((off > rule.params["over"]) & (pl.col("form") == form_id))
    return people_of(rule, form_id, rows["archive_no"])


_ANY_FORM_SUFFICES = ("ELD-L-005", "XFM-X-010", "XFM-X-011")
_ASKED: Mapping[str, Judgement] = {
    "EXM-C-018": _unchecked_patient,
    "EXM-L-010": _unadvised,
    "EXM-L-011": _unadvised,
    "ELD-T-002": _examined_often,
    "ELD-T-003": _examined_soon,
    "ELD-T-004": _not_together,
    "ELD-X-001": _graded_otherwise,
    "ELD-L-005": _dependent_at_clinic,
    "ELD-L-006": _changed,
    "TCM-L-013": _graded_otherwise,
    "TCM-L-014": _graded_otherwise,
    "TCM-A-002": _mostly_one,
    "CHT-T-001": _stage_missed,
    "XFM-X-006": _off_median,
    "XFM-X-007": _changed,
    "XFM-X-008": _changed,
    "XFM-X-009": _changed,
    "XFM-X-010": _visits_deny,
    "XFM-X-011": _visits_deny,
    "XFM-X-012": _not_in_history,
    "XFM-X-013": _unregistered,
    "XFM-X-014": _unregistered,
    "XFM-X-021": _allergic,
    "XFM-X-022": _not_together,
}
#: Of a rule that needs several forms nothing is said where one was not delivered (0a.18).
JUDGEMENTS: Mapping[str, Judgement] = {
    rule_id: one if rule_id in _ANY_FORM_SUFFICES else where_received(one) for rule_id, one in _ASKED.items()
}
