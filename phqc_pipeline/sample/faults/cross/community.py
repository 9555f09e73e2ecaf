"""Disease cards, supervision, health education and referrals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.cross.child import found_people
from phqc_pipeline.sample.faults.cross.core import normal_name
from phqc_pipeline.sample.faults.truth import Finding, Judgement, Truth, records_of

_CENTRE = "乡镇"  # how the registry of the sample calls health centres


def _institution(truth: Truth, rule: Rule, form_id: str, *, wrong: bool) -> list[Finding]:
    return [Finding(rule.rule_id, form_id, rule.field, "institution", truth.work.institution.code)] if wrong else []


def _work(truth: Truth, rule: Rule, form_id: str, *, apart: bool) -> list[Mapping[str, Any]]:
    """The records of the period; with ``apart``, without those of the clinics."""
    rows = truth.rows[form_id].with_columns(truth.service(form_id).alias("day"))
    rows = rows.filter(pl.col("day").is_between(truth.ctx.period_start, truth.until))
    clinics = {village.clinic_code for village in truth.work.institution.villages} if apart else set()
    column, code = rule.params.get("where_column"), rule.params.get("where_code")
    return [
        row
        for row in rows.to_dicts()
        if row["institution_code"] not in clinics and (column is None or row[column] == code)
    ]


def _same_case(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = truth.rows[form_id].filter(pl.col("report_type_code").ne_missing(rule.params["correction"]))
    key = ["patient_name", "disease_code", "onset_date"]
    rows = rows.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in key))
    names = pl.Series("patient_name", [normal_name(one) for one in rows["patient_name"].to_list()], pl.String)
    return records_of(rule, form_id, rows.filter(pl.struct(names, *key[1:]).is_duplicated()))


def _too_little(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    params = rule.params
    if "levels" in params and _CENTRE not in params["levels"]:
        return []
    rows = _work(truth, rule, form_id, apart=bool(params.get("stations_apart")))
    kinds = params.get("kinds_of")
    done = len({row[kinds].strip() for row in rows if row[kinds]}) if kinds else len(rows)
    length = (truth.ctx.period_end - truth.ctx.period_start).days + 1
    gone = (truth.until - truth.ctx.period_start).days + 1
    return _institution(truth, rule, form_id, wrong=done < params["min_count"] * gone // length)


def _lectures(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    institution = truth.work.institution
    clinics = {village.clinic_code for village in institution.villages}
    held: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for row in _work(truth, rule, form_id, apart=False):
        unit = row["institution_code"] if row["institution_code"] in clinics else institution.code
        held[unit].add((row["day"].year, row["day"].month))
    months = []
    day = truth.ctx.period_start
    while day <= truth.until:
        following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
        if following - timedelta(days=1) <= truth.until:
            months.append((day.year, day.month))
        day = following
    found = []
    allowed = {institution.code: rule.params["max_idle_months"]}
    allowed |= dict.fromkeys(clinics, rule.params["station_max_idle_months"])
    for unit, most in allowed.items():
        idle = "".join(" " if month in held[unit] else "x" for month in months)
        if any(len(run) > most for run in idle.split()):
            found.append(Finding(rule.rule_id, form_id, rule.field, "institution", unit))
    return found


def _board_old(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    days = sorted({row["day"] for row in _work(truth, rule, form_id, apart=True)})
    gaps = [(later - day).days for day, later in pairwise(days)]
    return _institution(truth, rule, form_id, wrong=max(gaps, default=0) > rule.params["max_gap_days"])


def _doubtful(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = _work(truth, rule, form_id, apart=False)
    alike = Counter(
        (row["activity_form"], row["activity_topic"].strip(), row["audience_count"])
        for row in rows
        if row["activity_topic"] and row["audience_count"] is not None
    )
    bare = [
        row
        for row in rows
        if row["activity_form"] in rule.params["gatherings"]
        and row["evidence_codes"] is not None
        and not set(rule.params["evidence"]) <= set(row["evidence_codes"])
    ]
    wrong = bool(bare) or max(alike.values(), default=0) >= rule.params["min_repeats"]
    return _institution(truth, rule, form_id, wrong=wrong)


def _nothing_came_back(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    heard: dict[str, list[tuple[date, bool]]] = defaultdict(list)
    for form in rule.reads:
        for row in truth.records(form) if form != form_id else ():
            if row["day"]:
                heard[row["archive_no"]].append((row["day"], form == rule.params["slip_form"]))
    within = timedelta(days=rule.params["within_days"])
    lost = {
        row["archive_no"]
        for row in truth.records(form_id)
        if row["day"]
        and truth.ctx.period_start <= row["day"] + within + timedelta(days=1) <= truth.until
        and not any(
            row["day"] < day <= row["day"] + within or (slip and day == row["day"])
            for day, slip in heard[row["archive_no"]]
        )
    }
    return found_people(rule, form_id, lost)


def _no_slip(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    slips: dict[str, list[date]] = defaultdict(list)
    for row in truth.records(rule.params["slip_form"]):
        if row["day"]:
            slips[row["archive_no"]].append(row["day"])
    near = rule.params["near_days"]
    without = {
        row["archive_no"]
        for row in truth.records(form_id)
        if row["day"]
        and (row["referral_reason"] or "").strip() not in ("", *rule.params["no_reason"])
        and not any(abs((day - row["day"]).days) <= near for day in slips[row["archive_no"]])
    }
    return found_people(rule, form_id, without)


JUDGEMENTS: Mapping[str, Judgement] = {
    "INF-U-001": _same_case,
    "SUP-T-002": _too_little,
    "HED-T-001": _lectures,
    "HED-T-002": _too_little,
    "HED-T-003": _too_little,
    "HED-T-004": _too_little,
    "HED-T-005": _board_old,
    "HED-A-001": _doubtful,
    "REF-T-001": _nothing_came_back,
    "REF-X-001": _no_slip,
}
