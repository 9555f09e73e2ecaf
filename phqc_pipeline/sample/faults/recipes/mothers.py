"""Recipes for pregnant women and mothers: booked late or twice, seen too seldom, days that do not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen, Recipe
from phqc_pipeline.sample.faults.recipes.patients import moved, period_of, person_with, reported
from phqc_pipeline.sample.faults.work import Fault

_BOOKED, _SEEN, _DELIVERED, _VISITED, _EXAMINED = (
    "prenatal_first",
    "prenatal_followup",
    "delivery_record",
    "postpartum_visit",
    "postpartum_42d",
)
_NEWBORN = "newborn_visit"


def _deliveries(kitchen: Kitchen, days: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Free women with their last delivery, of which so many days were over within the period."""
    start, today = period_of(kitchen.work)
    for person in kitchen.people(_DELIVERED):
        row = kitchen.row(_DELIVERED, person)
        if start <= row["delivery_date"] + timedelta(days=days + 1) <= today:
            yield person, row


def _booked_late(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The last period, and what follows from it, three weeks earlier."""
    earlier = timedelta(days=21)
    for row in kitchen.rows(form_id):
        if row["gest_weeks"] + 3 > rule.params["max_weeks"]:
            values = {
                "gest_weeks": row["gest_weeks"] + 3,
                "lmp_date": row["lmp_date"] - earlier,
                "edd_date": row["edd_date"] - earlier,
            }
            kitchen.work.edit(form_id, row["_row"], values)
            return reported(kitchen, rule, form_id, row)
    return None


def _booked_twice(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Booked again two weeks later, as if for the first time."""
    for row in kitchen.rows(form_id):
        day = row["fill_date"] + timedelta(days=14)
        if row["gest_weeks"] + 2 <= 12 and day <= kitchen.work.times.snapshot and row["referral_reason"] is None:
            values = {**moved(kitchen.work, form_id, row, day), "gest_weeks": row["gest_weeks"] + 2}
            kitchen.work.clone(form_id, row["_row"], values)
            return reported(kitchen, rule, form_id, row)
    return None


def _seldom_seen(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """All visits before the delivery but the first three were not made."""
    work = kitchen.work
    for person, row in _deliveries(kitchen, 0):
        booked, visits = work.rows_of(_BOOKED, person), work.rows_of(_SEEN, person)
        kept = int(rule.params["min_visits"]) - 2  # the booking counts as one
        if booked.height == 1 and visits.height > kept and visits["referral_reason"].null_count() == visits.height:
            work.remove(_SEEN, visits["_row"].to_list()[kept:])
            return reported(kitchen, rule, form_id, row)
    return None


def _visited_late(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for row in kitchen.rows(form_id):
        day = (row["discharge_date"] or row["visit_date"]) + timedelta(days=int(rule.params["max_days"]) + 2)
        if row["discharge_date"] is not None and day <= kitchen.work.times.snapshot:
            kitchen.work.edit(form_id, row["_row"], moved(kitchen.work, form_id, row, day))
            return reported(kitchen, rule, form_id, row)
    return None


def _not_visited(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Neither visited at home, a month after coming out of hospital."""
    for person, row in _deliveries(kitchen, int(rule.params["max_days"]) + 12):
        visits = kitchen.work.rows_of(_VISITED, person).filter(pl.col("visit_date") >= row["delivery_date"])
        if row["discharge_date"] is not None and visits.height:
            kitchen.work.remove(_VISITED, visits["_row"].to_list())
            return reported(kitchen, rule, form_id, row)
    return None


def _not_examined(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for person, row in _deliveries(kitchen, int(rule.params["max_days"])):
        exams = kitchen.work.rows_of(_EXAMINED, person).filter(pl.col("visit_date") >= row["delivery_date"])
        if exams.height and exams["referral_reason"].null_count() == exams.height:
            kitchen.work.remove(_EXAMINED, exams["_row"].to_list())
            return reported(kitchen, rule, form_id, row)
    return None


def _too_long(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Booking and last period so much earlier that the pregnancy would have taken eleven months."""
    work = kitchen.work
    for person in kitchen.people(form_id):
        row, booked = kitchen.row(form_id, person), work.rows_of(_BOOKED, person)
        one = booked.row(-1, named=True) if booked.height == 1 else None
        if one is None or one["lmp_date"] is None or one["referral_reason"] is not None:
            continue
        earlier = timedelta(days=int(rule.params["max_days"]) + 5) - (row["delivery_date"] - one["lmp_date"])
        if timedelta(0) < earlier < timedelta(days=60):
            dates = moved(work, _BOOKED, one, one["fill_date"] - earlier)
            back = {name: one[name] - earlier for name in ("lmp_date", "edd_date")}
            work.edit(_BOOKED, one["_row"], {**dates, **back})
            return reported(kitchen, rule, form_id, row)
    return None


def _day_differs(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The examination after six weeks tells the day after the delivery."""
    for person in kitchen.people(form_id):
        if kitchen.work.rows_of(_EXAMINED, person).is_empty():
            continue
        row = kitchen.row(_EXAMINED, person)
        kitchen.work.edit(_EXAMINED, row["_row"], {"delivery_date": row["delivery_date"] + timedelta(days=1)})
        return reported(kitchen, rule, form_id, row)
    return None


def _newborn_unvisited(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A child born alive whom nobody visited in its first month; seen later all the same."""
    work = kitchen.work
    for _, row in _deliveries(kitchen, int(rule.params["within_days"])):
        child = person_with(work, row["child_archive_no"])
        visits = work.rows_of(_NEWBORN, child) if child is not None else None
        if visits is None or visits.is_empty() or child in work.reserved:
            continue
        if row["outcome_code"] == rule.params["live_birth"] and visits["referral_reason"].null_count() == visits.height:
            work.remove(_NEWBORN, visits["_row"].to_list())
            kitchen.reserve(visits.row(0, named=True))
            return reported(kitchen, rule, form_id, row)
    return None


RECIPES: Mapping[str, Recipe] = {
    "PRG-X-001": _newborn_unvisited,
    "PRG-T-005": _not_examined,
    "PRG-T-004": _not_visited,
    "PRG-T-002": _seldom_seen,
    "PRG-L-011": _too_long,
    "PRG-X-002": _day_differs,
    "PRG-T-003": _visited_late,
    "PRG-U-001": _booked_twice,
    "PRG-T-001": _booked_late,
}
