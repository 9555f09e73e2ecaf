"""Recipes of 严重精神障碍: visits too few, too late, and telling something else than the one before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.recipes.chronic import RECIPES as CHRONIC
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen, Recipe
from phqc_pipeline.sample.faults.recipes.patients import (
    adults_without_service,
    alone,
    card_of,
    period_of,
    profile_of,
    reported,
    share_of,
)
from phqc_pipeline.sample.faults.work import Fault

_VISITS = "smi_followup"
_STABLE = "3"


def _quarters(kitchen: Kitchen) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Two stable visits of the period one behind the other, more than six weeks apart."""
    start, _ = period_of(kitchen.work)
    for person in alone(kitchen, _VISITS) or kitchen.people(_VISITS):
        rows = kitchen.work.rows_of(_VISITS, person).filter(pl.col("visit_date") >= start).sort("visit_date").to_dicts()
        for before, row in pairwise(rows):
            apart = (row["visit_date"] - before["visit_date"]).days > 42
            if apart and before["class_code"] == row["class_code"] == _STABLE:
                yield before, row


def _late_after_unstable(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for before, _ in _quarters(kitchen):
        values = {"class_code": "1", "insight_code": "2", "next_visit_date": before["visit_date"] + timedelta(days=13)}
        kitchen.work.edit(form_id, before["_row"], values)
        return reported(kitchen, rule, form_id, before)
    return None


def _locked_again(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for before, row in _quarters(kitchen):
        kitchen.work.edit(form_id, before["_row"], {"lock_code": "3"})
        kitchen.work.edit(form_id, row["_row"], {"lock_code": "2"})
        kitchen.reserve(row)
        return Fault(rule.rule_id, form_id, rule.field, row=row["_row"])
    return None


def _agreed_too_late(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for _, row in _quarters(kitchen):
        following = row["visit_date"] + timedelta(days=int(rule.params["next_more_than_days"]) + 9)
        kitchen.work.edit(form_id, row["_row"], {"class_code": "2", "risk_level": "1", "next_visit_date": following})
        return reported(kitchen, rule, form_id, row)
    return None


def _fewer_than_before(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    start, _ = period_of(work)
    blank = dict.fromkeys(rule.params["lower"])
    for person in kitchen.people(form_id):
        rows = work.rows_of(form_id, person).sort("visit_date").to_dicts()
        if len(rows) > 1 and rows[-1]["visit_date"] >= start:
            for one, often in ((rows[-2], 3.0), (rows[-1], 1.0)):
                work.edit(form_id, one["_row"], {**blank, "danger_codes": ["1"], "danger_minor": often})
            return reported(kitchen, rule, form_id, rows[-1])
    return None


def _gap(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A visit in the middle of the year was not made by somebody seen often enough all the same, else put off."""
    work = kitchen.work
    start, today = period_of(work)
    due, limit = int(4 * share_of(work)), int(rule.params["max_gap_days"])
    for person in alone(kitchen, form_id) or kitchen.people(form_id):
        rows = work.rows_of(form_id, person).filter(pl.col("visit_date") >= start).sort("visit_date").to_dicts()
        for before, row, after in zip(rows, rows[1:], rows[2:], strict=False):
            calm = before["class_code"] == row["class_code"] == after["class_code"] == _STABLE
            if calm and (after["visit_date"] - before["visit_date"]).days > limit and len(rows) > due:
                work.remove(form_id, [row["_row"]])
                return reported(kitchen, rule, form_id, after)
    for before, row in _quarters(kitchen):
        late = before["visit_date"] + timedelta(days=limit + 3)
        later = work.rows_of(form_id, row["_person"]).filter(pl.col("visit_date") > row["visit_date"])
        if late <= today and later.filter(pl.col("visit_date") <= late + timedelta(days=20)).is_empty():
            shift = {"visit_date": late, "next_visit_date": late + timedelta(days=85), "created_at": work.entered(late)}
            work.edit(form_id, row["_row"], {**shift, "updated_at": None, "updated_by": None})
            return reported(kitchen, rule, form_id, row)
    return None


def _form_lacking(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    for person in kitchen.people(rule.params["needs_form"]):
        card = card_of(work, person, "SMI")
        if card is not None:
            rows = work.rows_of(rule.params["needs_form"], person)
            work.remove(rule.params["needs_form"], rows["_row"].to_list())
            return reported(kitchen, rule, form_id, card)
    return None


def _diagnosed_long_ago(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Diagnosed more than three months before the form was filled in."""
    work = kitchen.work
    for person in kitchen.people(form_id):
        card = card_of(work, person, "SMI")
        rows = work.rows_of(form_id, person)
        if card is None or rows.height != 1:
            continue
        row = rows.row(0, named=True)
        day = row["fill_date"] - timedelta(days=int(rule.params["within_days"]) + 30)
        began = {"onset_date": min(row["onset_date"], day), "diagnosis_date": day}
        work.edit(form_id, row["_row"], began)
        work.edit("chronic_registry", card["_row"], {"diagnosis_date": day})
        kitchen.reserve(row)
        return Fault(rule.rule_id, form_id, rule.field, row=row["_row"])
    return None


def _disabled(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    for person in adults_without_service(kitchen):
        profile = profile_of(work, person)
        if profile["disability_codes"] == ["1"]:
            work.edit(form_id, profile["_row"], {"disability_codes": [rule.params["code"]]})
            return reported(kitchen, rule, form_id, profile)
    return None


RECIPES: Mapping[str, Recipe] = {
    "SMI-X-004": _fewer_than_before,
    "SMI-T-002": CHRONIC["DM-T-003"],
    "SMI-T-001": CHRONIC["CPD-T-001"],
    "SMI-T-003": _late_after_unstable,
    "SMI-T-004": _gap,
    "SMI-L-017": _locked_again,
    "SMI-L-021": _agreed_too_late,
    "SMI-X-002": CHRONIC["HTN-X-002"],
    "SMI-X-001": _form_lacking,
    "SMI-T-005": _diagnosed_long_ago,
    "SMI-X-003": _disabled,
}
