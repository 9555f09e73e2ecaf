"""Children under seven and newborns: first visits, examinations by age, growth, the record of their birth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.cross.core import normal_name
from phqc_pipeline.sample.faults.truth import Finding, Judgement, Truth, people_of

Row = Mapping[str, Any]


def found_people(rule: Rule, form_id: str, numbers: set[str]) -> list[Finding]:
    return people_of(rule, form_id, pl.Series(sorted(numbers), dtype=pl.String))


def months_old(birth: date, day: date) -> int:
    return (day.year - birth.year) * 12 + day.month - birth.month - (day.day < birth.day)


def _active_children(truth: Truth, rule: Rule) -> Iterator[dict[str, Any]]:
    for row in truth.records("resident_profile"):
        if row["archive_status"] == rule.params["active_status"] and row["birth_date"] is not None:
            yield row


def _visited_late(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    out: dict[str, date] = {}
    for row in truth.told("delivery_record"):
        child, day = row["child_archive_no"], row["discharge_date"]
        if child and day:
            out[child] = max(day, out.get(child, day))
    first: dict[str, dict[str, Any]] = {}
    for row in sorted(truth.records(form_id), key=lambda row: (row["day"] or date.max, row["record_id"] or "")):
        if row["day"]:
            first.setdefault(row["archive_no"], row)
    late = set()
    for number, row in first.items():
        limits = []
        if row["birth_date"]:
            limits.append(row["birth_date"] + timedelta(days=rule.params["max_days_after_birth"]))
        if number in out:
            limits.append(out[number] + timedelta(days=rule.params["max_days_after_discharge"]))
        if limits and row["day"] > min(limits):
            late.add(number)
    return found_people(rule, form_id, late)


def _fell(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    since = truth.ctx.period_start - timedelta(days=rule.params["look_back_days"])
    seen: dict[str, dict[date, tuple[Any, str, Row]]] = defaultdict(dict)
    for form in rule.form_ids:
        for row in truth.records(form):
            if row["day"] and since <= row["day"] <= truth.until:
                order = (row["created_at"] is not None, row["created_at"], row["record_id"] or "")
                before = seen[row["archive_no"]].get(row["day"])
                if before is None or before[0] < order:
                    seen[row["archive_no"]][row["day"]] = (order, form, row)
    fallen = set()
    for number, days in seen.items():
        visits = [days[day] for day in sorted(days)]
        for (_, _, earlier), (_, form, later) in pairwise(visits):
            if form != form_id or later["day"] < truth.ctx.period_start:
                continue
            for place, column in enumerate(rule.params["compare"]):
                was, now = earlier.get(column), later.get(column)
                if was is not None and now is not None:
                    by = rule.params.get("may_fall_by")
                    least = was - by[place] if by else was * rule.params["may_fall_to"][place]
                    if round(now - least, 6) < 0:
                        fallen.add(number)
    return found_people(rule, form_id, fallen)


def _stage_missing(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    exams = next(form for form in rule.reads if form != form_id)
    made = {(row["archive_no"], row[rule.params["stage_column"]]) for row in truth.records(exams)}
    before = truth.ctx.period_start - timedelta(days=1)
    lacking = set()
    for row in _active_children(truth, rule):
        birth, archived = row["birth_date"], row["archive_date"]
        for stage, months in zip(rule.params["stages"], rule.params["stage_months"], strict=True):
            last = months + rule.params["tolerance_months"]
            fell_due = months_old(birth, before) <= last < months_old(birth, truth.until)
            in_time = archived is None or months_old(birth, archived - timedelta(days=1)) < months
            if fell_due and in_time and (row["archive_no"], stage) not in made:
                lacking.add(row["archive_no"])
    return found_people(rule, form_id, lacking)


def _never_this_year(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    exams = next(form for form in rule.reads if form != form_id)
    seen = set(truth.in_period(exams)["archive_no"].to_list())
    lacking = set()
    for row in _active_children(truth, rule):
        age = months_old(row["birth_date"], truth.ctx.period_end) // 12
        there = row["archive_date"] is not None and row["archive_date"] <= truth.ctx.period_start
        if rule.params["min_age"] <= age <= rule.params["max_age"] and there and truth.until == truth.ctx.period_end:
            lacking.add(row["archive_no"])
    return found_people(rule, form_id, lacking - seen)


def _nothing_of_newborn(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    within = timedelta(days=rule.params["within_days"])
    seen: dict[str, date] = {}
    for form in rule.reads:
        for row in truth.records(form) if form != form_id else ():
            if row["day"]:
                seen[row["archive_no"]] = min(row["day"], seen.get(row["archive_no"], row["day"]))
    lacking = set()
    for row in _active_children(truth, rule):
        last = row["birth_date"] + within
        over = truth.ctx.period_start <= last + timedelta(days=1) <= truth.until
        known = row["archive_date"] is None or row["archive_date"] <= last
        if over and known and seen.get(row["archive_no"], date.max) > last:
            lacking.add(row["archive_no"])
    return found_people(rule, form_id, lacking)


def _live_birth_unvisited(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    visits = truth.told("newborn_visit")  # one without an archive number is found by the mother's name
    archives = {row["archive_no"] for row in visits if row["archive_no"]}
    named = {(normal_name(row["mother_name"] or ""), row["birth_date"]) for row in visits if row["mother_name"]}
    days: dict[str, list[date]] = defaultdict(list)
    for row in visits:
        if row["day"] and row["archive_no"]:
            days[row["archive_no"]].append(row["day"])
    lacking = set()
    for row in truth.records(form_id):
        day = row["day"]
        if row["outcome_code"] != rule.params["live_birth"] or day is None:
            continue
        if not truth.ctx.period_start <= day + timedelta(days=rule.params["within_days"] + 1) <= truth.until:
            continue
        near = day + timedelta(days=rule.params["same_child_days"])
        known = row["child_archive_no"] in archives or any(day <= one <= near for one in days[row["archive_no"]])
        if not known and (normal_name(row["person_name"] or ""), day) not in named:
            lacking.add(row["archive_no"])
    return found_people(rule, form_id, lacking)


def _other_mother(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    deliveries: dict[str, list[Row]] = defaultdict(list)
    for row in truth.told("delivery_record"):
        deliveries[row["child_archive_no"] or ""].append(row)
    differing = set()
    for row in truth.records(form_id):
        for told in deliveries[row["archive_no"]]:
            pairs: list[tuple[Any, ...]] = [
                (row["mother_birth"], told["birth_date"]),
                (row["birth_date"], told["delivery_date"]),
                (row["sex_code"], told["child_sex"]),
                tuple(name and normal_name(name) for name in (row["mother_name"], told["person_name"])),
            ]
            if any(one is not None and other is not None and one != other for one, other in pairs):
                differing.add(row["archive_no"])
    return found_people(rule, form_id, differing)


def _measured_alike(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    form = truth.cat.forms[form_id]
    columns = [name for name in rule.params["compare"] if form.has(name)]
    key = ["region_code", "_born", *columns]
    rows = truth.rows[form_id].with_columns(pl.col("birth_date").dt.strftime("%Y-%m").alias("_born"))
    rows = rows.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in ["archive_no", *key]))
    many = rows.filter(pl.col("archive_no").n_unique().over(key) >= int(rule.params["min_children"]))
    return people_of(rule, form_id, many["archive_no"])


JUDGEMENTS: Mapping[str, Judgement] = {
    "NBV-T-001": _visited_late,
    "CHD-L-005": _fell,
    "CHD-L-006": _fell,
    "CHD-T-001": _stage_missing,
    "CHD-T-002": _stage_missing,
    "CHD-T-003": _never_this_year,
    "CHD-X-001": _nothing_of_newborn,
    "PRG-X-001": _live_birth_unvisited,
    "CHD-X-002": _other_mother,
    "CHD-A-001": _measured_alike,
}
