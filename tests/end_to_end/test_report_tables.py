"""What is published of reports hangs together: differences, versions, indicators, services due."""

from __future__ import annotations

import duckdb

CAUSES = {"状态口径", "跨期", "重复", "在管无随访", "死亡未销", "暂存/作废/退回", "不合口径", "未能说明"}


def test_differences_are_explained_by_archives(small: duckdb.DuckDBPyConnection) -> None:
    causes = small.execute("SELECT DISTINCT cause FROM report.difference").fetchall()
    assert causes
    assert {cause for (cause,) in causes} <= CAUSES
    stray = small.execute(
        "SELECT count(*) FROM report.difference AS d ANTI JOIN report.reconciliation AS r ON r.status = '差异' "
        "AND (r.institution_code, r.report_id, r.year, r.period, r.item) "
        "= (d.institution_code, d.report_id, d.year, d.period, d.item)"
    ).fetchone()
    assert stray == (0,)


def test_what_archives_do_not_account_for_is_told(small: duckdb.DuckDBPyConnection) -> None:
    key = "institution_code, report_id, year, period, item"
    wrong = small.execute(
        f"WITH each AS (SELECT {key}, coalesce(archive_no, record_id) AS who, max(amount) AS amount "
        f"FROM report.difference GROUP BY ALL), "
        f"told AS (SELECT {key}, coalesce(sum(amount) FILTER (who IS NOT NULL), 0) AS named, "
        f"coalesce(sum(amount) FILTER (who IS NULL), 0) AS rest FROM each GROUP BY ALL) "
        f"SELECT * FROM report.reconciliation LEFT JOIN told USING ({key}) WHERE status = '差异' "
        "AND coalesce(rest, -1) <> greatest(abs(difference) - named, 0)"
    ).fetchall()
    assert wrong == []
    sides = small.execute("SELECT DISTINCT direction FROM report.difference WHERE cause <> '未能说明'").fetchall()
    assert {side for (side,) in sides} == {"多报", "少报"}


def test_reconciliation_adds_up(small: duckdb.DuckDBPyConnection) -> None:
    wrong = small.execute(
        "SELECT * FROM report.reconciliation WHERE difference IS DISTINCT FROM reported - recomputed "
        "OR (recomputed IS NULL) <> (status = '不可比') AND reported IS NOT NULL "
        "OR verification_factor IS DISTINCT FROM round(recomputed / nullif(reported, 0), 4)"
    ).fetchall()
    assert wrong == []
    (comparable,) = small.execute(
        "SELECT count(DISTINCT item) FROM report.reconciliation WHERE status <> '不可比'"
    ).fetchone() or (0,)
    assert comparable >= 50


def test_the_version_in_force_is_what_is_reported(small: duckdb.DuckDBPyConnection) -> None:
    key = "institution_code, report_id, year, period, item, value"
    current = small.execute(f"SELECT {key} FROM report.version WHERE is_current ORDER BY ALL").fetchall()
    assert current == small.execute(f"SELECT {key} FROM report.value ORDER BY ALL").fetchall()


def test_every_indicator_has_a_row(small: duckdb.DuckDBPyConnection) -> None:
    found = {one for (one,) in small.execute("SELECT DISTINCT left(indicator_id, 4) FROM indicator.value").fetchall()}
    assert found == {f"I-{number:02d}" for number in range(1, 35)}
    wrong = small.execute(
        "SELECT * FROM indicator.value WHERE coalesce(denominator, 0) = 0 AND value IS NOT NULL "
        "OR denominator > 0 AND numerator IS NOT NULL "
        "AND value IS DISTINCT FROM round(factor * numerator / denominator, 2)"
    ).fetchall()
    assert wrong == []


def test_what_is_due(small: duckdb.DuckDBPyConnection) -> None:
    wrong = small.execute(
        "SELECT * FROM mart.due_list "
        "WHERE due_from > due_by OR (state = '逾期') <> (overdue_days > 0) OR done < 0 OR needed < 1"
    ).fetchall()
    assert wrong == []
    better = small.execute("SELECT count(*) FROM mart.indicator_outlook WHERE value_all > value_none").fetchone()
    assert better is not None
    assert better[0] > 0


def test_requests_and_refunds_of_the_sample_are_shown(small: duckdb.DuckDBPyConnection) -> None:
    """In time, late and still open; what was paid too much came back, so that nobody owes anything."""
    told = small.execute("SELECT response_status, repair_status FROM billing.service_request").fetchall()
    assert {("done", "done"), ("late", "late"), ("done", "overdue"), ("void", "void")} == {*told}
    assert small.execute("SELECT amount FROM billing.payment WHERE kind = '退款'").fetchall() == [(-20,)]
    assert small.execute("SELECT DISTINCT balance, amount = owed FROM billing.order JOIN billing.charge "
                         "USING (order_no, institution_code, amount)").fetchall() == [(0, True)]  # fmt: skip
    open_events = small.execute("SELECT status_title FROM mart.billing_calendar WHERE what LIKE '%QQ-0005%'").fetchall()
    assert open_events == [("逾期",)]
