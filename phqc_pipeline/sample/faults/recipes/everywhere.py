"""What a whole institution does: visits on days of rest, at the end of the month, from one place, all answers alike.

Belongs here: one recipe a rule that judges an institution by all of its records on a form. Does not belong here: single
doctors (``doctors``), counts of activities (``community``).

Each rule asks many forms; the fault is put into one of them, that with the fewest records that suffice. It is put in
before all others, which then find the records as they are: nobody is reserved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.calendar import sunday_off
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen, Recipe
from phqc_pipeline.sample.faults.recipes.patients import moved, period_of
from phqc_pipeline.sample.faults.work import Fault, Work

_SATISFIED = "1"
_SHIFT = 8  # days a visit may be moved without anybody waiting too long for the next


def _institution(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault:
    return Fault(rule.rule_id, form_id, rule.field, subject=kitchen.work.institution.code)


def _of_period(work: Work, form_id: str) -> pl.DataFrame:
    start, today = period_of(work)
    return work.frames[form_id].filter(pl.col(work.cat.forms[form_id].service_date).is_between(start, today))


def _on_one_form(count: Callable[[Kitchen, Rule, str], int], place: int = 0) -> Callable[[Recipe], Recipe]:
    """Put the fault only into the form with the fewest records that suffice (``place`` 1: the form after it)."""

    def bound(recipe: Recipe) -> Recipe:
        def cooked(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
            done = any(fault.rule_id == rule.rule_id for fault in kitchen.work.faults)
            asked = rule.form_ids or rule.forms
            counts = {one: count(kitchen, rule, one) for one in asked if one in kitchen.work.frames}
            able = sorted((n, one) for one, n in counts.items() if n >= rule.params["min_n"] * 1.3)
            chosen = able[min(place, len(able) - 1)][1] if able else None
            return recipe(kitchen, rule, form_id) if form_id == chosen and not done else None

        return cooked

    return bound


def _visits(kitchen: Kitchen, rule: Rule, form_id: str) -> int:
    return _calm(kitchen, form_id).height


def _calm(kitchen: Kitchen, form_id: str) -> pl.DataFrame:
    """Visits of the period face to face; of forms that tell treatment by months, none, as these are seen on the day."""
    rows = _of_period(kitchen.work, form_id)
    return rows.clear() if "treatment_month" in rows.columns else rows.filter(pl.col("visit_mode_code") != "3")


def _move(work: Work, form_id: str, rows: pl.DataFrame, day_of: Callable[[date], date | None], share: float) -> bool:
    """Move visits to the day ``day_of`` says until ``share`` of them are there; whether that many could be moved."""
    taken = set(zip(rows["_person"].to_list(), rows["visit_date"].to_list(), strict=True))
    wanted = int(share * rows.height) + 2
    plan: list[tuple[dict[str, Any], date]] = []
    for row in rows.iter_rows(named=True):
        day = day_of(row["visit_date"])
        if day is not None and (row["_person"], day) not in taken and len(plan) < wanted:
            taken.add((row["_person"], day))
            plan.append((row, day))
    if len(plan) < wanted:
        return False
    for row, day in plan:
        work.edit(form_id, row["_row"], moved(work, form_id, row, day))
    return True


@_on_one_form(_visits)
def _on_days_of_rest(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    _, today = period_of(work)

    def nearest(day: date) -> date | None:
        near = (day + timedelta(days=n * sign) for n in range(1, 4) for sign in (1, -1))
        return next((one for one in near if one <= today and sunday_off(one)), None)

    done = _move(work, form_id, _calm(kitchen, form_id), nearest, rule.params["max_share"] * 1.5)
    return _institution(kitchen, rule, form_id) if done else None


@_on_one_form(_visits, 1)
def _at_months_end(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    _, today = period_of(work)

    def last_of_month(day: date) -> date | None:
        before = day.replace(day=1) - timedelta(days=1)
        end = (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        near = [one for one in (before, end) if abs((one - day).days) <= _SHIFT and one <= today]
        return near[0] if near and near[0].year == day.year else None

    done = _move(work, form_id, _calm(kitchen, form_id), last_of_month, rule.params["max_share"] * 1.15)
    return _institution(kitchen, rule, form_id) if done else None


def _located(kitchen: Kitchen, rule: Rule, form_id: str) -> int:
    rows = _of_period(kitchen.work, form_id)
    return rows.drop_nulls("service_lng").height


@_on_one_form(_located)
def _from_one_place(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    rows = kitchen.work.frames[form_id]
    placed = rows["service_lng"].is_not_null()
    _set(kitchen.work, form_id, placed, {"service_lng": 87.61, "service_lat": 47.72})
    return _institution(kitchen, rule, form_id)


def _set(work: Work, form_id: str, where: pl.Series, values: Mapping[str, Any]) -> None:
    """Put values into many records at once; no record rule says anything of them."""
    rows = work.frames[form_id]
    work.frames[form_id] = rows.with_columns(
        pl.when(where).then(pl.lit(value, rows.schema[name])).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


def _entered(kitchen: Kitchen, rule: Rule, form_id: str) -> int:
    start, today = period_of(kitchen.work)
    return kitchen.work.frames[form_id].filter(pl.col("created_at").dt.date().is_between(start, today)).height


@_on_one_form(_entered)
def _in_the_last_week(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Most of the year's records entered in its last week, in no order."""
    work = kitchen.work
    start, today = period_of(work)
    first = today - timedelta(days=int(rule.params["days"]) - 1)
    if (today.month, today.day) != (12, 31):
        return None  # the week is the year's last
    rows = work.frames[form_id].filter(pl.col("created_at").dt.date().is_between(start, today))
    early = rows.filter(pl.col("created_at").dt.date() < first)["_row"].to_list()
    for n in work.chance.order(len(early))[: int(rows.height * rule.params["max_share"] * 1.2) + 2]:
        at = work.entered(first + timedelta(days=work.chance.whole(0, 5)))
        work.edit(form_id, early[int(n)], {"created_at": at, "updated_at": None, "updated_by": None})
    return _institution(kitchen, rule, form_id)


def _answered(kitchen: Kitchen, rule: Rule, form_id: str) -> int:
    rows = _of_period(kitchen.work, form_id)
    return max((rows[name].count() for name in rule.params["columns"] if name in rows.columns), default=0)


@_on_one_form(_answered)
def _one_answer(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    rows = kitchen.work.frames[form_id]
    column = next(name for name in reversed(rule.params["columns"]) if name in rows.columns)
    _set(kitchen.work, form_id, rows[column].is_not_null(), {column: rows[column].mode().sort()[0]})
    return _institution(kitchen, rule, form_id)


def _all_hale(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The very old without exception controlled, without complaint and able to care for themselves."""
    work, params = kitchen.work, rule.params
    assessed = _old(work, "elderly_self_care", params["old_age"])
    visits = _old(work, form_id, params["old_age"])
    people = set(assessed["_person"].to_list()) | set(visits["_person"].to_list())
    if len(people) < params["min_n"] or people & work.reserved:
        return None
    able = {name: 0.0 for name in assessed.columns if name.endswith("_score")}
    for row in assessed["_row"].to_list():
        work.edit("elderly_self_care", row, {**able, "grade_code": params["independent"]})
    exams = _old(work, "health_exam", params["old_age"])
    for row in exams.filter(pl.col("elder_adl_code").is_not_null())["_row"].to_list():
        work.edit("health_exam", row, {"elder_adl_code": params["independent"]})
    for row in visits.iter_rows(named=True):
        work.edit(form_id, row["_row"], {"symptom_codes": [params["no_symptom"]], "symptom_other": None})
        if row["class_code"] != params["controlled"]:
            calm = {"sbp": 138.0, "dbp": 78.0, "class_code": params["controlled"], "referral_flag": "1"}
            gone = dict.fromkeys(("referral_reason", "referral_org", "adr_desc"))
            work.edit(form_id, row["_row"], {**calm, **gone, "adr_code": "1"})
    work.reserved |= people
    return _institution(kitchen, rule, form_id)


def _old(work: Work, form_id: str, age: int) -> pl.DataFrame:
    day = pl.col(work.cat.forms[form_id].service_date)
    return _of_period(work, form_id).filter(pl.col("birth_date").dt.offset_by(f"{age}y") <= day)


#: Rules whose fault is put into one of their forms only.
ON_ONE_FORM = ("AUT-A-013", "AUT-A-014", "AUT-A-015", "AUT-A-017", "AUT-A-025")
RECIPES: Mapping[str, Recipe] = {
    "AUT-A-034": _all_hale,
    "AUT-A-014": _on_days_of_rest,
    "AUT-A-015": _at_months_end,
    "AUT-A-017": _from_one_place,
    "AUT-A-025": _one_answer,
    "AUT-A-013": _in_the_last_week,
}
