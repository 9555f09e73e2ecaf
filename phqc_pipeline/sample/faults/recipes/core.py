"""Recipes of the first day: orphans, too few visits, service after the end, entries of one minute …

Belongs here: one recipe for each cross rule, on people chosen so that nothing else breaks where that can be had.
Does not belong here: saying what is violated in the end (``truth``, ``judge``): the key is made from the final records.

A recipe puts in one fault and returns it, or None when nobody fits (a small sample, a snapshot in mid-year). People it
uses are reserved: no other fault touches them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.calendar import to_date
from phqc_pipeline.sample.faults.proposals import check_digit
from phqc_pipeline.sample.faults.recipes import twins
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen, Recipe
from phqc_pipeline.sample.faults.recipes.patients import moved
from phqc_pipeline.sample.faults.work import Fault, Work

FOLLOW_UPS = {"HTN": "htn_followup", "T2DM": "t2dm_followup"}
_SERVICES = ("htn_followup", "t2dm_followup", "health_exam", "elderly_self_care")
_YEARLY = ("health_exam", "elderly_self_care")
_SATISFIED = "1"


# --- between forms ------------------------------------------------------------------------------------------------


def _differs(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """An item of identity that is another on one service record; its identity number goes with it."""
    work = kitchen.work
    item = rule.params["item"]
    service = next(one for one in ("health_exam", "htn_followup", "chronic_registry") if one in rule.reads)
    for person in kitchen.people(service):
        rows = work.rows_of(service, person)
        row = rows.row(0, named=True)
        number = row["id_card_no"]
        if item == "sex_code":
            if service == "health_exam" and (row["gyn_vulva_code"] is not None or row["pap_code"] is not None):
                continue
            sex = "2" if row["sex_code"] == "1" else "1"
            order = int(number[14:17])
            body = number[:14] + f"{order + (1 if order % 2 == 0 else -1):03d}"
            values = {"sex_code": sex, "id_card_no": body + check_digit(body)}
        elif item == "birth_date":
            born = row["birth_date"]
            moved = born.replace(day=born.day - 1 if born.day > 1 else 2)
            body = number[:6] + moved.strftime("%Y%m%d") + number[14:17]
            values = {"birth_date": moved, "id_card_no": body + check_digit(body)}
        else:
            values = {item: row[item][:-1] + ("明" if row[item][-1] != "明" else "亮")}
        work.reserved.add(person)
        work.edit(service, row["_row"], values)
        return Fault(rule.rule_id, form_id, rule.field, subject=row["archive_no"])
    return None


def _orphan(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A service record under a number that no archive has."""
    work = kitchen.work
    start = to_date(work.times.period_start)
    for person in kitchen.people(form_id):
        row = work.rows_of(form_id, person).row(0, named=True)
        # Nothing that cross rules would expect more of: no card that wants visits, no examination of this year.
        if row.get("disease") in FOLLOW_UPS or (
            form_id in _YEARLY and row[work.cat.forms[form_id].service_date] >= start
        ):
            continue
        work.reserved.add(person)
        number = work.clone(form_id, row["_row"], {
            "archive_no": row["archive_no"][:12] + f"{90000 + row['_row'] % 9000:05d}",
            "created_at": row["created_at"] + timedelta(seconds=77),
        })  # fmt: skip
        return Fault(rule.rule_id, form_id, rule.field, row=number)
    return None


def _after_the_end(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A visit by telephone to somebody who has moved away or was lost."""
    return _late_visit(
        kitchen, rule, form_id, statuses=("2", "4"), by_phone=True, forms=("htn_followup", "t2dm_followup")
    )


def _visit_after_death(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    return _late_visit(kitchen, rule, form_id, statuses=("3",), by_phone=False, forms=(form_id,))


def _visit_after_leaving(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    return _late_visit(kitchen, rule, form_id, statuses=("2", "4"), by_phone=False, forms=(form_id,))


def _late_visit(
    kitchen: Kitchen, rule: Rule, form_id: str, *, statuses: tuple[str, ...], by_phone: bool, forms: tuple[str, ...]
) -> Fault | None:
    work = kitchen.work
    for service in forms:
        for person in kitchen.people(service):
            row = kitchen.row(service, person)
            if row["archive_status"] not in statuses:
                continue
            late = row["archive_status_date"] + timedelta(days=work.chance.whole(9, 30))
            if late > work.times.snapshot or (late - row[work.cat.forms[service].service_date]).days > 400:
                continue
            values = moved(work, service, row, late)
            if by_phone:
                values |= {name: None for name in ("weight_kg", "bmi", "height_cm", "heart_rate") if name in row}
                values |= {
                    "visit_mode_code": "3",
                    "sign_other": "家庭自测血压",
                    "service_lng": None,
                    "service_lat": None,
                }
            elif "visit_mode_code" in row and row["visit_mode_code"] == "3":
                continue
            work.reserved.add(person)
            number = work.clone(service, row["_row"], values)
            if rule.grain == "row":
                return Fault(rule.rule_id, form_id, rule.field, row=number)
            return Fault(rule.rule_id, form_id, rule.field, subject=row["archive_no"])
    return None


# --- visits -------------------------------------------------------------------------------------------------------


def _no_referral(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The second uncontrolled visit in a row, without the referral it had."""
    work = kitchen.work
    uncontrolled = list(rule.params.get("uncontrolled", ("2", "3")))
    start = to_date(work.times.period_start)
    rows = work.frames[form_id].filter(~pl.col("_person").is_in(list(work.reserved)))
    rows = rows.sort("_person", "visit_date").with_columns(
        pl.col("class_code").shift(1).over("_person").alias("_before"),
    )
    critical = (pl.col("sbp") >= 180) | (pl.col("dbp") >= 110) if form_id == "htn_followup" else pl.col("fbg") >= 16.7
    fit = rows.filter(
        pl.col("class_code").is_in(uncontrolled)
        & pl.col("_before").is_in(uncontrolled)
        & (pl.col("visit_date") >= start)
        & ~critical
    )
    if fit.is_empty():
        return _raise_again(kitchen, rule, form_id)
    row = fit.row(work.chance.whole(0, fit.height - 1), named=True)
    work.reserved.add(row["_person"])
    work.edit(form_id, row["_row"], {"referral_reason": None, "referral_org": None, "referral_flag": "1"})
    return Fault(rule.rule_id, form_id, rule.field, subject=row["archive_no"])


def _raise_again(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Where nobody was twice uncontrolled: two controlled visits of the period made uncontrolled."""
    work = kitchen.work
    start = to_date(work.times.period_start)
    for person in kitchen.people(form_id):
        rows = work.rows_of(form_id, person).filter(pl.col("visit_date") >= start)
        if rows.height < 2 or not (rows["class_code"] == _SATISFIED).all() or (rows["adherence_code"] == "3").any():
            continue
        work.reserved.add(person)
        for row in rows.tail(2).iter_rows(named=True):
            measured = (
                {"sbp": 158.0 + row["_row"] % 5, "dbp": 94.0}
                if form_id == "htn_followup"
                else {"fbg": 8.4 + row["_row"] % 5 / 10}
            )
            work.edit(
                form_id,
                row["_row"],
                {"class_code": "2", "next_visit_date": row["visit_date"] + timedelta(days=13), **measured},
            )
        return Fault(rule.rule_id, form_id, rule.field, subject=rows["archive_no"][0])
    return None


def before_diagnosis(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A visit dated before the diagnosis on the register."""
    work = kitchen.work
    cards = work.frames["chronic_registry"].filter(pl.col("disease") == rule.params["disease"])
    diagnosed = dict(zip(cards["_person"].to_list(), cards["diagnosis_date"].to_list(), strict=True))
    born = dict(zip(range(work.people.height), work.people["birth"].to_list(), strict=True))
    for person in kitchen.people(form_id):
        if person not in diagnosed:
            continue
        day = diagnosed[person] - timedelta(days=work.chance.whole(12, 40))
        row = work.rows_of(form_id, person).filter(pl.col("class_code") == _SATISFIED).head(1)
        if row.is_empty() or day >= to_date(work.times.period_start) or (day - to_date(born[person])).days < 366 * 19:
            continue
        one = row.row(0, named=True)
        if one["sbp"] >= 140 or one["visit_mode_code"] == "3":
            continue
        work.reserved.add(person)
        number = work.clone(form_id, one["_row"], moved(work, form_id, one, day))
        return Fault(rule.rule_id, form_id, rule.field, row=number)
    return None


def _too_few(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The last visits of the year were not made: one fewer than are due, and no long gap between those that were."""
    work = kitchen.work
    disease = rule.params["disease"]
    service = FOLLOW_UPS[disease]
    other = FOLLOW_UPS["T2DM" if disease == "HTN" else "HTN"]
    start, today = to_date(work.times.period_start), work.times.snapshot
    both = set(work.frames[other]["_person"].to_list())
    due = int(rule.params.get("min_visits", 4)) * _period_share(work)
    cards = work.frames["chronic_registry"].filter(
        (pl.col("disease") == disease) & (pl.col("register_date") < start) & (pl.col("manage_status") == "1")
    )
    managed = set(cards["_person"].to_list())
    patients = [person for person in kitchen.people(service) if person in managed]
    for person in sorted(patients, key=lambda one: one in both):  # one with both diseases would lack both kinds
        rows = work.rows_of(service, person).filter(pl.col("visit_date").is_between(start, today))
        kept = int(due) - 1
        face_to_face = rows.filter(pl.col("visit_mode_code") != "3")
        if kept < 0 or face_to_face.height < kept or int(due) < 1:
            continue
        cut = face_to_face["visit_date"][kept] if face_to_face.height > kept else None
        gone = rows.filter(pl.col("visit_date") >= cut)["_row"].to_list() if cut else []
        work.reserved.add(person)
        work.remove(service, gone)
        return Fault(rule.rule_id, form_id, rule.field, subject=rows["archive_no"][0])
    return None


def _period_share(work: Work) -> float:
    """The part of the natural year that has passed, today included."""
    year = work.times.snapshot.year
    whole = (date(year, 12, 31) - date(year, 1, 1)).days + 1
    return ((work.times.snapshot - date(year, 1, 1)).days + 1) / whole


def gap(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A visit in the middle of the year was not made by somebody who was seen often enough all the same."""
    work = kitchen.work
    limit = int(rule.params.get("max_gap_days", 100))
    start, today = to_date(work.times.period_start), work.times.snapshot
    due = int(4 * _period_share(work))
    others = set(work.frames["t2dm_followup" if form_id == "htn_followup" else "htn_followup"]["_person"].to_list())
    for person in kitchen.people(form_id):
        rows = work.rows_of(form_id, person).filter(pl.col("visit_date").is_between(start, today))
        if rows.height < 3 or person in others:
            continue
        days = rows["visit_date"].to_list()
        modes = rows["visit_mode_code"].to_list()
        for n in range(1, rows.height - 1):
            remaining = sum(1 for m, mode in enumerate(modes) if m != n and mode != "3")
            settled = rows["class_code"][n - 1] == _SATISFIED and rows["class_code"][n] == _SATISFIED
            if (days[n + 1] - days[n - 1]).days > limit and settled and remaining >= due:
                work.reserved.add(person)
                work.remove(form_id, [rows["_row"][n]])
                return Fault(rule.rule_id, form_id, rule.field, subject=rows["archive_no"][0])
    return _came_late(kitchen, rule, form_id, others, limit)


def _came_late(kitchen: Kitchen, rule: Rule, form_id: str, others: set[int], limit: int) -> Fault | None:
    """Nobody was seen oftener than due: a visit that came late instead, still before the next one."""
    work = kitchen.work
    start, today = to_date(work.times.period_start), work.times.snapshot
    for person in kitchen.people(form_id):
        rows = work.rows_of(form_id, person).filter(pl.col("visit_date").is_between(start, today))
        if rows.height < 2 or person in others:
            continue
        days = rows["visit_date"].to_list()
        for n in range(1, rows.height):
            settled = rows["class_code"][n - 1] == _SATISFIED and rows["class_code"][n] == _SATISFIED
            late = days[n - 1] + timedelta(days=limit + work.chance.whole(1, 6))
            following = days[n + 1] if n + 1 < rows.height else today + timedelta(days=1)
            if settled and days[n] < late < following:
                work.reserved.add(person)
                row = rows.row(n, named=True)
                work.edit(form_id, row["_row"], moved(work, form_id, row, late))
                return Fault(rule.rule_id, form_id, rule.field, subject=row["archive_no"])
    return None


def _disagreeing(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Blood pressure of one day told differently on the two follow-up forms."""
    work = kitchen.work
    other = next(one for one in rule.reads if one != form_id)
    mine = set(work.frames[form_id]["_person"].to_list())
    for person in kitchen.people(other):
        if person not in mine:
            continue
        days = set(work.rows_of(form_id, person)["visit_date"].to_list())
        for row in work.rows_of(other, person).iter_rows(named=True):
            if row["visit_date"] in days and row["sbp"] + 6 - row["dbp"] <= 100:
                work.reserved.add(person)
                work.edit(other, row["_row"], {"sbp": row["sbp"] + 6})
                return Fault(rule.rule_id, form_id, rule.field, subject=row["archive_no"])
    return None


def _copied(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Three visits in a row with the same measurements."""
    work = kitchen.work
    start = to_date(work.times.period_start)
    run = int(rule.params.get("run_length", 3))
    others = set(work.frames["t2dm_followup" if form_id == "htn_followup" else "htn_followup"]["_person"].to_list())
    columns = [
        "sbp",
        "dbp",
        "weight_kg",
        "height_cm",
        "bmi",
        "target_weight_kg",
        "target_bmi",
        "fbg",
        "hba1c",
        "hba1c_date",
    ]
    # In a small sample every diabetic may be hypertensive as well; then both forms are copied alike.
    for alone in (True, False):
        for person in kitchen.people(form_id):
            if alone and person in others:
                continue
            rows = work.rows_of(form_id, person).filter(pl.col("visit_date") >= start)
            fit = rows.filter(pl.col("class_code") == _SATISFIED)
            if (
                fit.height < run
                or rows.head(run)["class_code"].to_list() != [_SATISFIED] * run
                or (rows.head(run)["visit_mode_code"] == "3").any()
            ):
                continue
            work.reserved.add(person)
            first = rows.row(0, named=True)
            copied = [name for name in columns if name in first and name not in ("hba1c", "hba1c_date")]
            blank = {name: None for name in ("hba1c", "hba1c_date") if name in first}
            for row in rows.head(run).iter_rows(named=True):
                work.edit(form_id, row["_row"], {**{name: first[name] for name in copied}, **blank})
            return Fault(rule.rule_id, form_id, rule.field, subject=first["archive_no"])
    return None


# --- elders -------------------------------------------------------------------------------------------------------


def _elders(kitchen: Kitchen, rule: Rule) -> Iterator[int]:
    """Free, active people who are elders in the period's year and no patients."""
    work = kitchen.work
    people = work.people
    year = work.times.snapshot.year
    patients = {
        person
        for form_id in ("htn_followup", "t2dm_followup", "chronic_registry")
        for person in work.frames[form_id]["_person"].to_list()
    }
    for person in kitchen.people("health_exam"):
        born = to_date(people["birth"][person]).year
        if (
            year - born >= int(rule.params.get("elder_age", 65))
            and people["status"][person] == "1"
            and person not in patients
        ):
            yield person


def _not_examined(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    if _period_share(work) < 1:
        return None  # due at the end of the period only (0a.12)
    start = to_date(work.times.period_start)
    for person in _elders(kitchen, rule):
        if work.people["archive_day"][person] >= work.times.period_start:
            continue
        archive_no = work.people["archive_no"][person]
        for service, day in (("health_exam", "exam_date"), ("elderly_self_care", "assess_date")):
            rows = work.rows_of(service, person)
            work.remove(service, rows.filter(pl.col(day) >= start)["_row"].to_list())
        work.reserved.add(person)
        return Fault(rule.rule_id, form_id, rule.field, subject=archive_no)
    return None


def _not_assessed(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    start = to_date(work.times.period_start)
    for person in _elders(kitchen, rule):
        rows = work.rows_of("elderly_self_care", person).filter(pl.col("assess_date") >= start)
        if rows.is_empty():
            continue
        work.reserved.add(person)
        work.remove("elderly_self_care", rows["_row"].to_list())
        return Fault(rule.rule_id, form_id, rule.field, subject=rows["archive_no"][0])
    return None


# --- entry --------------------------------------------------------------------------------------------------------


def _one_minute(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Records of many residents entered within one minute, long after: of the year before, or of any for archives."""
    work = kitchen.work
    count = int(rule.params.get("max_residents", 5)) + 2
    service = work.cat.forms[form_id].service_date
    if work.frames[form_id].height < 8 * count:  # a small form has other faults to carry
        return None
    rows = work.frames[form_id].filter(
        ~pl.col("_person").is_in(list(work.reserved))
        & ~pl.col("_row").is_in(sorted(work.touched[form_id]))
        & pl.col("archive_no").is_not_null()
        & pl.col("record_status").is_in(["1", "5"])
    )
    if form_id not in ("resident_profile", "chronic_registry"):
        rows = rows.filter(pl.col(service) < to_date(work.times.period_start))
    else:
        rows = rows.filter(pl.col(service) < work.times.snapshot - timedelta(days=60))
    busy = (
        rows.unique("_person", keep="first", maintain_order=True)
        .group_by("doctor_name", maintain_order=True)
        .len()
        .filter(pl.col("len") >= count)
    )
    used = {fault.subject for fault in work.faults if fault.rule_id == rule.rule_id and fault.form_id == form_id}
    busy = busy.filter(~pl.col("doctor_name").is_in(list(used)))
    if busy.is_empty():
        return None
    doctor = busy["doctor_name"][work.chance.whole(0, busy.height - 1)]
    theirs = (
        rows.filter(pl.col("doctor_name") == doctor)
        .sort(service, "_row")
        .unique("_person", keep="first", maintain_order=True)
    )
    start = work.chance.whole(0, theirs.height - count)
    picked = theirs.slice(start, count)
    last: date = max(picked[service].to_list())
    at = work.entered(last + timedelta(days=3)).replace(second=0)
    for n, row in enumerate(picked.iter_rows(named=True)):
        kitchen.reserve(row)
        changed = None if row["updated_at"] is None or row["updated_at"] >= at else at + timedelta(days=1)
        values = {"created_at": at + timedelta(seconds=n * 7)}
        work.edit(form_id, row["_row"], values if changed is None else {**values, "updated_at": changed})
    return Fault(rule.rule_id, form_id, rule.field, subject=doctor)


# In the order they are cooked: what the fewest people fit comes first.
RECIPES: Mapping[str, Recipe] = {
    # Record rules that speak of a person whose archive ended: the whole person must say so.
    "DM-L-016": _visit_after_death,
    "HTN-L-019": _visit_after_death,
    "EXM-L-035": _visit_after_death,
    "HTN-L-020": _visit_after_leaving,
    "XFM-X-019": _after_the_end,
    "DM-L-010": _no_referral,
    "DM-T-001": _too_few,
    "HTN-X-007": _disagreeing,
    "AUT-A-006": _copied,
    "HTN-L-008": _no_referral,
    "HTN-L-018": before_diagnosis,
    "HTN-T-003": gap,
    "HTN-T-001": _too_few,
    "ELD-T-001": _not_examined,
    "ELD-C-001": _not_assessed,
    "UNI-U-006": twins.shared_phone,
    "UNI-U-001": twins.two_archives,
    "UNI-U-002": twins.two_numbers,
    "XFM-X-001": _differs,
    "XFM-X-002": _differs,
    "XFM-X-003": _differs,
    "XFM-X-005": _orphan,
    "COM-U-001": twins.same_number,
    "COM-U-002": twins.same_day,
    "COM-U-003": twins.same_content,
    "AUT-A-012": _one_minute,
}
