"""Quality control is switched on by a paid order, off by its end: night by night, on one small home."""

from __future__ import annotations

from pathlib import Path

from tests.end_to_end.conftest import table
from tests.end_to_end.tiny import BAD, deliver, judge, register, visits

ORDER = """\
order_no,institution_code,basis_report,basis_year,basis_period,basis_item,unit_price,currency,rounding,signed_on,service_from,service_to,penalty_rate
T-1,3101010010,r_vision,2023,Y,screened,0.6,CNY,yuan_down,2024-10-25,2024-11-01,2024-12-30,0.05
"""


def state(home: Path) -> tuple:
    (row,) = table(
        home, "SELECT state, first_seen::VARCHAR, last_seen::VARCHAR FROM qc.finding WHERE rule_id = 'VIS-L-001'"
    )
    return row


def statuses(home: Path) -> set[tuple[str, str | None]]:
    newest = "snapshot_date = (SELECT max(snapshot_date) FROM qc.run)"
    return set(table(home, f"SELECT DISTINCT status, reason FROM qc.rule_result WHERE {newest}"))


def test_an_order_opens_and_ends_quality_control(tmp_path: Path) -> None:
    home = register(tmp_path)
    (home.registry / "order.csv").write_text(ORDER, encoding="utf-8")
    paid = (home.registry / "payment.csv").read_text("utf-8").replace("2024-10-28", "2024-12-30")

    (home.registry / "payment.csv").write_text(paid.splitlines()[0] + "\n", encoding="utf-8")
    deliver(home, "2024-12-29", visits(3, v1=BAD))
    judge(home, "2024-12-29")
    assert statuses(home.root) == {("not_evaluable", "未开通质控：订单 T-1 未付清")}
    assert table(home.root, "SELECT count(*) FROM qc.finding") == [(0,)]
    assert table(home.root, "SELECT status, rows_loaded FROM ingest.file") == [("accepted", 3)]
    assert table(home.root, "SELECT count(*) FROM records.vision_screening") == [(3,)]

    (home.registry / "payment.csv").write_text(paid, encoding="utf-8")
    judge(home, "2024-12-30")
    assert state(home.root) == ("open", "2024-12-30", "2024-12-30")

    judge(home, "2024-12-29")  # paid: the past of the service period may be judged now
    assert state(home.root) == ("open", "2024-12-29", "2024-12-30")

    deliver(home, "2024-12-31", visits(3))  # put right, but the service is over
    judge(home, "2024-12-31")
    assert state(home.root) == ("open", "2024-12-29", "2024-12-30")
    assert statuses(home.root) == {("not_evaluable", "未开通质控：订单 T-1 的服务期已于 2024-12-30 届满")}
    assert table(home.root, "SELECT records_checked, findings FROM qc.run ORDER BY snapshot_date DESC LIMIT 1") == [
        (0, 0)
    ]
