"""Recipes of 高血压, 糖尿病, 慢阻肺: visits, registrations, histories and examinations that say different things.

Belongs here: the recipes ``chronic`` lists that set one record against another. Does not belong here: how often and
when patients are seen (``chronic``).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.calendar import to_date
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen
from phqc_pipeline.sample.faults.recipes.patients import (
    FOLLOW_UPS,
    TOLD,
    adults_without_service,
    alone,
    card_of,
    exams_of,
    period_of,
    profile_of,
    reported,
    walks,
)
from phqc_pipeline.sample.faults.work import Fault

_SATISFIED = "1"
_HTN, _DM = FOLLOW_UPS["HTN"], FOLLOW_UPS["T2DM"]


# --- visits -------------------------------------------------------------------------------------------------------


def in_hospital(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    for person in kitchen.people(form_id):
        for exam in exams_of(work, person).to_dicts():
            before = work.rows_of(form_id, person).filter(
                pl.col("visit_date").is_between(exam["exam_date"] - timedelta(200), exam["exam_date"] - timedelta(12))
                & (pl.col("visit_mode_code") != "3")
            )
            if before.is_empty():
                continue
            row = before.row(-1, named=True)
            stay = {
                "hosp_in_date_1": row["visit_date"] - timedelta(days=2),
                "hosp_out_date_1": row["visit_date"] + timedelta(days=4),
                "hosp_reason_1": "肺部感染",
                "hosp_org_1": "阿勒泰市人民医院",
                "hosp_no_1": f"ZY{row['_row']:06d}",
            }
            work.edit("health_exam", exam["_row"], stay)
            kitchen.reserve(row)
            work.touched[form_id].add(row["_row"])
            return Fault(rule.rule_id, form_id, rule.field, row=row["_row"])
    return None


def controlled_at_once(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Diagnosed on the day of registration, less than a month before the first visit."""
    work = kitchen.work
    for person in alone(kitchen, form_id):
        card = card_of(work, person, "HTN")
        first = work.rows_of(form_id, person).row(0, named=True)
        if card is None or first["class_code"] != _SATISFIED:
            continue
        if 0 <= (first["visit_date"] - card["register_date"]).days < int(rule.params["within_days"]):
            work.edit("chronic_registry", card["_row"], {"diagnosis_date": card["register_date"]})
            profile = profile_of(work, person)
            told = {TOLD["HTN"][1]: card["register_date"].replace(day=1)}
            work.edit("resident_profile", profile["_row"], told)
            kitchen.reserve(first)
            work.touched[form_id].add(first["_row"])
            return Fault(rule.rule_id, form_id, rule.field, row=first["_row"])
    return None


def guessed(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A doctor without visits of the kind gets some of the year before, all with whole numbers."""
    work = kitchen.work
    start, _ = period_of(work)
    rows = work.frames[form_id].filter(
        ~pl.col("_person").is_in(sorted(work.reserved))
        & ~pl.col("_row").is_in(sorted(work.touched[form_id]))
        & (pl.col("visit_date") < start)
        & (pl.col("class_code") == _SATISFIED)
        & (pl.col("fbg") >= 5.1)
        & pl.col("hba1c").is_null()
    )
    busy = set(work.frames[form_id]["doctor_name"].drop_nulls().to_list())
    others = pl.concat([one.select("doctor_name", "doctor_id") for one in work.frames.values()]).drop_nulls()
    free = others.filter(~pl.col("doctor_name").is_in(sorted(busy))).unique(maintain_order=True)
    wanted = int(rule.params["min_records"]) + 1
    people = rows.unique("_person", keep="first", maintain_order=True)
    if free.is_empty() or rows.height < wanted:
        return None
    doctor = free.row(0, named=True)
    taken = (people if people.height >= wanted else rows).head(wanted)
    for row in taken.iter_rows(named=True):
        kitchen.reserve(row)
        work.edit(
            form_id, row["_row"], {**doctor, "visit_doctor": doctor["doctor_name"], "fbg": float(int(row["fbg"]))}
        )
    return Fault(rule.rule_id, form_id, rule.field, row=taken["_row"][0])


# --- registrations and histories ----------------------------------------------------------------------------------


def not_registered(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The history tells a disease that nobody put on the register."""
    work = kitchen.work
    column, told_on = TOLD.get(rule.params["disease"], ("past_disease_codes", ""))
    for person in adults_without_service(kitchen):
        profile = profile_of(work, person)
        if profile[column] == ["1"]:
            since = work.times.snapshot.replace(year=work.times.snapshot.year - 2, month=3, day=1)
            work.edit(form_id, profile["_row"], {column: [rule.params["code"]], told_on: since})
            return reported(kitchen, rule, form_id, profile)
    return None


def not_told(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A patient whose history does not tell the disease."""
    work = kitchen.work
    column, told_on = TOLD[rule.params["disease"]]
    for person in alone(kitchen, FOLLOW_UPS[rule.params["disease"]]):
        profile = profile_of(work, person)
        if profile[column] and rule.params["code"] in profile[column] and profile["archive_status"] == "1":
            rest = [code for code in profile[column] if code != rule.params["code"]]
            work.edit("resident_profile", profile["_row"], {column: rest or ["1"], told_on: None})
            return reported(kitchen, rule, form_id, profile)
    return None


def second_disease(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Once registered for diabetes and lost; nobody has looked after it since."""
    work = kitchen.work
    start, _ = period_of(work)
    for person in alone(kitchen, _HTN):
        card = card_of(work, person, "HTN")
        born = to_date(work.people["birth"][person])
        if card is None or card["register_date"] >= start - timedelta(days=60):
            continue
        if (card["diagnosis_date"] - born).days < 36 * 366:
            continue
        lost = {"manage_status": "6", "end_date": start - timedelta(days=20), "end_reason": "3"}
        work.clone("chronic_registry", card["_row"], {"disease": "T2DM", **lost})
        return reported(kitchen, rule, form_id, card)
    return None


def never_ill(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Normal glucose on every visit of the year, and no drug."""
    work = kitchen.work
    blank = [f"drug{slot}_{part}" for slot in (1, 2, 3) for part in ("name", "freq", "dose", "unit")]
    for person, visits in walks(kitchen, _DM):
        card = card_of(work, person, "T2DM")
        if card is None or visits["visit_date"].n_unique() < int(rule.params["min_visits"]):
            continue
        if not (visits["class_code"] == _SATISFIED).all():
            continue
        for n, row in enumerate(visits["_row"].to_list()):
            values = dict.fromkeys([*blank, "insulin_type", "insulin_usage", "ppbg"])
            work.edit(_DM, row, {**values, "adherence_code": "3", "fbg": 5.1 + n % 7 / 10})
        return reported(kitchen, rule, form_id, card)
    return None


def young(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    column, told_on = TOLD["T2DM"]
    for person in kitchen.people(_DM):
        card = card_of(work, person, "T2DM")
        born = to_date(work.people["birth"][person])
        if card is not None:
            day = born + timedelta(days=(int(rule.params["min_age"]) - 1) * 365)
            work.edit(form_id, card["_row"], {"diagnosis_date": day})
            profile = profile_of(work, person)
            if profile[column] and rule.params.get("code", "3") in profile[column]:
                work.edit("resident_profile", profile["_row"], {told_on: day.replace(day=1)})
            return reported(kitchen, rule, form_id, card)
    return None


# --- examinations -------------------------------------------------------------------------------------------------


def _beside_exam(kitchen: Kitchen, form_id: str, days: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """A visit and the person's last examination, so many days apart at most."""
    for person in alone(kitchen, form_id) or kitchen.people(form_id):
        exams = exams_of(kitchen.work, person)
        if exams.is_empty():
            continue
        exam = exams.row(-1, named=True)
        for row in kitchen.work.rows_of(form_id, person).to_dicts():
            if abs((row["visit_date"] - exam["exam_date"]).days) <= days:
                yield row, exam


def another_height(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for row, exam in _beside_exam(kitchen, form_id, 400):
        if row["height_cm"] is not None and row["weight_kg"] is not None:
            height = round(exam["height_cm"] + 6.2, 1)
            bmi = round(row["weight_kg"] / (height / 100) ** 2, 1)
            kitchen.work.edit(form_id, row["_row"], {"height_cm": height, "bmi": bmi})
            return reported(kitchen, rule, form_id, row)
    return None


def another_weight(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for row, exam in _beside_exam(kitchen, form_id, 60):
        if row["weight_kg"] is not None:
            weight = round(exam["weight_kg"] + 13.4, 1)
            bmi = round(row["bmi"] * weight / row["weight_kg"], 1)
            kitchen.work.edit(form_id, row["_row"], {"weight_kg": weight, "bmi": bmi})
            return reported(kitchen, rule, form_id, row)
    return None


def another_pressure(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for row, exam in _beside_exam(kitchen, form_id, int(rule.params["within_days"])):
        high = row["sbp"] + int(rule.params["max_difference"]) + 5
        if high <= 190:
            sides = {"sbp_left": high, "sbp_right": high - 2, "dbp_left": 98.0, "dbp_right": 96.0}
            kitchen.work.edit("health_exam", exam["_row"], sides)
            return reported(kitchen, rule, form_id, row)
    return None


def another_glucose(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for row, exam in _beside_exam(kitchen, form_id, 31):
        same = (row["visit_date"].year, row["visit_date"].month) == (exam["exam_date"].year, exam["exam_date"].month)
        if same and row["fbg"] is not None:
            higher = round(row["fbg"] + rule.params["max_difference"] + 0.7, 1)
            kitchen.work.edit("health_exam", exam["_row"], {"fbg_mmol": higher, "fbg_mgdl": None})
            return reported(kitchen, rule, form_id, row)
    return None


def smokes_after_all(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for row, exam in _beside_exam(kitchen, form_id, 800):
        if exam["smoke_code"] == "1":
            values: dict[str, Any] = {"smoke_per_day": 5.0, "smoke_target": 2.0}
            kitchen.work.edit(form_id, row["_row"], values | ({"smoke_code": "3"} if "smoke_code" in row else {}))
            return reported(kitchen, rule, form_id, row)
    return None
