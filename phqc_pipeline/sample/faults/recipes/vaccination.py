"""Recipes for vaccination: doses lost, entered twice, too soon after each other, given against advice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import combinations
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.cross.child import months_old
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen, Recipe
from phqc_pipeline.sample.faults.recipes.patients import moved, reported
from phqc_pipeline.sample.faults.work import Fault

_CARDS, _DOSES = "vaccination_card", "vaccination_dose"
_LIVE = "MMR"
#: Rule → vaccines, and the first dose of them that is taken away.
_TAKEN: Mapping[str, tuple[tuple[str, ...], int]] = {
    "VAC-T-001": (("HEPB",), 3),
    "VAC-T-002": (("HEPAL", "HEPAI"), 1),
    "VAC-T-003": (("MPSVAC",), 2),
}
_ENTERED_TWICE = ("HEPB", 3)
_TOO_SOON = ("DTAP", 3)


def _doses(kitchen: Kitchen, person: int, vaccine: str) -> dict[int, dict[str, Any]]:
    """A child's doses of a vaccine by their number."""
    rows = kitchen.work.rows_of(_DOSES, person).filter(pl.col("vaccine_code") == vaccine)
    return {int(row["dose_no"]): row for row in rows.iter_rows(named=True)}


def _contraindicated(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A card with a contraindication to a live vaccine that was given."""
    for person in kitchen.people(_CARDS):
        live = _doses(kitchen, person, _LIVE)
        if live:
            told = "先天性" + rule.params["contraindications"][-1]
            kitchen.work.edit(_CARDS, kitchen.row(_CARDS, person)["_row"], {"contraindication": told})
            return _dose(kitchen, rule, live[min(live)])
    return None


def _dose(kitchen: Kitchen, rule: Rule, row: Mapping[str, Any]) -> Fault:
    kitchen.reserve(row)
    kitchen.work.touched[_DOSES].add(row["_row"])
    return Fault(rule.rule_id, _DOSES, rule.field, row=row["_row"])


def _lost(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A child old enough loses the records of a dose and those after it."""
    vaccines, number = _TAKEN[rule.rule_id]
    for person in kitchen.people(form_id):
        row = kitchen.row(form_id, person)
        old = months_old(row["birth_date"], kitchen.work.times.snapshot)
        lost = kitchen.work.rows_of(_DOSES, person).filter(
            pl.col("vaccine_code").is_in(vaccines) & (pl.col("dose_no") >= number)
        )
        stays = row["archive_status"] == rule.params["active_status"] and row["moveout_date"] is None
        in_age = rule.params["min_age_months"] <= old <= rule.params["max_age_months"]
        if in_age and stays and not lost.is_empty():
            kitchen.work.remove(_DOSES, lost["_row"].to_list())
            return reported(kitchen, rule, form_id, row)
    return None


def _entered_twice(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A dose entered again, of some days later."""
    vaccine, number = _ENTERED_TWICE
    for person in kitchen.people(form_id):
        row = _doses(kitchen, person, vaccine).get(number)
        day = row["dose_date"] + timedelta(days=3) if row else date.max
        if row and day < min(kitchen.work.times.snapshot, row["expire_date"]):
            kitchen.work.clone(form_id, row["_row"], moved(kitchen.work, form_id, row, day))
            return reported(kitchen, rule, form_id, row)
    return None


def _too_soon(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The dose before was given late, only ten days before this one."""
    vaccine, number = _TOO_SOON
    for person in kitchen.people(form_id):
        doses = _doses(kitchen, person, vaccine)
        before, row = doses.get(number - 1), doses.get(number)
        if not before or not row:
            continue
        day = row["dose_date"] - timedelta(days=10)
        if before["dose_date"] < day < before["expire_date"]:
            kitchen.work.edit(form_id, before["_row"], moved(kitchen.work, form_id, before, day))
            return _dose(kitchen, rule, row)
    return None


def _live_pairs(kitchen: Kitchen, rule: Rule) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Two live vaccines injected on one day."""
    codes = kitchen.work.cat.codes[rule.params["vaccines"]].by_code
    live = [
        code
        for code, one in codes.items()
        if (one.attrs.get("kind"), one.attrs.get("route")) == (rule.params["kind"], rule.params["route"])
    ]
    for person in kitchen.people(_DOSES):
        rows = kitchen.work.rows_of(_DOSES, person).filter(pl.col("vaccine_code").is_in(live)).to_dicts()
        yield from (
            (one, other)
            for one, other in combinations(rows, 2)
            if one["dose_date"] == other["dose_date"] and one["vaccine_code"] != other["vaccine_code"]
        )


def _live_close(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The second of two live vaccines twelve days later than the first."""
    for _, row in _live_pairs(kitchen, rule):
        day = row["dose_date"] + timedelta(days=12)
        if day < min(kitchen.work.times.snapshot, row["expire_date"]):
            kitchen.work.edit(form_id, row["_row"], moved(kitchen.work, form_id, row, day))
            return reported(kitchen, rule, form_id, row)
    return None


RECIPES: Mapping[str, Recipe] = {
    "VAC-T-003": _lost,
    "VAC-T-002": _lost,
    "VAC-T-001": _lost,
    "VAC-L-005": _live_close,
    "VAC-L-006": _contraindicated,
    "VAC-L-002": _too_soon,
    "VAC-U-001": _entered_twice,
}
