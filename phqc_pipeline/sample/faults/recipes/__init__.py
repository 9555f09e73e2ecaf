"""Faults that need more than one record.

Belongs here: one module a family of rules with one recipe for each, on people chosen so that nothing else breaks where
that can be had. Does not belong here: saying what is violated in the end (``cross``, ``judge``): the key is made from
the final records.

A recipe puts in one fault and returns it, or None when nobody fits (a small sample, a snapshot in mid-year). People it
uses are reserved: no other fault touches them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.recipes import (
    archives,
    authenticity,
    children,
    chronic,
    community,
    core,
    doctors,
    everywhere,
    exams,
    mental,
    mothers,
    tuberculosis,
    vaccination,
)
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen, Recipe
from phqc_pipeline.sample.faults.work import Work

_FAMILIES: tuple[Mapping[str, Recipe], ...] = (
    everywhere.RECIPES,
    doctors.RECIPES,
    mothers.RECIPES,
    children.RECIPES,
    vaccination.RECIPES,
    community.RECIPES,
    tuberculosis.RECIPES,
    mental.RECIPES,
    chronic.RECIPES,
    exams.RECIPES,
    archives.RECIPES,
    core.RECIPES,
    authenticity.RECIPES,
    doctors.LAST,
)
#: In the order they are cooked: what takes many people whole, then what the fewest people fit.
RECIPES: Mapping[str, Recipe] = {rule_id: recipe for family in _FAMILIES for rule_id, recipe in family.items()}
ORDER = tuple(RECIPES)
ON_ONE_FORM = everywhere.ON_ONE_FORM
_FEW_FORMS = 4  # a rule that looks through more forms does without some of them


def cook(work: Work, rule: Rule, form_id: str, times: int) -> int:
    """Put in up to ``times`` faults of a cross rule reported on ``form_id``; how many could be put in."""
    recipe = RECIPES.get(rule.rule_id)
    asked = [one for one in rule.reads if one in work.cat.forms]
    if len(asked) <= _FEW_FORMS and not set(asked) <= work.frames.keys():
        return 0  # a small institution delivers no form of which it has no record
    kitchen = Kitchen(work)
    done = 0
    for _ in range(times if recipe else 0):
        fault = recipe(kitchen, rule, form_id) if recipe else None
        if fault is None:
            break
        work.faults.append(fault)
        done += 1
    return done


def add_drafts(work: Work) -> None:
    """Records that take no part (0a.1): drafts, voided and returned ones, half filled in and dated anyhow.

    One for 400 records of a form. Whatever is wrong in them, nothing may be found.
    """
    for form_id, rows in work.frames.items():
        form = work.cat.forms[form_id]
        sound = rows.filter(
            ~pl.col("_row").is_in(sorted(work.touched[form_id])) & ~pl.col("_person").is_in(sorted(work.reserved))
        )
        if sound.is_empty():
            continue
        blank = [field.name for field in form.own_fields if not field.is_date and field.role != "identifier"]
        for _ in range(max(rows.height // 400, 1)):
            row = sound.row(work.chance.whole(0, sound.height - 1), named=True)
            values: dict[str, Any] = dict.fromkeys(blank[work.chance.whole(1, 3) :: 3])
            values |= {
                "record_status": work.chance.one(["2", "3", "4"]),
                "created_at": row["created_at"] + timedelta(minutes=3),
            }
            if work.chance.whole(0, 1):
                values[form.service_date] = work.times.snapshot + timedelta(days=work.chance.whole(1, 60))
            work.clone(form_id, row["_row"], values)
