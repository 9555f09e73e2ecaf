"""Which rows are judged: the current one of each record number, of statuses that take part (0a.1, 0a.9)."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from phqc_pipeline.catalogue import Catalogue, Form
from tests.checks.lake_frames import delivered, judge, records

EARLY, LATE = datetime.fromisoformat("2024-05-01T08:00:00"), datetime.fromisoformat("2024-05-02T08:00:00")
BAD = 300.0  # outside the hard range: a finding that shows which row was judged by its observed value


def _row(observed: int, record_id: str | None = "R1", **cells: Any) -> dict[str, Any]:
    return {"record_id": record_id, "_record_key": record_id or "#same", "sbp": BAD + observed, **cells}


def _judged(cat: Catalogue, form: Form, lake: Path, *parts: list[dict[str, Any]], **options: Any) -> list[str]:
    """Which rows were judged, by what they say."""
    delivery = delivered(lake, form, "A", *(records(form, *part) for part in parts))
    night = judge(cat, [delivery], lake / "out", **options)
    found = night.findings.filter(rule_id="COM-F-014", field="sbp")["observed"].to_list()
    assert night.judgement.records_judged == len(found) == night.result("COM-F-014", "sbp")["checked"]
    assert night.present.filter(subject_kind="record").height == len(set(found))
    return sorted(str(int(text) - int(BAD)) for text in found)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([_row(1, updated_at=LATE), _row(2, updated_at=EARLY)], ["1"]),
        ([_row(1, updated_at=EARLY), _row(2, updated_at=LATE)], ["2"]),
        ([_row(1, updated_at=LATE), _row(2, updated_at=LATE)], ["2"]),
        ([_row(1, updated_at=EARLY), _row(2)], ["1"]),
        ([_row(1), _row(2), _row(3)], ["3"]),
        ([_row(1), _row(2, "R2"), _row(3)], ["2", "3"]),
        ([_row(1), _row(2, updated_at__raw="昨天")], ["2"]),
    ],
    ids=["first changed last", "last changed last", "tie", "empty is earliest", "none", "others stay", "unreadable"],
)
def test_the_current_row_of_a_record_number(
    cat: Catalogue, visit: Form, lake: Path, rows: list[dict[str, Any]], expected: list[str]
) -> None:
    assert _judged(cat, visit, lake, rows) == expected


def test_parts_of_a_delivery_are_one(cat: Catalogue, visit: Form, lake: Path) -> None:
    parts = [[_row(1, updated_at=LATE), _row(2, "R2")], [_row(3, updated_at=EARLY), _row(4, "R2")], [_row(5, "R3")]]
    assert _judged(cat, visit, lake, *parts) == ["1", "4", "5"]


@pytest.mark.parametrize("batch_rows", [1, 2, 3, 100])
def test_whatever_the_batch(cat: Catalogue, visit: Form, lake: Path, batch_rows: int) -> None:
    parts = [[_row(1, updated_at=LATE), _row(2, "R2"), _row(3)], [_row(4, "R2", updated_at=EARLY), _row(5, "R2")]]
    assert _judged(cat, visit, lake, *parts, batch_rows=batch_rows) == ["1", "4"]


def test_the_same_number_at_another_institution_is_another_record(cat: Catalogue, visit: Form, lake: Path) -> None:
    frame = records(visit, _row(1))
    deliveries = [delivered(lake, visit, name, frame) for name in ("A", "B")]
    assert judge(cat, deliveries, lake / "out").judgement.records_judged == 2


@pytest.mark.parametrize(
    ("status", "raw", "takes_part"),
    [("1", None, True), ("5", None, True), (None, None, True), (None, "归档?", True)]
    + [(status, None, False) for status in "234"],
)
def test_record_status(
    cat: Catalogue, visit: Form, lake: Path, status: str | None, raw: str | None, takes_part: bool
) -> None:
    row = _row(1, record_status=status, record_status__raw=raw)
    assert _judged(cat, visit, lake, [row]) == (["1"] if takes_part else [])


def test_a_current_row_that_takes_no_part_silences_its_group(cat: Catalogue, visit: Form, lake: Path) -> None:
    rows = [_row(1, updated_at=EARLY, record_status="1"), _row(2, updated_at=LATE, record_status="3")]
    assert _judged(cat, visit, lake, rows) == []


def test_a_draft_that_was_replaced_does_not_silence(cat: Catalogue, visit: Form, lake: Path) -> None:
    rows = [_row(1, updated_at=EARLY, record_status="2"), _row(2, updated_at=LATE, record_status="1")]
    assert _judged(cat, visit, lake, rows) == ["2"]


def test_rows_without_a_number_are_known_by_their_content(cat: Catalogue, visit: Form, lake: Path) -> None:
    rows = [_row(1, None), _row(1, None), _row(2, None, _record_key="#other")]
    assert _judged(cat, visit, lake, rows) == ["1", "2"]


def test_records_from(cat: Catalogue, visit: Form, lake: Path) -> None:
    days = [date(2023, 12, 31), date(2024, 1, 1), None]
    rows = [_row(number, f"R{number}", visit_date=day) for number, day in enumerate(days)]
    assert _judged(cat, visit, lake, rows, records_from=date(2024, 1, 1)) == ["1", "2"]
    assert _judged(cat, visit, lake, rows) == ["0", "1", "2"]
