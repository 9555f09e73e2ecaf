"""Recipes of 高血压, 糖尿病, 慢阻肺: visits too many, too late, on paper; registrations and histories that disagree.

Belongs here: one recipe for each cross rule of these diseases. Does not belong here: what several families use to look
people up (``patients``), the first day's recipes (``core``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.calendar import to_date
from phqc_pipeline.sample.faults.recipes import core
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen, Recipe
from phqc_pipeline.sample.faults.recipes.patients import (
    FOLLOW_UPS,
    TOLD,
    adults_without_service,
    alone,
    card_of,
    exams_of,
    moved,
    period_of,
    profile_of,
    reported,
    share_of,
    younger,
)
from phqc_pipeline.sample.faults.work import Fault

_SATISFIED = "1"
_HTN, _DM, _COPD = FOLLOW_UPS["HTN"], FOLLOW_UPS["T2DM"], FOLLOW_UPS["COPD"]


# --- how often ----------------------------------------------------------------------------------------------------


def _never_examined(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The examination of the year was not made, that of an earlier year was."""
    work = kitchen.work
    start, _ = period_of(work)
    if share_of(work) < 1:
        return None
    for person in alone(kitchen, FOLLOW_UPS[rule.params["disease"]]):
        card = card_of(work, person, rule.params["disease"])
        exams = exams_of(work, person)
        late = exams.filter(pl.col("exam_date") >= start)
        if card is None or card["register_date"] >= start or not younger(work, person) or late.is_empty():
            continue
        if late.height < exams.height:
            work.remove("health_exam", late["_row"].to_list())
            return reported(kitchen, rule, form_id, card)
    return None


def _not_measured(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Visits on which glucose was not measured, so that there are fewer measurements than are due."""
    work = kitchen.work
    start, _ = period_of(work)
    due = int(rule.params["min_visits"] * share_of(work))
    for person in alone(kitchen, _DM) or kitchen.people(_DM):
        card = card_of(work, person, "T2DM")
        visits = work.rows_of(_DM, person).filter(pl.col("visit_date") >= start).sort("visit_date")
        settled = (visits["class_code"] == _SATISFIED).all()
        if card is None or card["register_date"] >= start or visits.height < due or due < 1 or not settled:
            continue
        for row in visits["_row"].to_list()[due - 1 :]:
            work.edit(_DM, row, {"fbg": None, "ppbg": None})
        return reported(kitchen, rule, form_id, card)
    return None


def _seldom_seen(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The later visits of the year were not made."""
    work = kitchen.work
    start, _ = period_of(work)
    service = rule.params["counted_form"]
    due = int(rule.params["min_visits"] * share_of(work))
    for person in kitchen.people(service):
        card = card_of(work, person, rule.params["disease"])
        visits = work.rows_of(service, person).filter(pl.col("visit_date") >= start).sort("visit_date")
        if card is None or card["register_date"] >= start or due < 1 or visits.height < due:
            continue
        work.remove(service, visits["_row"].to_list()[due - 1 :])
        return reported(kitchen, rule, form_id, card)
    return None


def _lungs_not_tested(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    start, _ = period_of(work)
    if share_of(work) < 1:
        return None
    for person in kitchen.people(_COPD):
        card = card_of(work, person, "COPD")
        if card is None or card["register_date"] >= start:
            continue
        for row in work.rows_of(_COPD, person).filter(pl.col("spirometry_date") >= start)["_row"].to_list():
            work.edit(_COPD, row, dict.fromkeys(("spirometry_date", "fev1_fvc", "fev1_pct", "gold_grade_code")))
        return reported(kitchen, rule, form_id, card)
    return None


def _too_often(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Telephone calls every few days between two visits, each entered as a visit."""
    work = kitchen.work
    start, today = period_of(work)
    for person in alone(kitchen, form_id):
        visits = work.rows_of(form_id, person).filter(pl.col("visit_date") >= start).sort("visit_date")
        for first, following in _settled(visits):
            wanted = int(rule.params["max_visits"]) + 1 - visits.height
            room = ((following["visit_date"] if following else today) - first["visit_date"]).days
            if wanted * 4 + 4 > room or not _far_from_exams(kitchen, person, first["visit_date"], room):
                continue
            for n in range(1, wanted + 1):
                day = first["visit_date"] + timedelta(days=4 * n)
                values = {**moved(work, form_id, first, day), "sbp": first["sbp"] - n % 5, "dbp": first["dbp"] - n % 3}
                work.clone(form_id, first["_row"], values)
            return reported(kitchen, rule, form_id, first)
    return None


def _settled(visits: pl.DataFrame) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Controlled visits face to face with the controlled one behind each (None: the last)."""
    rows = visits.to_dicts()
    for n, row in enumerate(rows):
        following = rows[n + 1] if n + 1 < len(rows) else None
        before = rows[n - 1] if n else None
        fit = all(one is None or one["class_code"] == _SATISFIED for one in (before, row, following))
        if fit and row["visit_mode_code"] != "3":
            yield row, following


def _far_from_exams(kitchen: Kitchen, person: int, day: date, days: int) -> bool:
    exams = exams_of(kitchen.work, person)["exam_date"].to_list()
    return not any(day - timedelta(days=9) <= one <= day + timedelta(days=days + 9) for one in exams)


def _examined_late(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The examinations before the first visit are not there."""
    work = kitchen.work
    start, _ = period_of(work)
    for person in alone(kitchen, _HTN):
        card = card_of(work, person, "HTN")
        first = work.rows_of(_HTN, person)["visit_date"].min()
        exams = exams_of(work, person)
        early = exams.filter(pl.col("exam_date") <= first)
        if not early.filter(pl.col("exam_date") >= start).is_empty():
            continue
        if card is None or not younger(work, person) or early.is_empty():
            continue
        work.remove("health_exam", early["_row"].to_list())
        return reported(kitchen, rule, form_id, card)
    return None


# --- when ---------------------------------------------------------------------------------------------------------


def _two_days_later(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    start, today = period_of(work)
    for person in alone(kitchen, form_id):
        visits = work.rows_of(form_id, person).filter(pl.col("visit_date") >= start).sort("visit_date")
        for row, following in _settled(visits):
            day = row["visit_date"] + timedelta(days=2)
            if day <= today and following and _far_from_exams(kitchen, person, day, 2):
                values = {**moved(work, form_id, row, day), "sbp": row["sbp"] - 3, "dbp": row["dbp"] - 2}
                work.clone(form_id, row["_row"], values)
                return reported(kitchen, rule, form_id, row)
    return None


def _late_after_uncontrolled(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A visit not controlled, and the next one as if it had been."""
    work = kitchen.work
    start, _ = period_of(work)
    measured: dict[str, Any] = {"sbp": 156.0, "dbp": 94.0} if form_id == _HTN else {"fbg": 8.3}
    for person in alone(kitchen, form_id) or kitchen.people(form_id):
        visits = work.rows_of(form_id, person).filter(pl.col("visit_date") >= start).sort("visit_date")
        for row, following in _settled(visits):
            if row["adherence_code"] == "3" or following is None or row.get("hba1c") is not None:
                continue
            far = _far_from_exams(kitchen, person, row["visit_date"], 0)
            if far and (following["visit_date"] - row["visit_date"]).days > int(rule.params["more_than_days"]):
                due = {"next_visit_date": row["visit_date"] + timedelta(days=13), "class_code": "2"}
                work.edit(form_id, row["_row"], {**due, **measured})
                return reported(kitchen, rule, form_id, row)
    return None


def _no_first_visit(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Registered long before the first visit: those before are not there."""
    work = kitchen.work
    start, _ = period_of(work)
    days = int(rule.params["within_days"])
    length = (date(start.year, 12, 31) - start).days + 1
    for person in alone(kitchen, _HTN):
        card = card_of(work, person, "HTN")
        visits = work.rows_of(_HTN, person).sort("visit_date")
        for first in visits.filter(pl.col("visit_date") >= start)["visit_date"].to_list():
            register = first - timedelta(days=days + 4)
            kept = visits.filter((pl.col("visit_date") >= first) & (pl.col("visit_mode_code") != "3"))
            managed = (work.times.snapshot - register).days + 1
            opened = to_date(work.people["archive_day"][person])
            if card is None or register < max(card["diagnosis_date"], opened, start):
                continue
            if kept["visit_date"].n_unique() >= 4 * managed // length:
                work.remove(_HTN, visits.filter(pl.col("visit_date") < first)["_row"].to_list())
                dates = {"register_date": register, "created_at": work.entered(register)}
                work.edit(form_id, card["_row"], {**dates, "updated_at": None, "updated_by": None})
                return reported(kitchen, rule, form_id, card)
    return None


def _as_agreed(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Every visit on the day that the one before agreed on."""
    work = kitchen.work
    start, _ = period_of(work)
    for person in kitchen.people(form_id):
        visits = work.rows_of(form_id, person).sort("visit_date")
        if visits.filter(pl.col("visit_date") >= start).height < int(rule.params["min_visits"]):
            continue
        rows = visits.to_dicts()
        for row, following in pairwise(rows):
            if following["visit_date"] >= start:
                work.edit(form_id, row["_row"], {"next_visit_date": following["visit_date"]})
        return reported(kitchen, rule, form_id, rows[-1])
    return None


def _referred_and_left(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The visit within two weeks of a referral was not made: after a complication, else after a new referral."""
    work = kitchen.work
    start, today = period_of(work)
    days = timedelta(days=int(rule.params["within_days"]))
    for person in alone(kitchen, form_id):
        visits = work.rows_of(form_id, person).filter(pl.col("visit_date") >= start).sort("visit_date")
        for row in visits.filter(pl.col("class_code") == "4").to_dicts():
            near = visits.filter(pl.col("visit_date").is_between(row["visit_date"], row["visit_date"] + days, "right"))
            if row["visit_date"] + days < today and (near["visit_mode_code"] == "3").all():
                work.remove(form_id, near["_row"].to_list())
                return reported(kitchen, rule, form_id, row)
    for person in alone(kitchen, form_id) or kitchen.people(form_id):
        visits = work.rows_of(form_id, person).filter(pl.col("visit_date") >= start).sort("visit_date")
        for row, following in _settled(visits):
            if following and (following["visit_date"] - row["visit_date"]).days > days.days:
                referral = {
                    "referral_flag": "2",
                    "referral_reason": "心律失常待查",
                    "referral_org": "地区人民医院心内科",
                }
                work.edit(form_id, row["_row"], referral)
                return reported(kitchen, rule, form_id, row)
    return None


def _test_long_ago(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Tested more than a year ago, and not since."""
    work = kitchen.work
    old = work.times.snapshot - timedelta(days=int(rule.params["max_days"]) + 8)
    for person in alone(kitchen, form_id) or kitchen.people(form_id):
        visits = work.rows_of(form_id, person).sort("visit_date")
        early = visits.filter((pl.col("visit_date") <= old) & (pl.col("fbg") <= 10))
        if early.is_empty() or visits["archive_status"][-1] != "1":
            continue
        for row in visits.filter(pl.col("hba1c_date") > old)["_row"].to_list():
            work.edit(form_id, row, {"hba1c": None, "hba1c_date": None})
        row = early.row(-1, named=True)
        tested = {"hba1c": round(max(row["fbg"] * 0.9 + 1.5, 4.5), 1), "hba1c_date": row["visit_date"]}
        work.edit(form_id, row["_row"], tested)
        return reported(kitchen, rule, form_id, row)
    return None


def _in_hospital(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
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


def _controlled_at_once(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Diagnosed on the day of registration, less than a month before the first visit."""
    work = kitchen.work
    for person in alone(kitchen, form_id):
        card = card_of(work, person, "HTN")
        first = work.rows_of(form_id, person).sort("visit_date").row(0, named=True)
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


def _guessed(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
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


def _not_registered(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
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


def _not_told(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
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


def _second_disease(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
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


def _never_ill(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Normal glucose on every visit of the year, and no drug."""
    work = kitchen.work
    start, _ = period_of(work)
    blank = [f"drug{slot}_{part}" for slot in (1, 2, 3) for part in ("name", "freq", "dose", "unit")]
    for person in alone(kitchen, _DM) or kitchen.people(_DM):
        card = card_of(work, person, "T2DM")
        visits = work.rows_of(_DM, person).filter(pl.col("visit_date") >= start).sort("visit_date")
        if card is None or visits["visit_date"].n_unique() < int(rule.params["min_visits"]):
            continue
        if not (visits["class_code"] == _SATISFIED).all():
            continue
        for n, row in enumerate(visits["_row"].to_list()):
            values = dict.fromkeys([*blank, "insulin_type", "insulin_usage", "ppbg"])
            work.edit(_DM, row, {**values, "adherence_code": "3", "fbg": 5.1 + n % 7 / 10})
        return reported(kitchen, rule, form_id, card)
    return None


def _young(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
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
        for row in kitchen.work.rows_of(form_id, person).sort("visit_date").to_dicts():
            if abs((row["visit_date"] - exam["exam_date"]).days) <= days:
                yield row, exam


def _another_height(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for row, exam in _beside_exam(kitchen, form_id, 400):
        if row["height_cm"] is not None and row["weight_kg"] is not None:
            height = round(exam["height_cm"] + 6.2, 1)
            bmi = round(row["weight_kg"] / (height / 100) ** 2, 1)
            kitchen.work.edit(form_id, row["_row"], {"height_cm": height, "bmi": bmi})
            return reported(kitchen, rule, form_id, row)
    return None


def _another_weight(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for row, exam in _beside_exam(kitchen, form_id, 60):
        if row["weight_kg"] is not None:
            weight = round(exam["weight_kg"] + 13.4, 1)
            bmi = round(row["bmi"] * weight / row["weight_kg"], 1)
            kitchen.work.edit(form_id, row["_row"], {"weight_kg": weight, "bmi": bmi})
            return reported(kitchen, rule, form_id, row)
    return None


def _another_pressure(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for row, exam in _beside_exam(kitchen, form_id, int(rule.params["within_days"])):
        high = row["sbp"] + int(rule.params["max_difference"]) + 5
        if high <= 190:
            sides = {"sbp_left": high, "sbp_right": high - 2, "dbp_left": 98.0, "dbp_right": 96.0}
            kitchen.work.edit("health_exam", exam["_row"], sides)
            return reported(kitchen, rule, form_id, row)
    return None


def _another_glucose(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for row, exam in _beside_exam(kitchen, form_id, 31):
        same = (row["visit_date"].year, row["visit_date"].month) == (exam["exam_date"].year, exam["exam_date"].month)
        if same and row["fbg"] is not None:
            higher = round(row["fbg"] + rule.params["max_difference"] + 0.7, 1)
            kitchen.work.edit("health_exam", exam["_row"], {"fbg_mmol": higher, "fbg_mgdl": None})
            return reported(kitchen, rule, form_id, row)
    return None


def _smokes_after_all(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for row, exam in _beside_exam(kitchen, form_id, 800):
        if exam["smoke_code"] == "1":
            values: dict[str, Any] = {"smoke_per_day": 5.0, "smoke_target": 2.0}
            kitchen.work.edit(form_id, row["_row"], values | ({"smoke_code": "3"} if "smoke_code" in row else {}))
            return reported(kitchen, rule, form_id, row)
    return None


RECIPES: Mapping[str, Recipe] = {
    "CPD-C-002": _lungs_not_tested,
    "CPD-T-001": _seldom_seen,
    "CPD-X-001": _smokes_after_all,
    "DM-X-002": _never_ill,
    "DM-T-002": _not_measured,
    "DM-T-003": _never_examined,
    "DM-X-004": _another_glucose,
    "DM-T-005": _late_after_uncontrolled,
    "DM-T-004": core.gap,
    "DM-T-006": _test_long_ago,
    "DM-L-015": core.before_diagnosis,
    "DM-X-003": _young,
    "HTN-L-023": _controlled_at_once,
    "HTN-T-007": _no_first_visit,
    "HTN-X-005": _another_pressure,
    "HTN-L-009": _referred_and_left,
    "HTN-T-002": _too_often,
    "HTN-T-004": _two_days_later,
    "HTN-T-005": _late_after_uncontrolled,
    "HTN-T-006": _never_examined,
    "HTN-T-008": _as_agreed,
    "HTN-C-010": _examined_late,
    "HTN-X-008": _second_disease,
    "HTN-X-002": _not_told,
    "HTN-X-003": _another_height,
    "HTN-X-004": _another_weight,
    "HTN-X-006": _smokes_after_all,
    "HTN-L-021": _in_hospital,
    "DM-L-014": _guessed,
    "HTN-X-001": _not_registered,
    "DM-X-001": _not_registered,
    "CPD-X-002": _not_registered,
}
