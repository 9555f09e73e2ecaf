"""肺结核: a treatment over several records, the cases reported, the report's figure of regular patients."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.truth import Finding, Judgement, Truth, people_of, records_of

_FIRST, _FOLLOW_UP = "tb_first_visit", "tb_followup"


def _people(rule: Rule, form_id: str, archive_numbers: set[str]) -> list[Finding]:
    return people_of(rule, form_id, pl.Series(sorted(archive_numbers), dtype=pl.String))


def _by_person(truth: Truth, form_id: str) -> dict[str, list[dict[str, Any]]]:
    """Every person's records up to today, in order of day."""
    rows = truth.rows[form_id].drop_nulls(["archive_no", "visit_date"]).filter(pl.col("visit_date") <= truth.until)
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows.sort("visit_date", "record_id", nulls_last=False).iter_rows(named=True):
        found.setdefault(row["archive_no"], []).append(row)
    return found


def _late(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    found = set()
    for number, noticed, visited in (
        truth.rows[_FIRST].select("archive_no", "notice_date", "visit_date").drop_nulls().iter_rows()
    ):
        hours = (datetime.combine(visited, time()) - noticed).total_seconds() / 3600
        if hours > int(rule.params["max_hours"]):
            found.add(number)
    return _people(rule, form_id, found)


def _too_far_apart(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    params, start = rule.params, truth.ctx.period_start
    first = truth.visits(_FIRST, start).select("archive_no", "visit_date", pl.lit(0).alias("_follows"))
    follow_ups = truth.visits(_FOLLOW_UP, start)
    columns = ("archive_no", "visit_date", "treatment_month", "supervisor_code", "stop_date")
    visits = pl.concat([first, follow_ups.select(*columns, pl.lit(1).alias("_follows"))], how="diagonal")
    visits = visits.sort("archive_no", "visit_date", "_follows").unique(
        ["archive_no", "visit_date"], keep="last", maintain_order=True
    )
    gap = (pl.col("visit_date") - pl.col("visit_date").shift(1).over("archive_no")).dt.total_days()
    bad = visits.filter(
        (pl.col("_follows") == 1)
        & pl.col("supervisor_code").is_in(list(params["supervisors"]))
        & pl.col("treatment_month").is_between(params["from_month"], params["to_month"])
        & pl.col("stop_date").shift(1).over("archive_no").is_null()
        & (gap > int(params["max_gap_days"]))
    )
    return people_of(rule, form_id, bad["archive_no"])


def _later(day: date, months: int) -> date:
    """So many months later, at the end of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _months_missed(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    params = rule.params
    follow_ups = _by_person(truth, _FOLLOW_UP)
    found = set()
    for number, starts in _by_person(truth, _FIRST).items():
        start = starts[-1]
        visits = [one for one in follow_ups.get(number, ()) if one["visit_date"] >= start["visit_date"]]
        last = visits[-1] if visits else start
        if last["supervisor_code"] not in params["supervisors"]:
            continue
        ends = [one["stop_date"] for one in visits if one["stop_date"]]
        if last["archive_status"] in params["closed_status"] and last["archive_status_date"]:
            ends.append(last["archive_status_date"])
        end = min([*ends, truth.until])
        told = {one["treatment_month"] for one in visits}
        longest = max([*(month for month in told if month), params["course_months"]])
        for month in range(2, int(longest) + 1):
            begins, over = _later(start["visit_date"], month - 1), _later(start["visit_date"], month)
            ended = over.toordinal() - 1
            in_period = truth.ctx.period_start.toordinal() <= ended <= truth.until.toordinal()
            seen = month in told or any(begins <= one["visit_date"] < over for one in visits)
            if over <= end and in_period and not seen:
                found.add(number)
    return _people(rule, form_id, found)


def _numbers_lacking(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    closed = truth.rows[form_id].drop_nulls(["archive_no", "stop_date"])
    delivered = truth.work.lake_rows(
        form_id, truth.work.frames[form_id].filter(pl.col("_row").is_in(closed["_row"].implode()))
    )
    empty = pl.any_horizontal(
        pl.col(name).is_null() & _nothing_written(delivered, name) for name in rule.params["columns"]
    )
    return people_of(rule, form_id, delivered.filter(empty)["archive_no"])


def _nothing_written(rows: pl.DataFrame, name: str) -> pl.Expr:
    return pl.col(f"{name}__raw").is_null() if f"{name}__raw" in rows.columns else pl.lit(True)


def _called_regular(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    params = rule.params
    report = truth.reports.get(params["report"])
    if report is None:
        return []
    year = truth.ctx.period_start.year
    told = {}
    for row in report.filter(pl.col("year") == year).iter_rows(named=True):
        period = str(row["period"])
        month = 3 * int(period[1:]) if period[0] == "Q" else int(period[1:]) if period[0] == "M" else 12
        told[month, period] = row[params["item"]]
    if not told:
        return []
    latest = max(told)
    until = date(year, latest[0], monthrange(year, latest[0])[1])
    done = truth.rows[form_id].filter(
        pl.col("stop_reason_code").is_in(list(params["stop_reasons"]))
        & pl.col("stop_date").is_between(truth.ctx.period_start, until)
    )
    done = done.drop_nulls("archive_no").sort("dose_rate", nulls_last=True).unique("archive_no", keep="first")
    low = done.filter(pl.col("dose_rate") < params["min_rate"])
    if told[latest] is None or told[latest] <= done.height - low.height:
        return []
    return people_of(rule, form_id, low["archive_no"])


def _first_visits(truth: Truth, form_id: str) -> pl.DataFrame:
    """Follow-ups with the last first visit on or before their day: ``_first`` and ``_resistance``."""
    rows = truth.rows[form_id]
    first = truth.rows[_FIRST].select(
        "archive_no", pl.col("visit_date").alias("_first"), pl.col("resistance_code").alias("_resistance"),
        pl.col("record_id").alias("_first_id"),
    )  # fmt: skip
    both = rows.join(first, on="archive_no").filter(pl.col("_first") <= pl.col("visit_date"))
    return both.sort("_row", "_first", "_first_id").unique("_row", keep="last", maintain_order=True)


def _too_long(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = _first_visits(truth, form_id)
    late = pl.col("treatment_month") > rule.params["max_months"]
    return records_of(rule, form_id, rows.filter(late & pl.col("_resistance").is_in(list(rule.params["resistance"]))))


def _too_short(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = _first_visits(truth, form_id)
    months = [pl.col(name).dt.year().cast(pl.Int64) * 12 + pl.col(name).dt.month() for name in ("stop_date", "_first")]
    short = months[0] - months[1] < rule.params["min_months"]
    return records_of(
        rule, form_id, rows.filter(short & pl.col("stop_reason_code").is_in(list(rule.params["stop_reasons"])))
    )


def _kept_here(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    resistant = truth.rows[form_id].filter(pl.col("resistance_code").is_in(list(rule.params["resistance"])))
    slips = truth.rows.get("referral_out")
    found = []
    for row in resistant.drop_nulls(["archive_no", "visit_date"]).iter_rows(named=True):
        later = truth.rows[_FOLLOW_UP].filter(
            (pl.col("archive_no") == row["archive_no"]) & (pl.col("visit_date") >= row["visit_date"])
        )
        reasons = set(later["stop_reason_code"].drop_nulls().to_list())
        sent = slips is not None and not slips.filter(
            (pl.col("archive_no") == row["archive_no"]) & (pl.col("referral_date") >= row["visit_date"])
        ).is_empty()  # fmt: skip
        referred = later["referral_dept"].drop_nulls().len() > 0
        if reasons and not reasons & set(rule.params["stop_reasons"]) and not referred and not sent:
            found.append(row["_row"])
    return records_of(rule, form_id, resistant.filter(pl.col("_row").is_in(found)))


def _never_weighed(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    starts = _by_person(truth, _FIRST)
    weighed: dict[str, list[date]] = {}
    exams = truth.rows["health_exam"].drop_nulls("weight_kg").select("archive_no", "exam_date").drop_nulls()
    for number, day in exams.iter_rows():
        weighed.setdefault(number, []).append(day)
    found = set()
    for number, visits in _by_person(truth, form_id).items():
        last = visits[-1]
        if last["visit_date"] < truth.ctx.period_start:
            continue
        before = [one["visit_date"] for one in starts.get(number, ()) if one["visit_date"] <= last["visit_date"]]
        begins, ends = (before or [visits[0]["visit_date"]])[-1], last["stop_date"] or truth.until
        if not any(begins <= day <= ends for day in weighed.get(number, ())):
            found.add(number)
    return _people(rule, form_id, found)


def _reported_only(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    params = rule.params
    cases = truth.rows[form_id].filter(
        (pl.col("disease_code") == params["reported"])
        & ~pl.col("case_class_code").is_in(list(params["uncertain"])).fill_null(False)
    )
    profiles = (
        truth.rows["resident_profile"].drop_nulls(["id_card_no", "archive_no"]).sort("archive_no", descending=True)
    )
    archive_of = dict(zip(profiles["id_card_no"].str.to_uppercase(), profiles["archive_no"], strict=True))
    cards = truth.rows["chronic_registry"].filter(pl.col("disease") == params["disease"])
    known = set(cards["archive_no"].drop_nulls()) | set(cards["id_card_no"].drop_nulls().str.to_uppercase())
    found = set()
    for number, identity in cases.select("archive_no", pl.col("id_card_no").str.to_uppercase()).iter_rows():
        subject = number or archive_of.get(identity)
        if subject and subject not in known and identity not in known:
            found.add(subject)
    return _people(rule, form_id, found)


JUDGEMENTS: Mapping[str, Judgement] = {
    "TB-T-001": _late,
    "TB-T-002": _months_missed,
    "TB-T-003": _too_far_apart,
    "TB-T-004": _too_far_apart,
    "TB-C-004": _numbers_lacking,
    "TB-L-003": _called_regular,
    "TB-L-005": _too_long,
    "TB-L-007": _kept_here,
    "TB-L-008": _too_short,
    "TB-X-001": _reported_only,
    "TB-X-002": _never_weighed,
}
