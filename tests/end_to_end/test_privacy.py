"""Residents' personal data stands in clear in ``records`` and ``ingest.rejected_row`` alone (contract, section 3)."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

PERSONAL = ("person_name", "id_card_no", "phone", "contact_phone", "contact_name", "household_address",
            "current_address", "household_head_id_card", "household_head_name")  # fmt: skip


@pytest.fixture
def personal_values(small: duckdb.DuckDBPyConnection) -> set[str]:
    """Every personal value of the sample long enough to be told from ordinary text; doctors' names are working data."""
    values: set[str] = set()
    columns = small.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'records'"
    ).fetchall()
    for table, column in columns:
        if column in PERSONAL:
            rows = small.execute(f'SELECT DISTINCT "{column}" FROM records."{table}"').fetchall()
            values |= {str(value) for (value,) in rows if value and len(str(value)) >= 6}
    assert len(values) > 300
    return values


def test_no_personal_value_in_qc_mart_or_billing(small: duckdb.DuckDBPyConnection, personal_values: set[str]) -> None:
    tables = small.execute(
        "SELECT table_schema, table_name, column_name FROM information_schema.columns "
        "WHERE table_schema IN ('qc', 'mart', 'billing', 'report', 'indicator') AND data_type = 'VARCHAR'"
    ).fetchall()
    assert tables
    small.execute("CREATE TEMP TABLE personal AS SELECT unnest(?) AS value", [sorted(personal_values)])
    for schema, table, column in tables:
        leaked = small.execute(
            f'SELECT count(*) FROM (SELECT DISTINCT "{column}" AS said FROM {schema}."{table}" '
            f'WHERE length("{column}") >= 6) JOIN personal ON contains(said, value)'
        ).fetchone()
        assert leaked == (0,), f"{schema}.{table}.{column}"


def test_no_personal_value_in_orchestrator_or_logs(small_home: Path, personal_values: set[str]) -> None:
    """SQLite files and compute logs hold what events said; identity numbers and phones would show as digits."""
    numbers = {value.encode() for value in personal_values if re.fullmatch(r"1\d{10}|\d{17}[\dX]|\d{15}", value)}
    assert len(numbers) > 200
    pattern = re.compile(b"|".join(sorted(map(re.escape, numbers))))
    for folder in ("dagster", "nights"):
        for path in (small_home / folder).rglob("*"):
            # The kept catalogue is rules/ itself: its made-up examples may bear a made-up resident's number.
            if path.is_file() and path.suffix != ".parquet" and "catalogue-" not in str(path):
                hit = pattern.search(path.read_bytes())
                assert hit is None, f"{path.relative_to(small_home)}"
    logs = [path for path in (small_home / "warehouse").rglob("*.log*") if path.is_file()]
    for path in logs:
        assert pattern.search(path.read_bytes()) is None, path


def test_other_institutions_folder_holds_nothing_of_ours(small_home: Path) -> None:
    """A workbook names only residents of its own institution."""
    import openpyxl

    with duckdb.connect(str(small_home / "published" / "phqc.duckdb"), read_only=True) as connection:
        owners = dict(
            connection.execute(
                "SELECT r.id_card_no, any_value(f.institution_code) FROM records.resident_profile r "
                "JOIN ingest.file f ON f.file_id = r._file_id WHERE length(r.id_card_no) = 18 "
                "GROUP BY r.id_card_no HAVING count(DISTINCT f.institution_code) = 1"
            ).fetchall()
        )
    checked = 0
    for path in (small_home / "published").glob("*/*.xlsx"):
        folder, book = path.parent, openpyxl.load_workbook(path, read_only=True)
        for sheet in book.worksheets:
            for row in sheet.iter_rows(values_only=True):
                for cell in row:
                    if cell in owners:
                        checked += 1
                        assert owners[cell] == folder.name
    assert checked > 0
