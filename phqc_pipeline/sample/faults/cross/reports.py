"""Rules of reports: against the records, within a report, between reports and periods.

Reports are a few dozen rows, so these are plain comparisons of rows; what the records say is the honest report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.truth import Finding, Judgement, Truth

Row = Mapping[str, Any]
_KEY = ("institution_code", "institution_name", "year", "period")


def _rows(truth: Truth, report_id: str) -> list[Row]:
    return list(truth.reports[report_id].iter_rows(named=True)) if report_id in truth.reports else []


def _items(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _KEY}


def _finding(rule: Rule, form_id: str, row: Row) -> Finding:
    return Finding(rule.rule_id, form_id, rule.field, "institution", row["institution_code"])


def _cells(truth: Truth) -> dict[tuple[int, str], dict[str, Any]]:
    """Every item of every report by period; no two reports have an item of one name."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for report_id in truth.reports:
        for row in _rows(truth, report_id):
            found.setdefault((row["year"], row["period"]), {}).update(_items(row))
    return found


def _miscounted(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    forms = [one for one in rule.reads if one not in truth.reports]
    if any(one not in truth.rows for one in forms):
        return []
    items = list(rule.params.get("cells") or [rule.params["item"]])
    found = []
    for row, right in zip(_rows(truth, form_id), truth.honest[form_id].iter_rows(named=True), strict=True):
        pairs = [(row[item], right[item]) for item in items if item in row]
        if any(abs(told - meant) > rule.params["tolerance"] for told, meant in pairs if None not in (told, meant)):
            found.append(_finding(rule, form_id, row))
    return found


def _pairs(rule: Rule, cells: Row) -> Iterator[tuple[float, float]]:
    """Part and whole (or its share) of each pair, those of a pattern spread out, where both are given."""
    written = rule.params.get("pairs") or [f"{rule.params['part']}/{rule.params['whole']}"]
    shares = rule.params.get("shares") or [1] * len(written)
    for pair, share in zip(written, shares, strict=True):
        part, whole = pair.split("/")
        names = [(part, whole)]
        if part.endswith("*"):
            first, second = part.rstrip("*"), whole.rstrip("*")
            names = [(name, name.replace(first, second)) for name in cells if name.startswith(first)]
        for one, other in names:
            if cells.get(one) is not None and cells.get(other) is not None:
                yield cells[one], cells[other] * share


def _part_exceeds(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    if any(one not in truth.reports for one in rule.reads):
        return []
    cells = _cells(truth)
    return [
        _finding(rule, form_id, row)
        for row in _rows(truth, form_id)
        if any(part > whole for part, whole in _pairs(rule, cells[row["year"], row["period"]]))
    ]


def _disagree(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    cells, (here, there) = _cells(truth), rule.params["same"]
    found = []
    for row in _rows(truth, form_id):
        told = cells[row["year"], row["period"]]
        if None not in (told.get(here), told.get(there)) and told[here] != told[there]:
            found.append(_finding(rule, form_id, row))
    return found


def _of_nature(truth: Truth, rule: Rule, form_id: str, nature: str) -> list[str]:
    left_out = set(rule.params.get("except_items", ()))
    return [
        item.item for item in truth.cat.reports[form_id].items if item.nature == nature and item.item not in left_out
    ]


def _falls(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    found = []
    running = _of_nature(truth, rule, form_id, "累计")
    last: dict[tuple[int, bool, str], float] = {}
    order = sorted(_rows(truth, form_id), key=lambda row: (row["year"], row["period"] == "Y", row["period"]))
    for row in order:
        series = (row["year"], row["period"].startswith("M"))
        fallen = False
        for item in running:
            if row[item] is not None:
                fallen |= row[item] < last.get((*series, item), row[item])
                last[(*series, item)] = row[item]
        if fallen:
            found.append(_finding(rule, form_id, row))
    return found


def _far_from_last_year(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = {(row["year"], row["period"]): row for row in _rows(truth, form_id)}
    found = []
    for (year, period), row in rows.items():
        before = _items(rows.get((year - 1, period), {}))
        changes = [
            abs(round(row[item] / value - 1, 6))
            for item, value in before.items()
            if value is not None and value >= rule.params["min_before"] and row[item] is not None
        ]
        if any(change > rule.params["max_change"] for change in changes):
            found.append(_finding(rule, form_id, row))
    return found


def _uneven(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = {(row["year"], row["period"]): row for row in _rows(truth, form_id)}
    running = _of_nature(truth, rule, form_id, "累计")
    found = []
    for (year, period), row in rows.items():
        before = rows.get((year, f"Q{int(period[1:]) - 1}")) if period.startswith("Q") else None
        if before is None:
            continue
        quarters = int(period[1:])
        for item in running:
            total, earlier = row[item], before[item]
            if total is None or earlier is None or total < rule.params["min_total"]:
                continue
            step = total - earlier
            if step == 0 or abs(round(step / (total / quarters) - 1, 6)) > rule.params["max_change"]:
                found.append(_finding(rule, form_id, row))
                break
    return found


def _copied(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    rows = {(row["year"], row["period"]): row for row in _rows(truth, form_id)}
    found = []
    for (year, period), row in rows.items():
        before = rows.get(_before(year, period))
        if before is None or all(value is None for value in _items(before).values()):
            continue
        if _items(row) == _items(before) and any(_items(row).values()):
            found.append(_finding(rule, form_id, row))
    return found


def _before(year: int, period: str) -> tuple[int, str]:
    """The period before, of the same kind."""
    if period == "Y":
        return year - 1, "Y"
    place, width, last = int(period[1:]), len(period) - 1, 4 if period[0] == "Q" else 12
    return (year - 1, f"{period[0]}{last:0{width}d}") if place == 1 else (year, f"{period[0]}{place - 1:0{width}d}")


def _on_target(truth: Truth, rule: Rule, form_id: str) -> list[Finding]:
    cells = _cells(truth)
    found = []
    for row in _rows(truth, form_id):
        told = cells[row["year"], row["period"]]
        matches = 0
        for one in truth.cat.indicators.values():
            goals = [t for t in one.targets if t.year == row["year"] and row["institution_code"].startswith(t.region)]
            parts = [told.get(name) for name in (*one.numerator, *one.denominator)]
            if not goals or one.together or None in parts or not (one.denominator or one.fixed):
                continue
            whole = sum(told[name] for name in one.denominator) if one.denominator else one.fixed
            if whole:
                rate = one.factor * sum(told[name] for name in one.numerator) / whole
                matches += round(rate + 1e-9, 2) == max(goals, key=lambda goal: len(goal.region)).value
        if matches >= rule.params["min_matches"]:
            found.append(_finding(rule, form_id, row))
    return found


_AGAINST_RECORDS = [f"RPT-R-{number:03d}" for number in range(1, 25)]
_WITHIN = [f"RPT-R-{number:03d}" for number in (*range(30, 43), 45)]

JUDGEMENTS: Mapping[str, Judgement] = {
    **dict.fromkeys(_AGAINST_RECORDS, _miscounted),
    **dict.fromkeys(_WITHIN, _part_exceeds),
    "RPT-R-044": _disagree,
    "RPT-R-050": _falls,
    "RPT-R-051": _far_from_last_year,
    "RPT-R-052": _uneven,
    "RPT-R-054": _copied,
    "RPT-R-055": _on_target,
}
