"""Recipes for work for the whole place, referrals and disease cards: too little of it, papers that are lacking."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen, Recipe
from phqc_pipeline.sample.faults.recipes.patients import period_of, reported, share_of
from phqc_pipeline.sample.faults.work import Fault

_SLIPS, _LETTERS = "referral_out", "referral_back"
_ORG_COLUMN = {"tb_followup": "referral_dept"}


def _of_place(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault:
    return Fault(rule.rule_id, form_id, rule.field, subject=kitchen.work.institution.code)


# --- disease cards ------------------------------------------------------------------------------------------------


def _card_again(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A case reported once more two days later, on a card of its own."""
    for row in kitchen.rows(form_id):
        again = row["report_time"] + timedelta(days=2)
        if row["report_type_code"] == rule.params["correction"] or not row["patient_name"]:
            continue
        if again.date() < kitchen.work.times.snapshot - timedelta(days=3):
            kitchen.reserve(row)
            values = {
                "report_time": again,
                "card_no": f"{row['card_no'][:-1]}{(int(row['card_no'][-1]) + 5) % 10}",
                "created_at": row["created_at"] + timedelta(days=2, minutes=3),
                "updated_at": None,
                "updated_by": None,
            }
            kitchen.work.clone(form_id, row["_row"], values)
            kitchen.work.touched[form_id].add(row["_row"])
            return Fault(rule.rule_id, form_id, rule.field, row=row["_row"])
    return None


# --- health education and supervision -----------------------------------------------------------------------------


def _done(kitchen: Kitchen, rule: Rule, form_id: str) -> pl.DataFrame:
    """What the health centre itself did of a kind in the period, in order."""
    work = kitchen.work
    start, today = period_of(work)
    service = work.cat.forms[form_id].service_date
    rows = work.frames[form_id].sort(service)
    if "where_column" in rule.params:
        clinics = [village.clinic_code for village in work.institution.villages]
        of_kind = pl.col(rule.params["where_column"]) == rule.params["where_code"]
        rows = rows.filter(of_kind & ~pl.col("institution_code").is_in(clinics))
    return rows.filter(pl.col(service).cast(pl.Date).is_between(start, today))


def _no_evidence(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A gathering of the year of which there is nothing but paper."""
    year: date = kitchen.work.times.snapshot
    for row in kitchen.rows(form_id):
        if row["activity_form"] in rule.params["gatherings"] and row["activity_date"].year == year.year:
            kitchen.work.edit(form_id, row["_row"], {"evidence_codes": ["1"]})
            return _of_place(kitchen, rule, form_id)
    return None


def _too_few(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """One fewer than are due; of kinds of material, one kind was used again and again instead.

    Of a form that is all counted none is left: faults of single records bring some back into the period.
    """
    rows = _done(kitchen, rule, form_id)
    left = int(rule.params["min_count"] * share_of(kitchen.work)) - 1
    kinds = rule.params.get("kinds_of")
    if left < 1 or _settled(kitchen, rule):
        return None
    if kinds is None:
        kitchen.work.remove(form_id, rows["_row"].to_list()[left if "where_column" in rule.params else 0 :])
    else:
        names = rows[kinds].unique(maintain_order=True)
        for row in rows.filter(pl.col(kinds).is_in(names[left:].implode()))["_row"].to_list():
            kitchen.work.edit(form_id, row, {kinds: names[0]})
    return _of_place(kitchen, rule, form_id)


def _settled(kitchen: Kitchen, rule: Rule) -> bool:
    """Whether the institution has this fault already: it can have it only once."""
    return any(fault.rule_id == rule.rule_id for fault in kitchen.work.faults)


def _month_without(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """No lecture in a month of the middle of the period."""
    rows = _done(kitchen, rule, form_id)
    months = rows.with_columns(pl.col("activity_date").dt.truncate("1mo").alias("month")).partition_by("month")
    complete = [one for one in months if one["month"][0].month < kitchen.work.times.snapshot.month]
    if not complete or _settled(kitchen, rule):
        return None
    kitchen.work.remove(form_id, complete[len(complete) // 2]["_row"].to_list())
    return _of_place(kitchen, rule, form_id)


def _board_forgotten(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The boards were changed at the beginning of the period and at its end, and not in between."""
    rows = _done(kitchen, rule, form_id)
    between = rows["_row"].to_list()[1:-1]
    if _settled(kitchen, rule) or not between:
        return None
    kitchen.work.remove(form_id, between)
    return _of_place(kitchen, rule, form_id)


# --- referrals ----------------------------------------------------------------------------------------------------


def _nothing_heard(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Referred on; the letter that came back is not there, nor was anybody seen within the month."""
    work = kitchen.work
    start, today = period_of(work)
    within = timedelta(days=int(rule.params["within_days"]))
    for row in kitchen.rows(form_id):
        day = row["referral_date"]
        if not start <= day + within + timedelta(days=1) <= today:
            continue
        near = {
            one: work.rows_of(one, row["_person"]).filter(
                pl.col(work.cat.forms[one].service_date).cast(pl.Date).is_between(day, day + within, "right")
            )
            for one in rule.reads
            if one != form_id and one in work.frames
        }
        if all(rows.is_empty() for one, rows in near.items() if one != _LETTERS):
            work.remove(_LETTERS, near[_LETTERS]["_row"].to_list() if _LETTERS in near else [])
            return reported(kitchen, rule, form_id, row)
    return None


def _slip_lost(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A visit that referred on, without the slip it had; where none did, one that now says so."""
    work = kitchen.work
    day, org = work.cat.forms[form_id].service_date, _ORG_COLUMN.get(form_id, "referral_org")
    near = timedelta(days=int(rule.params["near_days"]))
    people = kitchen.people(form_id)
    told = work.frames[form_id].filter(pl.col("referral_reason").is_not_null())["_person"].to_list()
    for person in (one for one in people if one in set(told)):
        visits = work.rows_of(form_id, person).filter(pl.col("referral_reason").is_not_null())
        slips = work.rows_of(_SLIPS, person)
        row = visits.row(-1, named=True)
        lost = slips.filter(pl.col("referral_date").is_between(row[day] - near, row[day] + near))
        letters = work.rows_of(_LETTERS, person).filter(pl.col("back_date") > row[day])
        work.remove(_SLIPS, lost["_row"].to_list())
        work.remove(_LETTERS, letters["_row"].to_list())
        work.touched[form_id].add(row["_row"])
        return reported(kitchen, rule, form_id, row)
    values: dict[str, Any] = {"referral_flag": "2", "referral_reason": "检查异常待查", org: "阿勒泰市人民医院儿科"}
    for row in (kitchen.row(form_id, person) for person in people):
        if row[org] is None and work.rows_of(_SLIPS, row["_person"]).is_empty():
            work.edit(form_id, row["_row"], {name: value for name, value in values.items() if name in row})
            return reported(kitchen, rule, form_id, row)
    return None


RECIPES: Mapping[str, Recipe] = {
    "REF-T-001": _nothing_heard,
    "REF-X-001": _slip_lost,
    "INF-U-001": _card_again,
    "HED-T-003": _too_few,
    "HED-T-004": _too_few,
    "HED-T-002": _too_few,
    "HED-T-001": _month_without,
    "HED-T-005": _board_forgotten,
    "SUP-T-002": _too_few,
    "HED-A-001": _no_evidence,
}
