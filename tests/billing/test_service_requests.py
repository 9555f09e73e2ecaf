"""Service requests: deadlines that count service hours alone, and how each stands on a day."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pytest

from phqc_pipeline.billing.service_requests import request_events, service_requests
from phqc_pipeline.catalogue.pricing import BillingTerms


def requests(*rows: tuple[str, str, str | None, str | None]) -> pl.DataFrame:
    names = ("reported_at", "responded_at", "resolved_at")
    moments = [[None if text is None else datetime.fromisoformat(text) for text in row[1:]] for row in rows]
    told = [(f"R{place}", None, row[0], *times) for place, (row, times) in enumerate(zip(rows, moments, strict=True))]
    schema = {
        "request_no": pl.String,
        "institution_code": pl.String,
        "kind": pl.String,
        **dict.fromkeys(names, pl.Datetime),
    }
    return pl.DataFrame(told, schema=schema, orient="row")


@pytest.mark.parametrize(
    ("reported", "response", "repair"),
    [
        ("2024-11-01 14:30", "2024-11-01 16:30", "2024-11-05 14:30"),  # a Friday: the weekend does not count
        ("2024-11-01 18:30", "2024-11-04 11:00", "2024-11-05 18:30"),
        ("2024-11-01 22:00", "2024-11-04 12:00", "2024-11-05 19:30"),
        ("2024-11-02 08:00", "2024-11-04 12:00", "2024-11-05 19:30"),
        ("2024-09-30 19:00", "2024-10-08 11:30", "2024-10-09 19:00"),  # National Day
        ("2024-10-12 09:00", "2024-10-12 12:00", "2024-10-14 19:30"),  # a Saturday that is worked
    ],
)
def test_hours_of_service_alone_count(reported: str, response: str, repair: str) -> None:
    (row,) = service_requests(requests(("故障", reported, None, None)), BillingTerms(), date(2024, 12, 1)).to_dicts()
    assert (row["response_due_at"], row["repair_due_at"]) == (
        datetime.fromisoformat(response),
        datetime.fromisoformat(repair),
    )


def test_how_requests_stand() -> None:
    told = requests(
        ("故障", "2024-11-01 10:00", "2024-11-01 12:00", "2024-11-04 19:30"),  # the last moment
        ("故障", "2024-11-01 10:00", "2024-11-01 12:01", "2024-11-05 10:01"),
        ("故障", "2024-11-01 10:00", None, "2024-11-01 11:00"),  # settled at once: answered then
        ("故障", "2024-11-04 10:00", None, None),
        ("培训", "2024-11-04 10:00", None, None),
        ("故障", "2032-11-04 10:00", None, None),
        ("故障", "2033-11-04 10:00", None, None),  # not reported yet
    )
    table = service_requests(told, BillingTerms(), date(2024, 11, 4)).select(
        "state", "response_status", "repair_status"
    )
    assert table.rows() == [
        ("已解决", "done", "done"),
        ("处理中", "late", "due"),  # settled a day later: not yet on this day
        ("已解决", "done", "done"),
        ("待响应", "due", "upcoming"),
        ("待响应", "void", "void"),
    ]
    later = service_requests(told, BillingTerms(), date(2032, 12, 1))
    assert later["repair_status"].to_list()[1] == "late"
    assert later["response_hours"].to_list()[:3] == [Decimal("2.00"), Decimal("2.02"), Decimal("1.00")]
    assert later["response_status"].to_list()[5] == "not_evaluable"
    assert "2032 年的节假日安排" in later["reason"][5]
    events = request_events(later, date(2032, 12, 1))
    assert [event["status"] for event in events if event["event_id"].split()[1] == "R3"] == ["overdue", "overdue"]
    assert [(event["status"], event["due_on"]) for event in events[8:]] == [("not_evaluable", None)] * 2
