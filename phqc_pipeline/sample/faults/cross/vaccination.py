"""Vaccination: intervals, live vaccines, contraindications, doses missing or entered twice, the reported rate."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.catalogue.model import Code
from phqc_pipeline.sample.calendar import day_number, to_date
from phqc_pipeline.sample.faults.cross.child import found_people, months_old
from phqc_pipeline.sample.faults.truth import Finding, Judgement, Truth

_DOSES, _CARDS = "vaccination_dose", "vaccination_card"


def _attribute(truth: Truth, rule: Rule, vaccine: str | None, name: str) -> str:
    code = truth.cat.codes[rule.params["vaccines"]].by_code.get(vaccine or "")
    return str(code.attrs.get(name, "")) if code else ""


def _place(dose_no: float) -> float:
    """A dose's number; one that is no whole number (2.75) is no dose's."""
    return int(dose_no) if dose_no == int(dose_no) else dose_no


def _series(truth: Truth, rule: Rule) -> Iterator[tuple[Mapping[str, Any], str, float, date]]:
    """Every dose told in full, once for each vaccine it stands for."""
    for row in truth.told(_DOSES):
        if row["vaccine_code"] and row["dose_no"] is not None and row["dose_date"]:
            stands_for = _attribute(truth, rule, row["vaccine_code"], "covers") or row["vaccine_code"]
            for vaccine in stands_for.split("|"):
                yield row, vaccine, _place(row["dose_no"]), row["dose_date"]


def _programme(truth: Truth, rule: Rule, dose: str, day: date) -> Code | None:
    for list_id in rule.params["programmes"]:
        code = truth.cat.codes[list_id].by_code.get(dose)
        if code and (code.valid_from or date.min) <= day <= (code.valid_to or date.max):
            return code
    return None


def _later(day: date, months: int) -> date:
    """So many months after a day; where the month is shorter, its last day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for number in range(day.day, 0, -1):
        try:
            return date(year, month + 1, number)
        except ValueError:
            continue
    raise AssertionError(day)


def _too_soon(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    last: dict[tuple[str, str], date] = {}
    for row, vaccine, number, day in _series(truth, rule):
        child = row["child_code"] or row["archive_no"]
        if child:
            key = (child, f"{vaccine}-{number}")
            last[key] = max(day, last.get(key, day))
    found = []
    for row in truth.told(form_id):
        day, child = row["dose_date"], row["child_code"] or row["archive_no"]
        if not (row["vaccine_code"] and row["dose_no"] is not None and day):
            continue
        entry = _programme(truth, rule, f"{row['vaccine_code']}-{_place(row['dose_no'])}", day)
        if entry is None:
            continue
        days, months = (int(str(entry.attrs.get(f"min_interval_{unit}", 0))) for unit in ("days", "months"))
        named = last.get((child, str(entry.attrs.get("previous", ""))))
        before = named or last.get((child, f"{row['vaccine_code']}-{_place(row['dose_no']) - 1}"))
        if before and days + months and day < _later(before, months) + timedelta(days=days):
            record = row["record_id"] or ""
            found.append(Finding(rule.rule_id, form_id, rule.field, "record", record, record))
    return found


def _live_close(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    live: dict[str, list[tuple[date, str]]] = defaultdict(list)
    for row in truth.records(form_id):
        kind, route = (_attribute(truth, rule, row["vaccine_code"], name) for name in ("kind", "route"))
        if row["day"] and kind == rule.params["kind"] and route == rule.params["route"]:
            live[row["archive_no"]].append((row["day"], row["vaccine_code"]))
    close = {
        number
        for number, doses in live.items()
        for day, vaccine in doses
        for other_day, other in doses
        if vaccine != other and 1 <= (other_day - day).days < rule.params["min_gap_days"]
    }
    return found_people(rule, form_id, close)


def _despite_contraindication(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    told: dict[str, str] = defaultdict(str)
    denied = re.compile("(?:" + "|".join(rule.params["negations"]) + ")[^，,。；;、]*")
    for row in truth.told(_CARDS):
        if row["child_code"] and row["contraindication"]:
            told[row["child_code"]] += denied.sub("", row["contraindication"]) + "；"
    found = []
    for row in truth.told(form_id):
        live = _attribute(truth, rule, row["vaccine_code"], "kind") == rule.params["kind"]
        if live and any(word in told.get(row["child_code"], "") for word in rule.params["contraindications"]):
            record = row["record_id"] or ""
            found.append(Finding(rule.rule_id, form_id, rule.field, "record", record, record))
    return found


def _dose_missing(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    given: dict[tuple[str, str], list[tuple[str, float, date]]] = defaultdict(list)
    for dose, vaccine, place, day in _series(truth, rule):
        for key in ("child_code", "archive_no"):
            if dose[key]:
                given[key, dose[key]].append((vaccine, place, day))
    lacking = set()
    newest: dict[str, dict[str, Any]] = {}
    for row in sorted(truth.records(form_id), key=lambda row: (row["day"] or date.min, row["record_id"] or "")):
        old = row["birth_date"] and months_old(row["birth_date"], truth.ctx.today)
        in_age = old is not None and rule.params["min_age_months"] <= old <= rule.params["max_age_months"]
        stays = row["moveout_date"] is None and not _unread(truth, row)
        if in_age and stays and row["archive_status"] == rule.params["active_status"]:
            newest[row["archive_no"]] = row
    for number, row in newest.items():
        doses = given["child_code", row["child_code"] or "-"] + given["archive_no", number]
        if not all(any(_has(way, doses) for way in wanted.split("|")) for wanted in rule.params["required"]):
            lacking.add(number)
    return found_people(rule, form_id, lacking)


def _unread(truth: Truth, row: Mapping[str, Any]) -> bool:
    """Whether the card tells a day of moving out that cannot be read: neither there nor missing (0a.5)."""
    return bool(truth.work.texts[_CARDS].get(row["_row"], {}).get("moveout_date"))


def _has(way: str, doses: list[tuple[str, float, date]]) -> bool:
    names, _, number = way.rpartition("-")
    mine = [(n, day) for vaccine, n, day in doses if vaccine in names.split("+")]
    days, numbers = {day for _, day in mine}, {n for n, _ in mine}
    return int(number) in numbers or (len(days) >= int(number) and len(days) > len(numbers))


def _entered_twice(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    keys = ("child_code", "vaccine_code", "dose_no")
    rows = [row for row in truth.records(form_id) if all(row[key] is not None for key in keys)]
    count = Counter(tuple(row[key] for key in keys) for row in rows)
    twice = {row["archive_no"] for row in rows if count[tuple(row[key] for key in keys)] > rule.params["max_count"]}
    return found_people(rule, form_id, twice)


def _rate(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    done: dict[tuple[str, str], float] = {}
    for row, vaccine, number, _ in _series(truth, rule):
        if row["child_code"]:
            done[row["child_code"], vaccine] = max(number, done.get((row["child_code"], vaccine), 0))
    due: list[tuple[date, bool]] = []
    for row in truth.told(_CARDS):
        if not (row["child_code"] and row["birth_date"]):
            continue
        seen = set()
        for list_id in rule.params["programmes"]:
            for dose in rule.params["doses"]:
                entry = truth.cat.codes[list_id].by_code.get(dose)
                if entry is None or dose in seen:
                    continue
                ready = _later(row["birth_date"], int(str(entry.attrs["min_age_months"])))
                ready += timedelta(days=rule.params["grace_days"])
                if not (entry.valid_from or date.min) <= ready <= (entry.valid_to or date.max):
                    continue
                if row["moveout_date"] is None or row["moveout_date"] > ready:
                    seen.add(dose)
                    vaccine, _, number = dose.rpartition("-")
                    due.append((ready, done.get((row["child_code"], vaccine), 0) >= int(number)))
    found = []
    for report in truth.reports[form_id].iter_rows(named=True):
        year, period = int(report["year"]), report["period"]
        month = 12 if period == "Y" else 3 * int(period[1:]) if period.startswith("Q") else int(period[1:])
        first, last = date(year, 1, 1), to_date(day_number(_later(date(year, month, 1), 1)) - 1)
        whole, part = report[rule.params["due_item"]], report[rule.params["done_item"]]
        mine = [got for ready, got in due if first <= ready <= min(last, truth.ctx.today)]
        if not (whole and part is not None and mine):
            continue
        if abs(round(100 * part / whole - 100 * sum(mine) / len(mine), 6)) > rule.params["max_difference"]:
            found.append(Finding(rule.rule_id, form_id, rule.field, "institution", report["institution_code"]))
    return found


JUDGEMENTS: Mapping[str, Judgement] = {
    "VAC-L-002": _too_soon,
    "VAC-L-005": _live_close,
    "VAC-L-006": _despite_contraindication,
    "VAC-T-001": _dose_missing,
    "VAC-T-002": _dose_missing,
    "VAC-T-003": _dose_missing,
    "VAC-U-001": _entered_twice,
    "VAC-R-001": _rate,
}
