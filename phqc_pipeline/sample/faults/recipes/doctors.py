"""Doctors who make records up: readings guessed, days too full, everybody well, one text for all, entries by roster.

Belongs here: one recipe a rule on what a doctor's records say together. Does not belong here: copies of single records
(``authenticity``), what a whole institution does (``everywhere``).

A recipe takes a doctor's records that no other fault has, and changes them so that every other record rule says of them
what it said before; the doctor is unmistakable, whatever all others do. So rules with a stated rate of false ones find
them too, and the answer key may list them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen, Recipe
from phqc_pipeline.sample.faults.recipes.patients import FOLLOW_UPS, TOLD, moved, period_of, profile_of
from phqc_pipeline.sample.faults.work import Fault, Work

_SATISFIED = "1"  # CL_FU_CLASS
_ACTIVE = "1"
_ENOUGH = 0.65  # of a doctor's records must be free to be made up
_GLUCOSE = (4.4, 16.0)  # between these no rule but that on control has a limit


def _free(work: Work, form_id: str) -> pl.Expr:
    """Records no fault has, of people no fault needs."""
    return ~pl.col("_row").is_in(sorted(work.touched[form_id])) & ~pl.col("_person").is_in(sorted(work.reserved))


def _doctors(kitchen: Kitchen, rule: Rule, form_id: str, usable: pl.Expr) -> Iterator[tuple[str, pl.DataFrame]]:
    """Doctors with enough records of the period and, of these, enough to be made up: the fewest records first.

    A doctor who makes something up on a form already is left alone.
    """
    work = kitchen.work
    start, today = period_of(work)
    taken = {fault.subject for fault in work.faults if fault.rule_id in RECIPES and fault.form_id == form_id}
    day = pl.col(work.cat.forms[form_id].service_date)
    rows = work.frames[form_id].filter(day.is_between(start, today) & pl.col("doctor_name").is_not_null())
    rows = rows.with_columns((usable & _free(work, form_id)).fill_null(False).alias("_usable"))
    doctors = rows.group_by("doctor_name").agg(pl.len().alias("n"), pl.col("_usable").mean())
    able = doctors.filter((pl.col("n") >= rule.params["min_n"] * 1.1) & (pl.col("_usable") >= _ENOUGH))
    for name in able.sort("n", "doctor_name")["doctor_name"].to_list():
        if name not in taken:
            yield name, rows.filter((pl.col("doctor_name") == name) & pl.col("_usable"))


def _seen_once(kitchen: Kitchen, form_id: str) -> pl.Expr:
    """Visits of people whom no other follow-up form knows on that day: of a day both must say the same."""
    forms = [one for one in FOLLOW_UPS.values() if one != form_id and one in kitchen.work.frames]
    told = pl.concat([kitchen.work.frames[one].select("_person", "visit_date") for one in forms])
    rows = kitchen.work.frames[form_id].join(told, on=["_person", "visit_date"], how="anti")
    return pl.col("_row").is_in(rows["_row"].implode())


# --- digits -------------------------------------------------------------------------------------------------------


def _guessed(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Readings rounded down to tens (to whole numbers), or with two last digits only: never across a limit."""
    column, unit = rule.params["column"], rule.params["unit"]
    if column == "fbg":
        usable = pl.col(column).is_between(*_GLUCOSE) & pl.col("hba1c").is_null()
    else:
        usable = pl.col(column).is_not_null() & _seen_once(kitchen, form_id)
    zeros = rule.params["test"] == "share of zero"
    for doctor, rows in _doctors(kitchen, rule, form_id, usable):
        for row in rows.iter_rows(named=True):
            tens, digit = divmod(round(row[column] / unit), 10)
            made_up = 10 * tens + (0 if zeros else 2 if digit < 5 else 8)
            kitchen.work.edit(form_id, row["_row"], {column: round(made_up * unit, 1)})
        if zeros:  # the digits of somebody who rounds are uneven as well
            kitchen.work.faults += [
                Fault(other.rule_id, form_id, other.field, subject=doctor)
                for other in kitchen.work.cat.rules
                if other.params.get("test") == "even spread" and other.params["column"] == column
            ]
        return Fault(rule.rule_id, form_id, rule.field, subject=doctor)
    return None


# --- days ---------------------------------------------------------------------------------------------------------


def _crowded_day(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The visits of ten weeks of the year before told for one day, the last of them."""
    work = kitchen.work
    start, _ = period_of(work)
    count, weeks = int(rule.params["max_residents"]) + 3, timedelta(weeks=10)
    calm = (pl.col("class_code") == _SATISFIED) & (pl.col("archive_status") == _ACTIVE)
    face_to_face = pl.col("visit_mode_code").is_in(rule.params["face_to_face"])
    rows = work.frames[form_id].filter(calm & face_to_face & _free(work, form_id) & _seen_once(kitchen, form_id))
    rows = rows.filter(pl.col("visit_date") < start - timedelta(days=7))
    for doctor, theirs in _busiest_first(rows):
        last = max(theirs["visit_date"].to_list())
        picked = theirs.filter(pl.col("visit_date") > last - weeks).sort("visit_date", descending=True)
        picked = picked.unique("_person", keep="first", maintain_order=True).head(count)
        if picked.height == count:
            for row in picked.iter_rows(named=True):
                work.edit(form_id, row["_row"], moved(work, form_id, row, last))
            return Fault(rule.rule_id, form_id, rule.field, subject=doctor)
    return None


def _busiest_first(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    count = rows.drop_nulls("doctor_name").group_by("doctor_name").agg(pl.col("_person").n_unique().alias("n"))
    for name in count.sort(pl.col("n"), "doctor_name", descending=[True, False])["doctor_name"].to_list():
        yield name, rows.filter(pl.col("doctor_name") == name)


def _by_the_roster(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Records of the year before entered on one day, one resident after the other as their archives are numbered.

    Anybody's that no fault has changed: when they were entered says nothing of a person.
    """
    work = kitchen.work
    start, _ = period_of(work)
    service, count = work.cat.forms[form_id].service_date, int(rule.params["min_residents"]) + 2
    untouched = ~pl.col("_row").is_in(sorted(work.touched[form_id])) & pl.col("archive_no").is_not_null()
    rows = work.frames[form_id].filter(untouched & (pl.col(service).cast(pl.Date) < start)).sort(service, "_row")
    for doctor, theirs in _busiest_first(rows.unique("_person", keep="last", maintain_order=True)):
        if theirs.height < count or work.frames[form_id].height < 4 * count:  # a small form has other faults to carry
            return None
        picked = theirs.tail(count)
        day = _day_off(work, form_id, doctor, picked[service].cast(pl.Date).to_list()[-1])
        for n, row in enumerate(picked.sort("archive_no").iter_rows(named=True)):
            at = work.entered(day).replace(hour=9 + n // 10, minute=n % 10 * 6, second=0)
            work.edit(form_id, row["_row"], {"created_at": at, "updated_at": None, "updated_by": None})
        return Fault(rule.rule_id, form_id, rule.field, subject=doctor)
    return None


def _day_off(work: Work, form_id: str, doctor: str, last: date) -> date:
    """The first day after some service on which the doctor entered nothing on the form."""
    entered = work.frames[form_id].filter(pl.col("doctor_name") == doctor)["created_at"].dt.date()
    busy = set(entered.to_list())
    return next(last + timedelta(days=n) for n in range(2, 400) if last + timedelta(days=n) not in busy)


def _in_two_places(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Two residents seen by one doctor on a day, the records entered ten minutes and seventy kilometres apart."""
    work = kitchen.work
    rows = work.frames[form_id].filter(
        _free(work, form_id) & pl.col("archive_no").is_not_null() & pl.col("updated_at").is_null()
    )
    for (doctor, day), theirs in rows.group_by("doctor_name", "visit_date", maintain_order=True):
        pair = theirs.unique("_person", keep="first", maintain_order=True).head(2)
        if pair.height < 2 or doctor is None or not isinstance(day, date):
            continue
        at = work.entered(day).replace(hour=20, minute=1)  # after everybody else
        for n, row in enumerate(pair.iter_rows(named=True)):
            place = {"service_lng": 87.2 + 0.9 * n, "service_lat": 47.5 + 0.2 * n}
            work.edit(form_id, row["_row"], {**place, "created_at": at + timedelta(minutes=10 * n)})
        return Fault(rule.rule_id, form_id, rule.field, subject=str(doctor))
    return None


# --- outcomes -----------------------------------------------------------------------------------------------------


def _signed_by(row: Mapping[str, Any]) -> dict[str, Any]:
    """Whose a record is: what is told on another record."""
    return {name: row[name] for name in ("doctor_id", "doctor_name", "visit_doctor", "entered_by")}


def _always_well(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Whoever is not controlled is seen by a colleague, and nobody has a complaint."""
    work = kitchen.work
    start, today = period_of(work)
    year = work.frames[form_id].filter(pl.col("visit_date").is_between(start, today))
    well = pl.col("class_code") == rule.params["controlled"]
    for doctor, rows in _doctors(kitchen, rule, form_id, pl.lit(True)):
        theirs = year.filter(pl.col("doctor_name") == doctor)
        unwell, left = rows.filter(~well), theirs.filter(well)
        stays = theirs.height - unwell.height
        fixed = left.filter(~pl.col("_row").is_in(rows["_row"].implode()))
        complaining = theirs.height - left.height - unwell.height + fixed.height
        colleague = year.filter(pl.col("doctor_name") != doctor).head(1)
        if stays < rule.params["min_n"] or complaining > (1 - rule.params["max_share"]) * 0.8 * stays:
            continue
        for row in unwell.iter_rows(named=True):
            work.edit(form_id, row["_row"], _signed_by(colleague.row(0, named=True)))
        for row in rows.filter(well).iter_rows(named=True):
            work.edit(form_id, row["_row"], {"symptom_codes": [rule.params["no_symptom"]], "symptom_other": None})
        return Fault(rule.rule_id, form_id, rule.field, subject=doctor)
    return None


def _same_words(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """One text in all of a doctor's records of the year, other faults' too: no other rule reads it."""
    work, column = kitchen.work, rule.params["columns"][0]
    start, today = period_of(work)
    rows = work.frames[form_id].filter(pl.col("visit_date").is_between(start, today)).drop_nulls(column)
    for doctor, theirs in _busiest_first(rows):
        if theirs.height < rule.params["min_n"] * 1.1:
            return None
        said = theirs[column].mode().sort()[0]
        others = theirs.filter(pl.col(column) != said)["_row"].to_list()
        for row in others[: len(others) - theirs.height // 12]:
            work.edit(form_id, row, {column: said})
        return Fault(rule.rule_id, form_id, rule.field, subject=doctor)
    return None


def _well_at_once(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """New patients, each diagnosed, registered and found controlled on the day of the first visit, by one doctor."""
    work, count = kitchen.work, int(rule.params["min_n"]) + 1
    start, _ = period_of(work)
    cards = work.frames["chronic_registry"].filter(
        (pl.col("disease") == rule.params["disease"]) & (pl.col("register_date") >= start)
    )
    fit = []
    for card in cards.filter(_free(work, "chronic_registry")).iter_rows(named=True):
        first = work.rows_of(form_id, card["_person"]).head(1)
        if first.height and first["class_code"][0] == _SATISFIED and first["visit_mode_code"][0] != "3":
            fit.append((card, first.row(0, named=True)))
    if len(fit) < count:
        return None
    doctor = _signed_by(fit[0][1])
    for card, row in fit[:count]:
        day = row["visit_date"]
        told = {"diagnosis_date": day, "register_date": day, "created_at": work.entered(day)}
        work.edit("chronic_registry", card["_row"], told | {"updated_at": None, "updated_by": None})
        profile = profile_of(work, card["_person"])
        since = {TOLD[rule.params["disease"]][1]: day.replace(day=1)}
        work.edit("resident_profile", profile["_row"], since)
        work.edit(form_id, row["_row"], doctor)
        kitchen.reserve(row)
    return Fault(rule.rule_id, form_id, rule.field, subject=doctor["doctor_name"])


def _one_doctor(recipe: Recipe) -> Recipe:
    """However many records a form has: one doctor makes something up there, not each of them.

    Whoever rounds to tens stands for uneven digits too, but is not the one who makes up uneven digits.
    """

    def cooked(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
        here = [fault for fault in kitchen.work.faults if fault.form_id == form_id]
        others = {fault.subject for fault in here if fault.rule_id != rule.rule_id and fault.rule_id in _ROUNDED}
        mine = {fault.subject for fault in here if fault.rule_id == rule.rule_id}
        done = mine - others if rule.rule_id not in _ROUNDED else mine
        return None if done else recipe(kitchen, rule, form_id)

    return cooked


_ROUNDED = ("AUT-A-002", "AUT-A-005")
_EARLY: Mapping[str, Recipe] = {
    "AUT-A-023": _well_at_once,
    "AUT-A-019": _always_well,
    "AUT-A-002": _guessed,
    "AUT-A-001": _guessed,
    "AUT-A-005": _guessed,
    "AUT-A-004": _guessed,
    "AUT-A-010": _crowded_day,
    "AUT-A-016": _in_two_places,
    "AUT-A-020": _same_words,
}
#: Cooked before all others take the doctors' patients; nobody but those of AUT-A-023 is reserved.
RECIPES: Mapping[str, Recipe] = {rule_id: _one_doctor(recipe) for rule_id, recipe in _EARLY.items()}
#: Cooked after all others, so that none of them enters anything on the same day.
LAST: Mapping[str, Recipe] = {"AUT-A-033": _one_doctor(_by_the_roster)}
