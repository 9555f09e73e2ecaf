"""The founding institution, from extracts to the bill: 10,129 records, ¥6,077."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb


def test_charge(founding: duckdb.DuckDBPyConnection) -> None:
    row = founding.execute(
        "SELECT quantity, unit_price, amount_exact, amount, amount_words, due_on, quantity_from_records, "
        "quantity_difference, basis_report, basis_year, basis_item, evidence_file_id FROM billing.charge"
    ).fetchone()
    assert row is not None
    assert row[:5] == (10129, Decimal("0.6"), Decimal("6077.40"), Decimal("6077"), "陆仟零柒拾柒元整")
    assert isinstance(row[5], date)
    assert row[6:11] == (10129, 0, "r_archive", 2023, "ehr_electronic")
    evidence = founding.execute("SELECT status FROM ingest.file WHERE file_id = ?", [row[11]]).fetchall()
    assert evidence == [("accepted",)]


def test_money_is_never_a_float(founding: duckdb.DuckDBPyConnection) -> None:
    floats = founding.execute(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'billing' AND data_type IN ('DOUBLE', 'FLOAT', 'REAL')"
    ).fetchall()
    assert floats == []


def test_every_accepted_row_is_accounted_for(founding: duckdb.DuckDBPyConnection) -> None:
    wrong = founding.execute(
        "SELECT path FROM ingest.file WHERE status = 'accepted' AND rows_read <> rows_loaded + rows_rejected"
    ).fetchall()
    assert wrong == []


def test_summary_says_where_results_are(founding_home: Path) -> None:
    said = (founding_home / "nightly.out").read_text(encoding="utf-8")
    assert "陆仟零柒拾柒元整" in said
    assert str(founding_home / "published" / "phqc.duckdb") in said
    assert "整改清单" in said


def test_institution_finds_its_reports(founding_home: Path) -> None:
    folders = [path for path in (founding_home / "published").iterdir() if path.name.isdigit()]
    assert len(folders) == 1
    assert {path.name for path in folders[0].iterdir()} >= {"整改清单.xlsx", "质控报告.html"}


def test_published_file_opens_in_older_clients(founding_home: Path) -> None:
    """DuckDB writes its storage version into the header; 64 is what v1.0.0 to v1.1 wrote and every 1.x reads."""
    with (founding_home / "published" / "phqc.duckdb").open("rb") as file:
        header = file.read(20)
    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") == 64
