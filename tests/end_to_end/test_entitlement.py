"""Quality control is switched on by a paid order, off by its end: night by night, on one small home."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from dagster import DagsterInstance, RunRequest, build_sensor_context

from phqc_pipeline.billing import office
from phqc_pipeline.orchestration.billing_calendar import billing_due, billing_sensor, open_events
from phqc_pipeline.reports import night_summary
from tests.end_to_end.conftest import table
from tests.end_to_end.tiny import BAD, INSTITUTION, RULES, deliver, judge, register, visits

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


def test_an_order_opens_and_ends_quality_control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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

    (home.registry / "payment.csv").write_text(paid + "T-9,2024-12-30,1,\nT-1,2024-12-30,-1,\n", encoding="utf-8")
    judge(home, "2024-12-30")
    wrong = "SELECT file, row_number, column_name, value, is_left_out FROM ingest.registry_problem ORDER BY 2 DESC"
    assert table(home.root, wrong) == [
        ("payment.csv", 4, "amount", "-1", True),
        ("payment.csv", 3, "order_no", "T-9", True),
    ]
    said = night_summary(home.published_db, date(2024, 12, 30), [], 0)
    assert "登记资料：2 处有误未采用" in said
    assert "payment.csv 第 4 行 amount：“-1”不是金额；该行未采用，请写" in said
    assert state(home.root) == ("open", "2024-12-30", "2024-12-30")

    judge(home, "2024-12-29")  # paid: the past of the service period may be judged now
    assert state(home.root) == ("open", "2024-12-29", "2024-12-30")

    deliver(home, "2024-12-31", visits(3))  # put right, but the service is over
    (home.registry / "service_request.csv").write_text(
        "请求编号,机构编码,类别,报告时间,现象,响应时间,解决时间,处理措施,处理人\n"
        f"R1,{INSTITUTION},故障,2024-12-27 10:00,打不开,2024-12-27 11:00,,,\n",
        encoding="utf-8",
    )
    judge(home, "2024-12-31")
    assert state(home.root) == ("open", "2024-12-29", "2024-12-30")
    assert statuses(home.root) == {("not_evaluable", "未开通质控：订单 T-1 的服务期已于 2024-12-30 届满")}
    assert table(home.root, "SELECT records_checked, findings FROM qc.run ORDER BY snapshot_date DESC LIMIT 1") == [
        (0, 0)
    ]

    # what was used is counted once a month, and by night as it was
    assert table(home.root, "SELECT month, nights, records_judged, findings FROM billing.usage") == [
        ("2024-12", 2, 3, 1)
    ]
    assert table(home.root, "SELECT day(snapshot_date), records_judged FROM billing.usage_night ORDER BY 1") == [
        (29, 3),
        (30, 3),
    ]
    # no report was delivered: nothing can be charged, and the rest of the bill stands
    assert table(home.root, "SELECT state, is_entitled FROM billing.order") == [("expired", False)]
    assert table(home.root, "SELECT status, reason FROM billing.charge") == [
        ("not_evaluable", "未收到报表或该格为空：r_vision 2023 年 Y screened")
    ]
    papers = {path.name for path in (home.published / INSTITUTION / "计费").iterdir()}
    assert papers == {f"T-1_{name}.docx" for name in ("客户服务确认单", "续约通知", "年度服务报告")}
    assert (home.published / "计费" / "计费对账.xlsx").is_file()

    due = [event[0] for event in open_events(home, date(2024, 12, 31))]
    assert len(due) == 4  # the renewal notice to either side, the confirmation sheet, a fault not mended
    assert "service_repair R1 seller" in due
    monkeypatch.setenv("PHQC_HOME", str(home.root))
    asked = []
    with DagsterInstance.ephemeral() as instance:
        cursor: str | None = None
        for _ in range(2):
            context = build_sensor_context(instance=instance, cursor=cursor)
            asked += [event for event in billing_sensor()(context) if isinstance(event, RunRequest)]
            cursor = context.cursor
    (request,) = asked  # once, however often it looks
    assert request.run_config["ops"]["raise_due"]["config"]["events"] == due

    monkeypatch.setenv("PHQC_RULES", str(RULES))
    monkeypatch.setattr(office, "find_libreoffice", lambda: None)
    with DagsterInstance.ephemeral() as instance:
        done = billing_due.execute_in_process(run_config=request.run_config, instance=instance)
    assert done.success
    assert done.output_for_node("raise_due") == 4
