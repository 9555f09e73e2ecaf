"""Recipes of 高血压, 糖尿病, 慢阻肺: visits too few, too many, too late, on paper.

Belongs here: the recipe of each cross rule of these diseases; how often and when patients are seen. Does not belong
here: records that disagree (``disagreements``), looking people up (``patients``), the first day's recipes (``core``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.calendar import to_date
from phqc_pipeline.sample.faults.recipes import core, disagreements
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen, Recipe
from phqc_pipeline.sample.faults.recipes.patients import (
    FOLLOW_UPS,
    alone,
    card_of,
    exams_of,
    moved,
    period_of,
    reported,
    settled,
    share_of,
    walks,
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
    for person, visits in walks(kitchen, _DM):
        card = card_of(work, person, "T2DM")
        calm = (visits["class_code"] == _SATISFIED).all()
        if card is None or card["register_date"] >= start or visits.height < due or due < 1 or not calm:
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
        visits = work.rows_of(service, person).filter(pl.col("visit_date") >= start)
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
    _, today = period_of(work)
    for person, visits in walks(kitchen, form_id, only=True):
        for first, following in settled(visits):
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
    _, today = period_of(work)
    for person, visits in walks(kitchen, form_id, only=True):
        for row, following in settled(visits):
            day = row["visit_date"] + timedelta(days=2)
            if day <= today and following and _far_from_exams(kitchen, person, day, 2):
                values = {**moved(work, form_id, row, day), "sbp": row["sbp"] - 3, "dbp": row["dbp"] - 2}
                work.clone(form_id, row["_row"], values)
                return reported(kitchen, rule, form_id, row)
    return None


def _late_after_uncontrolled(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A visit not controlled, and the next one as if it had been."""
    work = kitchen.work
    measured: dict[str, Any] = {"sbp": 156.0, "dbp": 94.0} if form_id == _HTN else {"fbg": 8.3}
    for person, visits in walks(kitchen, form_id):
        for row, following in settled(visits):
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
        visits = work.rows_of(_HTN, person)
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
        visits = work.rows_of(form_id, person)
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
    _, today = period_of(work)
    days = timedelta(days=int(rule.params["within_days"]))
    for _, visits in walks(kitchen, form_id, only=True):
        for row in visits.filter(pl.col("class_code") == "4").to_dicts():
            near = visits.filter(pl.col("visit_date").is_between(row["visit_date"], row["visit_date"] + days, "right"))
            if row["visit_date"] + days < today and (near["visit_mode_code"] == "3").all():
                work.remove(form_id, near["_row"].to_list())
                return reported(kitchen, rule, form_id, row)
    for _, visits in walks(kitchen, form_id):
        for row, following in settled(visits):
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
        visits = work.rows_of(form_id, person)
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


RECIPES: Mapping[str, Recipe] = {
    "CPD-C-002": _lungs_not_tested,
    "CPD-T-001": _seldom_seen,
    "CPD-X-001": disagreements.smokes_after_all,
    "DM-X-002": disagreements.never_ill,
    "DM-T-002": _not_measured,
    "DM-T-003": _never_examined,
    "DM-X-004": disagreements.another_glucose,
    "DM-T-005": _late_after_uncontrolled,
    "DM-T-004": core.gap,
    "DM-T-006": _test_long_ago,
    "DM-L-015": core.before_diagnosis,
    "DM-X-003": disagreements.young,
    "HTN-L-023": disagreements.controlled_at_once,
    "HTN-T-007": _no_first_visit,
    "HTN-X-005": disagreements.another_pressure,
    "HTN-L-009": _referred_and_left,
    "HTN-T-002": _too_often,
    "HTN-T-004": _two_days_later,
    "HTN-T-005": _late_after_uncontrolled,
    "HTN-T-006": _never_examined,
    "HTN-T-008": _as_agreed,
    "HTN-C-010": _examined_late,
    "HTN-X-008": disagreements.second_disease,
    "HTN-X-002": disagreements.not_told,
    "HTN-X-003": disagreements.another_height,
    "HTN-X-004": disagreements.another_weight,
    "HTN-X-006": disagreements.smokes_after_all,
    "HTN-L-021": disagreements.in_hospital,
    "DM-L-014": disagreements.guessed,
    "HTN-X-001": disagreements.not_registered,
    "DM-X-001": disagreements.not_registered,
    "CPD-X-002": disagreements.not_registered,
}
