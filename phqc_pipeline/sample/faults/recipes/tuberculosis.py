"""Recipes of 肺结核: visits missed, treatments closed badly, resistance, cases that nobody manages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen, Recipe
from phqc_pipeline.sample.faults.recipes.patients import exams_of, period_of, reported, younger
from phqc_pipeline.sample.faults.work import Fault

_FIRST, _VISITS = "tb_first_visit", "tb_followup"
_DOCTOR, _FAMILY = "1", "2"
_COMPLETED = "1"


def _treatments(kitchen: Kitchen) -> Iterator[tuple[int, dict[str, Any], pl.DataFrame]]:
    """Free people with one first visit: it, and their follow-ups in order."""
    work = kitchen.work
    for person in kitchen.people(_VISITS):
        first, visits = work.rows_of(_FIRST, person), work.rows_of(_VISITS, person).sort("visit_date")
        if first.height == 1:
            yield person, first.row(0, named=True), visits


def _closings(kitchen: Kitchen) -> Iterator[tuple[dict[str, Any], dict[str, Any], pl.DataFrame]]:
    """First visit, completing visit and all follow-ups of free people; those of the period first."""
    start, _ = period_of(kitchen.work)
    found = [
        (first, visits.row(-1, named=True), visits)
        for _, first, visits in _treatments(kitchen)
        if visits["stop_reason_code"][-1] == _COMPLETED
    ]
    yield from sorted(found, key=lambda one: one[1]["visit_date"] < start)


def _record(kitchen: Kitchen, rule: Rule, form_id: str, row: Mapping[str, Any]) -> Fault:
    kitchen.reserve(row)
    kitchen.work.touched[form_id].add(row["_row"])
    return Fault(rule.rule_id, form_id, rule.field, row=row["_row"])


def _late(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for _, first, _ in _treatments(kitchen):
        if first["notice_date"] is not None:
            kitchen.work.edit(_FIRST, first["_row"], {"notice_date": first["notice_date"] - timedelta(days=3)})
            return reported(kitchen, rule, form_id, first)
    return None


def _supervised_by(kitchen: Kitchen, first: Mapping[str, Any], visits: pl.DataFrame, who: str) -> None:
    for form_id, rows in ((_FIRST, [first["_row"]]), (_VISITS, visits["_row"].to_list())):
        for row in rows:
            values = {"supervisor_code": who} | ({"supervisor_other": None} if form_id == _FIRST else {})
            kitchen.work.edit(form_id, row, values)


def _month_missed(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """No visit in a month of the second phase, though a doctor watches the doses."""
    start, today = period_of(kitchen.work)
    for _, first, visits in _treatments(kitchen):
        for month in (3, 4, 5):
            begins = first["visit_date"] + timedelta(days=30 * (month - 1))
            over = first["visit_date"] + timedelta(days=31 * month)
            within = (pl.col("treatment_month") == month) | pl.col("visit_date").is_between(begins, over)
            gone = visits.filter(within)
            last = visits.row(-1, named=True)
            if start <= begins and over < min(today, last["visit_date"]) and gone["stop_date"].is_null().all():
                _supervised_by(kitchen, first, visits, _DOCTOR)
                kitchen.work.remove(form_id, gone["_row"].to_list())
                return reported(kitchen, rule, form_id, last)
    return None


def _visit_missed(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """One visit fewer, so that the next comes too late; the family watches the doses."""
    start, _ = period_of(kitchen.work)
    for _, first, visits in _treatments(kitchen):
        rows = visits.to_dicts()
        for before, row, after in zip([first, *rows], rows, rows[1:], strict=False):
            phase = rule.params["from_month"] <= after["treatment_month"] <= rule.params["to_month"]
            days = (after["visit_date"] - before["visit_date"]).days
            early = min(before["visit_date"], row["visit_date"]) >= start
            same = before is first or before["treatment_month"] >= rule.params["from_month"]
            if phase and same and early and days > int(rule.params["max_gap_days"]):
                _supervised_by(kitchen, first, visits, _FAMILY)
                kitchen.work.remove(form_id, [row["_row"]])
                return reported(kitchen, rule, form_id, after)
    return None


def _numbers_lacking(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for _, last, _ in _closings(kitchen):
        kitchen.work.edit(form_id, last["_row"], dict.fromkeys(rule.params["columns"][:2]))
        return reported(kitchen, rule, form_id, last)
    return None


def _closed_twice(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Closed a second time, now with fewer doses; the report has counted the first."""
    work = kitchen.work
    start, today = period_of(work)
    for _, last, _ in _closings(kitchen):
        again = last["visit_date"] + timedelta(days=1)
        quarter = (last["stop_date"].month + 2) // 3
        submitted = quarter < 4 and (last["stop_date"].replace(month=3 * quarter, day=28) + timedelta(days=13)) <= today
        if last["stop_date"] < start or not submitted or (last["dose_rate"] or 0) < rule.params["min_rate"]:
            continue
        taken = float(int(last["should_dose"] * 0.85))
        rate = round(100 * taken / last["should_dose"], 1)
        dates = {"visit_date": again, "created_at": work.entered(again), "updated_at": None, "updated_by": None}
        work.clone(form_id, last["_row"], {**dates, "actual_dose": taken, "dose_rate": rate})
        return reported(kitchen, rule, form_id, last)
    return None


def _too_long(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for first, last, visits in _closings(kitchen):
        if first["resistance_code"] in rule.params["resistance"]:
            _supervised_by(kitchen, first, visits, "3")
            kitchen.work.edit(form_id, last["_row"], {"treatment_month": float(rule.params["max_months"]) + 2})
            return _record(kitchen, rule, form_id, last)
    return None


def _kept_here(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for first, _, visits in _closings(kitchen):
        if visits["referral_dept"].is_null().all():
            kitchen.work.edit(form_id, first["_row"], {"resistance_code": rule.params["resistance"][0]})
            return _record(kitchen, rule, form_id, first)
    return None


def _too_short(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for first, last, visits in _closings(kitchen):
        stopped = first["visit_date"] + timedelta(days=30 * int(rule.params["min_months"]) - 40)
        if stopped < last["visit_date"]:
            _supervised_by(kitchen, first, visits, "3")
            kitchen.work.edit(form_id, last["_row"], {"stop_date": stopped})
            return _record(kitchen, rule, form_id, last)
    return None


def _reported_only(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A card of another disease of the same class becomes one of tuberculosis."""
    work = kitchen.work
    ill = set(work.frames["chronic_registry"].filter(pl.col("disease") == rule.params["disease"])["_person"].to_list())
    for person in kitchen.people(form_id):
        row = work.rows_of(form_id, person).row(0, named=True)
        if person in ill or row["archive_no"] is None:
            continue
        values = {"disease_code": rule.params["reported"], "disease_class_code": "B", "case_class_code": "3"}
        work.edit(form_id, row["_row"], {**values, "case_form_code": None})
        return reported(kitchen, rule, form_id, row)
    return None


def _never_weighed(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    start, today = period_of(work)
    chronic = {
        person
        for other in ("htn_followup", "t2dm_followup", "smi_followup", "copd_followup")
        for person in work.frames[other]["_person"].to_list()
    }
    for person, first, visits in _treatments(kitchen):
        last = visits.row(-1, named=True)
        if last["visit_date"] < start or person in chronic or not younger(work, person):
            continue
        during = pl.col("exam_date").is_between(first["visit_date"], last["stop_date"] or today)
        work.remove("health_exam", exams_of(work, person).filter(during)["_row"].to_list())
        return reported(kitchen, rule, form_id, last)
    return None


RECIPES: Mapping[str, Recipe] = {
    "TB-L-003": _closed_twice,
    "TB-T-003": _visit_missed,
    "TB-T-002": _month_missed,
    "TB-T-004": _visit_missed,
    "TB-X-002": _never_weighed,
    "TB-L-007": _kept_here,
    "TB-L-008": _too_short,
    "TB-L-005": _too_long,
    "TB-C-004": _numbers_lacking,
    "TB-T-001": _late,
    "TB-X-001": _reported_only,
}
