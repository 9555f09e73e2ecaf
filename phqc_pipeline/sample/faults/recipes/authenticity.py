"""Work that is made up, and archives made twice under other names: visits copied or too regular, a doctor's copies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.calendar import to_date
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen, Recipe
from phqc_pipeline.sample.faults.recipes.twins import fresh_day, made_again, other_number
from phqc_pipeline.sample.faults.work import Fault

_SATISFIED = "1"  # CL_FU_CLASS
_BY_TELEPHONE = "3"  # CL_VISIT_MODE
_CHRONIC = ("htn_followup", "t2dm_followup")


# --- archives -----------------------------------------------------------------------------------------------------


def _namesake(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A resident archived again, with another identity number (UNI-U-003), or under a name one character off and
    without a number (UNI-U-004)."""
    work = kitchen.work
    same_name = rule.params["alike"] == "same name"
    for person in kitchen.lonely(fresh=False):
        row = kitchen.row(form_id, person)
        if row["phone"] == "无" and not same_name:
            continue
        work.reserved.add(person)
        again = fresh_day(work)
        values: dict[str, Any] = {
            "archive_no": row["archive_no"][:12] + f"{90000 + row['_row'] % 9999:05d}",
            **made_again(work, again),
        }
        if same_name:
            values["id_card_no"] = other_number(row["id_card_no"])
            if row["phone"] != "无":
                values["phone"] = next(work.phones)
        else:
            name = row["person_name"]
            values |= {"person_name": name[:-1] + ("勇" if name[-1] != "勇" else "永"), "id_card_no": None}
        work.clone(form_id, row["_row"], values)
        work.touched[form_id].add(row["_row"])
        return Fault(rule.rule_id, form_id, rule.field, subject=row["archive_no"])
    return None


# --- a person's visits --------------------------------------------------------------------------------------------


def _steady(kitchen: Kitchen, form_id: str, least: int) -> Iterator[tuple[int, pl.DataFrame]]:
    """Free people all of whose visits found them controlled, with their visits; those on one form alone first."""
    others = _on_the_other(kitchen, form_id)
    for person in sorted(kitchen.people(form_id), key=lambda one: one in others):
        rows = kitchen.work.rows_of(form_id, person)
        classes = set(rows["class_code"].to_list())
        if rows.height >= least and classes == {_SATISFIED} and not (rows["visit_mode_code"] == _BY_TELEPHONE).any():
            yield person, rows


def _on_the_other(kitchen: Kitchen, form_id: str) -> set[int]:
    """People followed for the other chronic disease too: what is told of them twice must agree."""
    return {
        person
        for other in _CHRONIC
        if form_id in _CHRONIC and other != form_id and other in kitchen.work.frames
        for person in kitchen.work.frames[other]["_person"].to_list()
    }


def _too_regular(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Blood pressure that never changes, goes by one step, or hardly moves: all below any limit."""
    regular = rule.params["regular"]
    for person, rows in _steady(kitchen, form_id, rule.params["min_n"]):
        for place, row in enumerate(rows.iter_rows(named=True)):
            values: dict[str, Any] = {
                "no change": {"sbp": 128},
                "equal steps": {"sbp": 108 + 2 * place, "dbp": 74},
                "hardly varying": {"sbp": 122 + place % 2, "dbp": 76 + place // 2 % 2},
            }[regular]
            kitchen.work.edit(form_id, row["_row"], values)
        kitchen.work.reserved.add(person)
        return Fault(rule.rule_id, form_id, rule.field, subject=rows["archive_no"][0])
    return None


def _by_the_calendar(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The period's visits exactly as many weeks apart."""
    work = kitchen.work
    start = to_date(work.times.period_start)
    for person, rows in _steady(kitchen, form_id, rule.params["min_n"]):
        visits = rows.filter(pl.col("visit_date") >= start)
        first = start + timedelta(days=8)
        weeks = (work.times.snapshot - timedelta(days=5) - first).days // 7 // max(visits.height - 1, 1)
        if visits.height < rule.params["min_n"] or not 4 <= weeks <= 13:
            continue
        for place, row in enumerate(visits.iter_rows(named=True)):
            day = first + timedelta(weeks=weeks * place)
            work.edit(
                form_id,
                row["_row"],
                {
                    "visit_date": day,
                    "created_at": work.entered(day),
                    "updated_at": None,
                    "updated_by": None,
                    "next_visit_date": day + timedelta(weeks=weeks),
                },
            )
        work.reserved.add(person)
        return Fault(rule.rule_id, form_id, rule.field, subject=rows["archive_no"][0])
    return None


def _copied_visit(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A visit that says what the one before said."""
    work = kitchen.work
    business = _business(kitchen, form_id)
    others = _on_the_other(kitchen, form_id)
    for person in sorted(kitchen.people(form_id), key=lambda one: one in others):
        rows = work.rows_of(form_id, person).unique("visit_date", keep="last", maintain_order=True)
        if rows.height < 2:
            continue
        before, last = rows.row(-2, named=True), rows.row(-1, named=True)
        work.edit(form_id, last["_row"], {name: before[name] for name in business})
        work.touched[form_id].add(before["_row"])
        work.reserved.add(person)
        return Fault(rule.rule_id, form_id, rule.field, row=last["_row"])
    return None


def _examined_twice(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """An examination again some weeks later, word for word."""
    work = kitchen.work
    for row in kitchen.rows(form_id):
        day = row["exam_date"] + timedelta(days=21)
        if day.year != row["exam_date"].year or day > work.times.snapshot - timedelta(days=3):
            continue
        work.clone(form_id, row["_row"], {"exam_date": day, "created_at": work.entered(day), "updated_at": None})
        work.touched[form_id].add(row["_row"])
        kitchen.reserve(row)
        return Fault(rule.rule_id, form_id, rule.field, subject=row["archive_no"])
    return None


# --- a doctor's records -------------------------------------------------------------------------------------------


def _many_alike(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """One visit's content on several residents of a doctor, all of one sex and controlled where the form says so."""
    work = kitchen.work
    count = int(rule.params["min_residents"])
    unfit = sorted(work.reserved | _on_the_other(kitchen, form_id))
    rows = work.frames[form_id].filter(~pl.col("_person").is_in(unfit) & pl.col("record_status").is_in(["1", "5"]))
    rows = rows.filter(pl.col("class_code") == _SATISFIED) if "class_code" in rows.columns else rows
    rows = rows.unique("_person", keep="last", maintain_order=True)
    for (doctor, _), theirs in rows.group_by("doctor_name", "sex_code", maintain_order=True):
        if theirs.height < count:
            continue
        model = theirs.row(0, named=True)
        for row in theirs.head(count).iter_rows(named=True):
            work.edit(form_id, row["_row"], {name: model[name] for name in _business(kitchen, form_id)})
            kitchen.reserve(row)
        return Fault(rule.rule_id, form_id, rule.field, subject=str(doctor))
    return None


def _business(kitchen: Kitchen, form_id: str) -> list[str]:
    return [field.name for field in kitchen.work.cat.forms[form_id].fields if field.business]


RECIPES: Mapping[str, Recipe] = {
    "UNI-U-003": _namesake,
    "UNI-U-004": _namesake,
    "AUT-A-009": _many_alike,
    "AUT-A-007": _too_regular,
    "AUT-A-021": _too_regular,
    "AUT-A-022": _too_regular,
    "AUT-A-032": _by_the_calendar,
    "AUT-A-008": _copied_visit,
    "AUT-A-030": _examined_twice,
}
