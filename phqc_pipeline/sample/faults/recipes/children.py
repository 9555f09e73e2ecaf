"""Recipes for children under seven: examinations left out, growth that goes back, a birth told otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.cross.child import months_old
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen, Recipe
from phqc_pipeline.sample.faults.recipes.patients import moved, period_of, profile_of, reported, share_of
from phqc_pipeline.sample.faults.work import Fault

_NEWBORN, _BIRTHS, _PROFILE = "newborn_visit", "delivery_record", "resident_profile"
_ACTIVE = "1"


def _children(kitchen: Kitchen, form_id: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Free children with records on a form whose archives are active, and their profile."""
    for person in kitchen.people(form_id):
        profile = profile_of(kitchen.work, person)
        if profile["archive_status"] == _ACTIVE and profile["archive_date"] is not None:
            yield person, profile


def _referred(rows: pl.DataFrame) -> bool:
    return rows["referral_reason"].null_count() < rows.height


def _stage_left_out(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A child was not examined at an age that was over in the period."""
    work = kitchen.work
    start, today = period_of(work)
    exams = next(one for one in rule.reads if one != form_id)
    spared = rule.params["tolerance_months"]
    for person, profile in _children(kitchen, exams):
        rows = work.rows_of(exams, person)
        birth, archived = profile["birth_date"], profile["archive_date"]
        for stage, months in zip(rule.params["stages"], rule.params["stage_months"], strict=True):
            gone = rows.filter(pl.col(rule.params["stage_column"]) == stage)
            over = months_old(birth, start - timedelta(days=1)) <= months + spared < months_old(birth, today)
            in_time = months_old(birth, archived - timedelta(days=1)) < months
            if over and in_time and months > 1 and gone.height and not _referred(gone):
                work.remove(exams, gone["_row"].to_list())
                return reported(kitchen, rule, form_id, profile)
    return None


def _not_this_year(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    work = kitchen.work
    start, today = period_of(work)
    exams = next(one for one in rule.reads if one != form_id)
    for person, profile in _children(kitchen, exams):
        rows = work.rows_of(exams, person).filter(pl.col("visit_date") >= start)
        age = months_old(profile["birth_date"], today) // 12
        due = share_of(work) >= 1 and profile["archive_date"] <= start
        if due and rule.params["min_age"] <= age <= rule.params["max_age"] and rows.height and not _referred(rows):
            work.remove(exams, rows["_row"].to_list())
            return reported(kitchen, rule, form_id, profile)
    return None


def _nobody_came(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Neither visited after birth nor examined in the first three months; those without record of their birth first."""
    work = kitchen.work
    start, today = period_of(work)
    within = timedelta(days=int(rule.params["within_days"]))
    told = set(work.frames[_BIRTHS]["child_archive_no"].drop_nulls().to_list()) if _BIRTHS in work.frames else set()
    for person, profile in sorted(_children(kitchen, _NEWBORN), key=lambda one: one[1]["archive_no"] in told):
        last = profile["birth_date"] + within
        if not start <= last + timedelta(days=1) <= today or profile["archive_date"] > last:
            continue
        for exams in (one for one in rule.reads if one in work.frames and one != form_id):
            early = work.rows_of(exams, person).filter(pl.col("visit_date") <= last)
            work.remove(exams, early["_row"].to_list())
        return reported(kitchen, rule, form_id, profile)
    return None


def _visited_late(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """First seen nine days after coming home, still in the first month."""
    work = kitchen.work
    out = work.frames[_BIRTHS].select("child_archive_no", "discharge_date").drop_nulls()
    home = dict(out.iter_rows())
    for person in kitchen.people(form_id):
        rows = work.rows_of(form_id, person)
        row = rows.row(0, named=True)
        day = home.get(row["archive_no"], row["birth_date"]) + timedelta(rule.params["max_days_after_discharge"] + 2)
        last = row["birth_date"] + timedelta(days=int(rule.params["max_days_after_birth"]) - 1)
        one_visit = rows.height == 1 and row["referral_reason"] is None and row["archive_no"] in home
        if one_visit and row["visit_date"] < day <= min(last, work.times.snapshot):
            work.edit(form_id, row["_row"], moved(work, form_id, row, day))
            return reported(kitchen, rule, form_id, row)
    return None


def _other_mother(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    told = set(kitchen.work.frames[_BIRTHS]["child_archive_no"].drop_nulls().to_list())
    for row in kitchen.rows(form_id):
        name = row["mother_name"]
        if row["archive_no"] in told and name:
            other = name[:-1] + ("娟" if name[-1] != "娟" else "兰")
            kitchen.work.edit(form_id, row["_row"], {"mother_name": other})
            return reported(kitchen, rule, form_id, row)
    return None


def _shrunk(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The last examination, of the period, finds less than the one before: in length, or in weight."""
    work = kitchen.work
    start, _ = period_of(work)
    column = next(name for name in rule.params["compare"] if work.cat.forms[form_id].has(name))
    exams = [one for one in rule.form_ids if one in work.frames and work.cat.forms[one].has(column)]
    for person in kitchen.people(form_id):
        seen = pl.concat([
            work.rows_of(one, person).select(pl.lit(one).alias("form"), "_row", "visit_date", "archive_no", column)
            for one in exams
        ]).drop_nulls().sort("visit_date")  # fmt: skip
        if seen.height < 2 or seen["form"][-1] != form_id or seen["visit_date"][-1] < start:
            continue
        before, row = seen.row(-2, named=True), seen.row(-1, named=True)
        if (start - before["visit_date"]).days < 300:
            by = rule.params.get("may_fall_by")
            less = before[column] - max(by) - 0.6 if by else before[column] * min(rule.params["may_fall_to"]) - 0.3
            work.edit(form_id, row["_row"], {column: round(less, 1)})
            return reported(kitchen, rule, form_id, {**row, "_person": person})
    return None


def _alike(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Children born in one month, entered for one village with the measurements of the biggest of them."""
    work = kitchen.work
    columns = [name for name in rule.params["compare"] if work.cat.forms[form_id].has(name)]
    stage = "year_stage" if work.cat.forms[form_id].has("year_stage") else "month_stage"
    rows = work.frames[form_id].sort("visit_date").unique("_person", keep="last", maintain_order=True)
    free = ~pl.col("_person").is_in(sorted(work.reserved)) & ~pl.col("_row").is_in(sorted(work.touched[form_id]))
    rows = rows.filter(free).drop_nulls([stage, "region_code", *columns])
    count = int(rule.params["min_children"])
    for _, group in rows.group_by(pl.col("birth_date").dt.truncate("1mo"), stage, maintain_order=True):
        if group["archive_no"].n_unique() < count:
            continue
        biggest = group.sort(columns[-1], descending=True).head(count)
        same = {name: biggest[name].max() for name in columns} | {"region_code": biggest["region_code"][0]}
        for row in biggest.iter_rows(named=True):
            work.edit(form_id, row["_row"], same)
            kitchen.reserve(row)
        return reported(kitchen, rule, form_id, biggest.row(0, named=True))
    return None


RECIPES: Mapping[str, Recipe] = {
    "CHD-X-001": _nobody_came,
    "NBV-T-001": _visited_late,
    "CHD-T-001": _stage_left_out,
    "CHD-T-002": _stage_left_out,
    "CHD-T-003": _not_this_year,
    "CHD-X-002": _other_mother,
    "CHD-A-001": _alike,
    "CHD-L-005": _shrunk,
    "CHD-L-006": _shrunk,
}
