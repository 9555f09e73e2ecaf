"""The summary of a night, in Chinese, for the one who started it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import duckdb

from phqc_pipeline.extracts.registry_files import RowProblem, problem_lines


def night_summary(database: Path, snapshot: date, folders: Sequence[Path], seconds: float, plan_id: str = "") -> str:
    """A few lines of text: what was read, judged, found and charged, and where the results are. No personal data.

    ``plan_id``: whose night of ``snapshot`` is told of; without it the one whose figures stand for the date."""
    with duckdb.connect(str(database), read_only=True) as con:

        def one(sql: str, *parameters: object) -> tuple:
            return con.execute(sql, list(parameters)).fetchone() or ()

        files, quarantined, rejected = one(
            "SELECT count(*) FILTER (status = 'accepted'), count(*) FILTER (status = 'quarantined'), "
            "coalesce(sum(rows_rejected) FILTER (status = 'accepted'), 0) FROM ingest.file WHERE snapshot_date = ?",
            snapshot,
        )
        records, found, run_id = one(
            "SELECT records_checked, findings, run_id FROM qc.run WHERE snapshot_date = ? AND status <> 'failed' "
            "ORDER BY plan_id = ? DESC, is_leading DESC, finished_at DESC LIMIT 1",
            snapshot,
            plan_id,
        ) or (0, 0, "")
        severities = con.execute("SELECT severity, count(*) FROM qc.finding_current GROUP BY severity").fetchall()
        statuses = dict(
            con.execute(
                "SELECT status, count(*) FROM qc.rule_result WHERE run_id = ? GROUP BY status", [run_id]
            ).fetchall()
        )
        (not_entitled,) = one(
            "SELECT count(DISTINCT institution_code) FROM qc.rule_result WHERE snapshot_date = ? "
            "AND status = 'not_evaluable' AND starts_with(reason, '未开通质控')",
            snapshot,
        )
        charges = con.execute(
            "SELECT order_no, quantity, unit_price, amount, amount_words, reason FROM billing.charge ORDER BY order_no"
        ).fetchall()
        held = con.execute(
            "SELECT institution_code, path, reason FROM ingest.file WHERE snapshot_date = ? AND status = 'quarantined' "
            "ORDER BY path LIMIT 10",
            [snapshot],
        ).fetchall()

        wrong = [RowProblem(file, row, column or "", *told) for file, row, column, *told in con.execute(
            "SELECT file, row_number, column_name, value, reason, remedy, is_left_out FROM ingest.registry_problem"
        ).fetchall()]  # fmt: skip

    by_severity = dict(severities)
    lines = [
        f"{snapshot.isoformat()} 质控完成，用时 {seconds:.0f} 秒",
        f"  收到文件：接收 {files} 份，隔离 {quarantined} 份，拒收 {rejected} 行",
        f"  参加质控的记录：{records:,} 条；本次发现问题 {found:,} 条",
        "  待整改："
        + "，".join(f"{severity} {by_severity.get(severity, 0):,}" for severity in ("严重", "一般", "提示")),
        "  规则判定："
        + "，".join(
            f"{title} {statuses.get(status, 0):,}"
            for status, title in (
                ("pass", "通过"),
                ("fail", "未通过"),
                ("not_applicable", "不适用"),
                ("not_evaluable", "未能判定"),
                ("error", "出错"),
            )
        ),
    ]
    if not_entitled:
        lines.append(f"  未开通质控：{not_entitled} 家机构只收未判，原因见 qc.rule_result")
    for order_no, quantity, price, amount, words, reason in charges[:10]:
        if amount is None:
            lines.append(f"  服务费 {order_no}：未能计算，{reason}")
        else:
            lines.append(
                f"  服务费 {order_no}：{quantity:,} × {price.normalize():f} 元，应付 ¥{amount:,.2f}（{words}）"
            )
    if len(charges) > 10:
        lines.append(f"  服务费：另有 {len(charges) - 10} 份订单，见 billing.charge")
    for institution, path, reason in held:
        lines.append(f"  隔离：{institution} {path}：{reason}")
    lines += problem_lines(wrong)
    lines.append(f"  数据仓库：{database}")
    lines.extend(f"  报告与整改清单：{folder}" for folder in folders[:5])
    if len(folders) > 5:
        lines.append(f"  报告与整改清单：另有 {len(folders) - 5} 家机构，见 {database.parent}")
    return "\n".join(lines)
