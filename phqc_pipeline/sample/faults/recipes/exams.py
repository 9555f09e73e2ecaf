"""Recipes on examinations, assessments and measurements: against each other, visits and what is known of a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.calendar import to_date
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen, Recipe
from phqc_pipeline.sample.faults.recipes.patients import moved
from phqc_pipeline.sample.faults.work import Fault, Work

_EXAM, _SELF, _TCM = "health_exam", "elderly_self_care", "elderly_tcm"


def _person(rule: Rule, form_id: str, row: Mapping[str, Any]) -> Fault:
    return Fault(rule.rule_id, form_id, rule.field, subject=row["archive_no"])


def _known(work: Work, disease: str, history_code: str) -> set[int]:
    """People known as patients of a disease."""
    cards = work.frames["chronic_registry"].filter(pl.col("disease") == disease)
    told = work.frames["resident_profile"].filter(pl.col("past_disease_codes").list.contains(history_code))
    return set(cards["_person"].to_list()) | set(told["_person"].to_list())


def _start(work: Work) -> date:
    return to_date(work.times.period_start)


def _elders(kitchen: Kitchen) -> Iterator[tuple[int, dict[str, Any]]]:
    """Elders with their last examination, made in the period."""
    year = kitchen.work.times.snapshot.year
    for person in kitchen.people(_EXAM):
        row = kitchen.row(_EXAM, person)
        if year - row["birth_date"].year >= 65 and row["exam_date"] >= _start(kitchen.work):
            yield person, row


# --- examinations -------------------------------------------------------------------------------------------------


def _unchecked(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    known = _known(kitchen.work, rule.params["disease"], rule.params["history_code"])
    for person in kitchen.people(form_id):
        row = kitchen.row(form_id, person)
        if person in known and row[rule.params["needed"]] is not None:
            kitchen.work.reserved.add(person)
            kitchen.work.edit(form_id, row["_row"], {rule.params["needed"]: None})
            return _person(rule, form_id, row)
    return None


def _unadvised(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    known = _known(kitchen.work, rule.params["disease"], rule.params["history_code"])
    for person in kitchen.people(form_id):
        row = kitchen.row(form_id, person)
        if person not in known:
            kitchen.work.reserved.add(person)
            high = {name: float(rule.params["limit"]) + 4 for name in rule.params["columns"]}
            values = {**high, "eval_code": "2", "eval_abn_1": "测量值偏高", rule.params["advice_column"]: ["3"]}
            kitchen.work.edit(form_id, row["_row"], values)
            return Fault(rule.rule_id, form_id, rule.field, row=row["_row"])
    return None


def _high_and_unknown(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """High on so many of the last days by one form; nothing but advice came of it."""
    work = kitchen.work
    known = _known(work, rule.params["disease"], rule.params["history_code"])
    columns = [name for name in rule.params["columns"] if work.cat.forms[form_id].has(name)]
    times = int(rule.params["min_times"])
    able = _last_here(work, rule, form_id, times)
    people = [person for person in kitchen.people(form_id) if person in able]
    for person in sorted(people, key=lambda one: one in known):  # where all are patients, one never registered
        rows = work.rows_of(form_id, person)
        if person in known:
            _forget(work, rule, person)
        work.reserved.add(person)
        for row in rows.tail(times).iter_rows(named=True):
            values: dict[str, Any] = {name: float(rule.params["limit"]) + 5 for name in columns}
            if form_id == _EXAM:
                values |= {"eval_code": "2", "eval_abn_1": "测量值偏高", "guide_codes": ["2"]}
            work.edit(form_id, row["_row"], values)
        return _person(rule, form_id, rows.row(0, named=True))
    return None


def _last_here(work: Work, rule: Rule, form_id: str, times: int) -> set[int]:
    """People measured so many times on this form, and on none of the rule's other forms on the last day or after."""
    days = {
        form: work.frames[form].group_by("_person").agg(pl.col(work.cat.forms[form].service_date).cast(pl.Date))
        for form in rule.form_ids
        if form in work.frames
    }
    found = None
    for form, seen in days.items():
        day = seen.columns[1]
        last = seen.select(
            "_person", pl.col(day).list.max().alias(form), pl.col(day).list.n_unique().alias(f"{form}_n")
        )
        found = last if found is None else found.join(last, on="_person", how="full", coalesce=True)
    if found is None or form_id not in found.columns:
        return set()
    others = [pl.col(form).is_null() | (pl.col(form) < pl.col(form_id)) for form in days if form != form_id]
    able = found.filter((pl.col(f"{form_id}_n") >= times) & pl.all_horizontal(pl.lit(True), *others))
    return set(able["_person"].to_list())


def _forget(work: Work, rule: Rule, person: int) -> None:
    cards = work.rows_of("chronic_registry", person).filter(pl.col("disease") == rule.params["disease"])
    work.remove("chronic_registry", cards["_row"].to_list())
    for row in work.rows_of("resident_profile", person).iter_rows(named=True):
        left = [code for code in row["past_disease_codes"] or [] if code != rule.params["history_code"]] or ["1"]
        work.edit("resident_profile", row["_row"], {"past_disease_codes": left})


def _examined_again(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A second examination: of the same year but half a year off, or soon after one of the year before."""
    work = kitchen.work
    for person, row in _elders(kitchen):
        day = row["exam_date"]
        if "max_exams" in rule.params:
            again = [day + timedelta(days=190), day - timedelta(days=190)]
            again = [one for one in again if one.year == day.year and one <= work.times.snapshot]
        else:
            again = [date(day.year - 1, 12, 20)] if (day - date(day.year - 1, 12, 20)).days < 170 else []
        again = [one for one in again if one > to_date(work.people["archive_day"][person])]
        earlier = work.rows_of(form_id, person).filter(pl.col("exam_date").dt.year() == day.year - 1)
        if not again or row["archive_status"] != "1" or ("min_days" in rule.params and earlier.height):
            continue
        work.reserved.add(person)
        for form, date_ in ((form_id, "exam_date"), (_SELF, "assess_date"), (_TCM, "fill_date")):
            same = work.rows_of(form, person).filter(pl.col(date_).dt.year() == day.year)
            if same.height:
                one = same.row(0, named=True)
                values = moved(work, form, one, again[0])
                if form == form_id:
                    values |= {"hosp_in_date_1": None, "hosp_out_date_1": None}
                work.clone(form, one["_row"], values)
        return _person(rule, form_id, row)
    return None


def _no_constitution(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    for person, row in _elders(kitchen):
        rows = work.rows_of(_TCM, person).filter(pl.col("fill_date") >= _start(work))
        if rows.height:
            work.reserved.add(person)
            work.remove(_TCM, rows["_row"].to_list())
            return _person(rule, form_id, row)
    return None


def _assessed_apart(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    for person, row in _elders(kitchen):
        near = (pl.col("assess_date") - pl.lit(row["exam_date"])).dt.total_days().abs() < 150
        rows = work.rows_of(_SELF, person).filter(near | (pl.col("assess_date").dt.year() == row["exam_date"].year))
        for day in (row["exam_date"] + timedelta(days=36), row["exam_date"] - timedelta(days=36)):
            if rows.height == 1 and day.year == row["exam_date"].year and day <= work.times.snapshot:
                work.reserved.add(person)
                one = rows.row(0, named=True)
                work.edit(_SELF, one["_row"], moved(work, _SELF, one, day))
                work.touched[_EXAM].add(row["_row"])
                return Fault(rule.rule_id, form_id, rule.field, row=row["_row"])
    return None


def _graded_apart(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    for person, row in _elders(kitchen):
        last = work.rows_of(form_id, person).tail(1)
        if last.height and last["assess_date"][0].year == row["exam_date"].year and last["grade_code"][0] == "1":
            work.reserved.add(person)
            work.edit(_EXAM, row["_row"], {rule.params["there"]: "2"})
            return _person(rule, form_id, row)
    return None


def _at_clinic_all_the_same(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The last assessment says: cannot care for themselves; the examination says so too."""
    work = kitchen.work
    for person, row in _elders(kitchen):
        visits = work.rows_of("htn_followup", person).filter(
            (pl.col("visit_date") >= _start(work)) & (pl.col("visit_mode_code") != "3")
        )
        last = work.rows_of(form_id, person).tail(1)
        if visits.height < rule.params["min_visits"] or last.is_empty():
            continue
        work.reserved.add(person)
        scores = {"eat_score": 5.0, "wash_score": 7.0, "dress_score": 5.0, "toilet_score": 5.0, "activity_score": 5.0}
        work.edit(form_id, last["_row"][0], {**scores, "total_score": 27.0, "grade_code": rule.params["dependent"]})
        work.edit(_EXAM, row["_row"], {"elder_adl_code": rule.params["dependent"]})
        for one in visits["_row"].to_list():
            work.edit("htn_followup", one, {"visit_mode_code": rule.params["at_clinic"]})
        return _person(rule, form_id, row)
    return None


def _recovered(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The assessment before was worse by more than people recover."""
    work = kitchen.work
    since = _start(work) - timedelta(days=int(rule.params["look_back_days"]))
    for person in kitchen.people(form_id):
        rows = work.rows_of(form_id, person).filter(pl.col("assess_date").is_between(since, work.times.snapshot))
        if rows.height < 2 or rows["assess_date"][-1] < _start(work) or rows["total_score"].sum() != 0:
            continue
        work.reserved.add(person)
        work.edit(form_id, rows["_row"][-2], {"toilet_score": 5.0, "total_score": 5.0, "grade_code": "2"})
        return _person(rule, form_id, rows.row(-1, named=True))
    return None


# --- constitutions and children -----------------------------------------------------------------------------------


def _graded_wrong(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work, here = kitchen.work, rule.params["here"]
    for person in kitchen.people(form_id):
        row = kitchen.row(form_id, person)
        exams = work.rows_of(_EXAM, person).filter(pl.col("exam_date").dt.year() == row["fill_date"].year)
        if exams.is_empty() or row[here] is None or exams[rule.params["there"]].null_count():
            continue
        work.reserved.add(person)
        step = -1.0 if row[here] > 1 else 1.0
        work.edit(form_id, row["_row"], {here: row[here] + step, "score_tanshi": row["score_tanshi"] + step})
        return Fault(rule.rule_id, form_id, rule.field, row=row["_row"])
    return None


def _another_year(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A constitution dated in a year before the person was first examined."""
    work = kitchen.work
    for person in kitchen.people(form_id):
        row = work.rows_of(form_id, person).row(0, named=True)
        exams = work.rows_of(_EXAM, person)
        if exams.is_empty() or row["fill_date"] >= _start(work):
            continue
        day = date(exams["exam_date"][0].year - 1, 11, 20)
        if day > to_date(work.people["archive_day"][person]) and (day - row["birth_date"]).days > 366 * 65:
            work.reserved.add(person)
            work.edit(form_id, row["_row"], moved(work, form_id, row, day))
            return Fault(rule.rule_id, form_id, rule.field, row=row["_row"])
    return None


def _all_alike(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A doctor's records of one constitution only."""
    work, column, code = kitchen.work, rule.params["column"], rule.params["code"]
    rows = work.frames[form_id].filter(pl.col("record_status").is_in(["1", "5"]))
    doctors = (
        rows.group_by("doctor_name", maintain_order=True)
        .agg(pl.len(), (pl.col(column) != code).sum().alias("other"))
        .filter(pl.col("len") >= rule.params["min_records"] + 4)
        .sort("other", "doctor_name")
    )
    used = {fault.subject for fault in work.faults if fault.rule_id == rule.rule_id}
    for doctor in doctors["doctor_name"].to_list():
        if doctor in used:
            continue
        theirs = rows.filter((pl.col("doctor_name") == doctor) & (pl.col(column) != code))
        for row in theirs.iter_rows(named=True):
            work.edit(form_id, row["_row"], {column: code, "guide_pinghe_codes": ["1"]})
        return Fault(rule.rule_id, form_id, rule.field, subject=doctor)
    return None


def _stage_left_out(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    for person in kitchen.people("child_tcm"):
        profile = work.rows_of(form_id, person)
        if profile.is_empty() or profile["archive_status"][0] != "1":
            continue
        for row in work.rows_of("child_tcm", person).iter_rows(named=True):
            months = [int(row["month_stage"]), int(row["month_stage"]) + int(rule.params["grace_months"])]
            reached, due = (pl.Series([row["birth_date"]]).dt.offset_by(f"{n}mo")[0] for n in months)
            over = due + timedelta(days=2)  # at the latest: a month may lack the day
            if _start(work) <= due and over <= work.times.snapshot and profile["archive_date"][0] <= reached:
                work.reserved.add(person)
                same = work.rows_of("child_tcm", person).filter(pl.col("month_stage") == row["month_stage"])
                work.remove("child_tcm", same["_row"].to_list())
                return _person(rule, form_id, row)
    return None


# --- visits and profiles ------------------------------------------------------------------------------------------


def _denied(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A visit near the last examination that says otherwise."""
    work, column = kitchen.work, rule.params["visit_column"]
    said = 0.0 if "at_most" in rule.params else 2.0
    for person in kitchen.people(form_id):
        row = kitchen.row(form_id, person)
        if row[rule.params["exam_column"]] not in rule.params["exam_codes"]:
            continue
        for service in ("htn_followup", "t2dm_followup"):
            rows = work.rows_of(service, person)
            away = (rows["visit_date"] - row["exam_date"]).dt.total_days().abs() if rows.height else None
            near = rows.filter(away < int(rule.params["within_days"])) if away is not None else rows
            if near.height:
                work.reserved.add(person)
                for one in near["_row"].to_list():
                    work.edit(service, one, {column: said})
                return _person(rule, form_id, row)
    return None


def _not_in_history(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    column, code = rule.params["columns"][1], rule.params["history_codes"][1]
    told = work.frames["resident_profile"].filter(pl.col("past_disease_codes").list.contains(code))
    known = set(told["_person"].to_list())
    for person in kitchen.people(form_id):
        if person not in known:
            row = kitchen.row(form_id, person)
            work.reserved.add(person)
            work.edit(form_id, row["_row"], {column: [rule.params["codes"][1]]})
            return _person(rule, form_id, row)
    return None


def _allergic(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A profile that tells an allergy to the very drug."""
    work = kitchen.work
    for person in kitchen.people(form_id):
        row = kitchen.row(form_id, person)
        drug = row["drug1_name"]
        profile = work.rows_of("resident_profile", person)
        if drug is None or profile.is_empty() or row[work.cat.forms[form_id].service_date] < _start(work):
            continue
        work.reserved.add(person)
        told = {"allergy_codes": [rule.params["other_code"]], "allergy_other": drug}
        work.edit("resident_profile", profile["_row"][0], told)
        return _person(rule, form_id, row)
    return None


# --- measurements -------------------------------------------------------------------------------------------------


def _series(work: Work, rule: Rule) -> pl.DataFrame:
    """Everybody's values on the rule's forms in order: _person, form, _row, day, value; of a day the last entered."""
    parts = []
    for form_id in rule.form_ids:
        if form_id in work.frames:
            day = pl.col(work.cat.forms[form_id].service_date).cast(pl.Date).alias("day")
            rows = work.frames[form_id].filter(pl.col(rule.params["column"]).is_not_null())
            value = pl.col(rule.params["column"]).alias("value")
            form = pl.lit(form_id).alias("form")
            parts.append(rows.select("_person", form, "_row", "created_at", "birth_date", day, value))
    series = pl.concat(parts).sort("_person", "day", "created_at")
    return series.unique(["_person", "day"], keep="last", maintain_order=True)


def _jump(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The person's last measurement, taken on this form, changed by more than may be."""
    work, params = kitchen.work, rule.params
    series = _series(work, rule)
    before = series.select(pl.all().shift(1).over("_person").name.suffix("_before"))
    last = pl.concat([series, before], how="horizontal").unique("_person", keep="last", maintain_order=True)
    age = (pl.col("day") - pl.col("birth_date")).dt.total_days() / 365.25
    able = last.filter(
        (pl.col("form") == form_id)
        & (pl.col("day") >= _start(work))
        & (age > params.get("min_age", 0) + 1)
        & (age < params.get("max_age", 200) - 1)
        & ((pl.col("day") - pl.col("day_before")).dt.total_days() <= params.get("max_days", 366))
    )
    found = {row["_person"]: row for row in able.iter_rows(named=True)}
    for person in (one for one in kitchen.people(form_id) if one in found):
        row = found[person]
        was = row["value_before"]
        amount = {"drop": -params["over"] - 0.6, "rise": params["over"] + 0.6, "ratio": was * 0.24}[params["change"]]
        work.reserved.add(person)
        _measure(work, form_id, row["_row"], params["column"], round(was + amount, 1))
        return _person(rule, form_id, kitchen.row(form_id, person))
    return None


def _off(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """An old measurement on this form, too far off the person's others."""
    work = kitchen.work
    start = _start(work)
    # Before the period; of the old so long before that nobody speaks of height lost in the period (XFM-X-007).
    old = pl.col("birth_date").dt.offset_by("58y") < pl.col("day")
    before = pl.when(old).then(pl.lit(start - timedelta(days=400))).otherwise(pl.lit(start))
    series = _series(work, rule).with_columns(
        pl.len().over("_person").alias("n"), pl.col("value").median().over("_person").alias("median")
    )
    grown = (pl.col("day") - pl.col("birth_date")).dt.total_days() >= 366 * 19
    early = series.filter((pl.col("n") >= 4) & (pl.col("form") == form_id) & (pl.col("day") < before))
    early = early.unique("_person", keep="first", maintain_order=True).filter(grown)
    found = {row["_person"]: row for row in early.iter_rows(named=True)}
    for person in (one for one in kitchen.people(form_id) if one in found):
        row = found[person]
        work.reserved.add(person)
        value = round(row["median"] + rule.params["over"] + 2.5, 1)
        _measure(work, form_id, row["_row"], rule.params["column"], value)
        return _person(rule, form_id, kitchen.row(form_id, person))
    return None


def _measure(work: Work, form_id: str, number: int, column: str, value: float) -> None:
    """Another height or weight, and the body mass that goes with it."""
    row = work.frames[form_id].filter(pl.col("_row") == number).row(0, named=True)
    values = {column: value}
    height, weight = (values.get(name, row.get(name)) for name in ("height_cm", "weight_kg"))
    if row.get("bmi") is not None and height and weight:
        values["bmi"] = round(weight / (height / 100) ** 2, 1)
    work.edit(form_id, number, values)


RECIPES: Mapping[str, Recipe] = {
    "ELD-L-005": _at_clinic_all_the_same,
    "XFM-X-014": _high_and_unknown,
    "XFM-X-010": _denied,
    "XFM-X-011": _denied,
    "XFM-X-009": _jump,
    "XFM-X-008": _jump,
    "XFM-X-007": _jump,
    "XFM-X-006": _off,
    "XFM-X-021": _allergic,
    "CHT-T-001": _stage_left_out,
    "EXM-C-018": _unchecked,
    "ELD-T-003": _examined_again,
    "ELD-T-002": _examined_again,
    "XFM-X-013": _high_and_unknown,
    "XFM-X-022": _another_year,
    "ELD-L-006": _recovered,
    "ELD-X-001": _graded_apart,
    "ELD-T-004": _assessed_apart,
    "ELD-C-002": _no_constitution,
    "TCM-L-013": _graded_wrong,
    "TCM-L-014": _graded_wrong,
    "XFM-X-012": _not_in_history,
    "EXM-L-010": _unadvised,
    "EXM-L-011": _unadvised,
    "TCM-A-002": _all_alike,
}
