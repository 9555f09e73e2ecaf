"""Pregnant women and mothers: booking, antenatal visits, what follows a delivery, days that do not fit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.cross.child import found_people
from phqc_pipeline.sample.faults.truth import Finding, Judgement, Truth

Row = Mapping[str, Any]


def _began(row: Row) -> date | None:
    if row["lmp_date"]:
        return date.fromisoformat(str(row["lmp_date"]))
    if row["day"] and row["gest_weeks"] is not None:
        return date.fromisoformat(str(row["day"])) - timedelta(days=round(7 * row["gest_weeks"]))
    return None


def _pregnancies(truth: Truth, rule: Rule) -> dict[str, list[list[Row]]]:
    """A woman's bookings, those of one pregnancy together, in order of the last period."""
    women: dict[str, list[tuple[date, dict[str, Any]]]] = defaultdict(list)
    for row in truth.records("prenatal_first"):
        began = _began(row)
        if began:
            women[row["archive_no"]].append((began, row))
    found: dict[str, list[list[Row]]] = {}
    for number, booked in women.items():
        booked.sort(key=lambda one: one[0])
        groups: list[list[Row]] = []
        before: date | None = None
        for began, row in booked:
            if before is None or (began - before).days > rule.params["same_pregnancy_days"]:
                groups.append([])
            groups[-1].append({**row, "began": began})
            before = began
        found[number] = groups
    return found


def _days(truth: Truth, form_id: str) -> dict[str, set[date]]:
    found: dict[str, set[date]] = defaultdict(set)
    for row in truth.records(form_id):
        if row["day"]:
            found[row["archive_no"]].add(row["day"])
    return found


def _late(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    late = {
        row["archive_no"]
        for row in truth.records(form_id)
        if row["gest_weeks"] is not None and row["gest_weeks"] > rule.params["max_weeks"]
    }
    return found_people(rule, form_id, late)


def _twice(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    many = {n for n, groups in _pregnancies(truth, rule).items() if max(map(len, groups)) > rule.params["max_count"]}
    return found_people(rule, form_id, many)


def _seen_too_seldom(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    delivered, visits, booked = (_days(truth, one) for one in ("delivery_record", "prenatal_followup", form_id))
    few = set()
    for number, groups in _pregnancies(truth, rule).items():
        for place, group in enumerate(groups):
            first = min(group, key=lambda row: (row["day"] or date.max, row["record_id"] or ""))
            began, day = first["began"], first["day"]
            longest = began + timedelta(days=rule.params["longest_days"])
            births = [one for one in delivered[number] if day and began < one and day <= one <= longest]
            over = first["edd_date"] or began + timedelta(days=rule.params["term_days"])
            over += timedelta(days=rule.params["overdue_days"])
            following = groups[place + 1] if place + 1 < len(groups) else []
            if not births and following:
                begun = min(following, key=lambda row: (row["day"] or date.max, row["record_id"] or ""))["began"]
                if begun <= over:
                    continue
            ended = min(births) if births else over
            if truth.ctx.period_start <= ended <= truth.until:
                seen = {one for one in visits[number] | booked[number] if began <= one <= ended}
                if len(seen) < rule.params["min_visits"]:
                    few.add(number)
    return found_people(rule, form_id, few)


def _visited_late(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    first: dict[tuple[str, date | None], dict[str, Any]] = {}
    for row in sorted(truth.records(form_id), key=lambda row: (row["day"] or date.max, row["record_id"] or "")):
        if row["day"]:
            first.setdefault((row["archive_no"], row["delivery_date"] or row["discharge_date"]), row)
    limit = timedelta(days=rule.params["max_days"])
    late = {n for (n, _), row in first.items() if row["discharge_date"] and row["day"] > row["discharge_date"] + limit}
    if rule.params.get("also_without_visit"):
        visits: dict[str, set[date]] = defaultdict(set)
        for (number, _), row in first.items():
            visits[number].add(row["day"])
        near = timedelta(days=rule.params["same_delivery_days"])
        for row in truth.records("delivery_record"):
            out, day = row["discharge_date"], row["day"]
            visited = day and any(day <= one <= day + near for one in visits[row["archive_no"]])
            over = out and truth.ctx.period_start <= out + limit + timedelta(days=1) <= truth.until
            if over and not visited:
                late.add(row["archive_no"])
    return found_people(rule, form_id, late)


def _not_examined(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    examined = _days(truth, "postpartum_42d")
    near, limit = (timedelta(days=rule.params[name]) for name in ("same_delivery_days", "max_days"))
    lacking = {
        row["archive_no"]
        for row in truth.records(form_id)
        if row["day"]
        and truth.ctx.period_start <= row["day"] + limit + timedelta(days=1) <= truth.until
        and not any(row["day"] <= one <= row["day"] + near for one in examined[row["archive_no"]])
    }
    return found_people(rule, form_id, lacking)


def _too_short_or_long(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    booked: dict[str, list[Row]] = defaultdict(list)
    for row in truth.records("prenatal_first"):
        if row["day"]:
            booked[row["archive_no"]].append(row)
    odd = set()
    for row in truth.records(form_id):
        since = timedelta(days=rule.params["look_back_days"])
        day = row["day"]
        near = [
            one
            for one in booked[row["archive_no"]]
            if day and (
                day - since <= one["day"] <= day
                or (one["day"] > day and one["lmp_date"] and day - since <= one["lmp_date"] <= day)
            )
        ]  # fmt: skip
        if near:
            last = max(near, key=lambda one: (one["day"], one["record_id"] or ""))["lmp_date"]
            if last and not rule.params["min_days"] <= (row["day"] - last).days <= rule.params["max_days"]:
                odd.add(row["archive_no"])
    return found_people(rule, form_id, odd)


def _days_differ(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    told: dict[str, list[tuple[date, str, date]]] = defaultdict(list)
    for form in rule.reads:
        for row in truth.records(form):
            if row["day"] and row["delivery_date"]:
                told[row["archive_no"]].append((row["day"], form, row["delivery_date"]))
    differing = set()
    for number, entries in told.items():
        entries.sort()
        groups: list[list[tuple[date, str, date]]] = []
        for entry in entries:
            if not groups or (entry[0] - groups[-1][-1][0]).days > rule.params["same_delivery_days"]:
                groups.append([])
            groups[-1].append(entry)
        for group in groups:
            days = [{day for _, other, day in group if other == form} for form in {form for _, form, _ in group}]
            if len(days) > 1 and not set.intersection(*days):
                differing.add(number)
    return found_people(rule, form_id, differing)


JUDGEMENTS: Mapping[str, Judgement] = {
    "PRG-T-001": _late,
    "PRG-T-002": _seen_too_seldom,
    "PRG-T-003": _visited_late,
    "PRG-T-004": _visited_late,
    "PRG-T-005": _not_examined,
    "PRG-L-011": _too_short_or_long,
    "PRG-X-002": _days_differ,
    "PRG-U-001": _twice,
}
