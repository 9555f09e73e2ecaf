"""What a health centre opens: the workbook holds every open finding and no formulas, the page needs no internet."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import openpyxl

from tests.end_to_end.tiny import INSTITUTION, deliver, judge, register, visits


def sheet_rows(path: Path, sheet: str = "整改清单") -> list[dict[str, object]]:
    header, *rows = openpyxl.load_workbook(path)[sheet].iter_rows(values_only=True)
    return [dict(zip(map(str, header), row, strict=True)) for row in rows]


def test_workbook_lists_every_open_finding_of_its_institution(
    small_home: Path, small: duckdb.DuckDBPyConnection
) -> None:
    counts = small.execute("SELECT institution_code, count(*) FROM qc.finding_current GROUP BY 1").fetchall()
    assert counts
    for code, count in counts:
        rows = sheet_rows(small_home / "published" / code / "整改清单.xlsx")
        assert len(rows) == count
        assert all(row["问题"] and row["规则编号"] for row in rows)


def test_workbook_leads_to_the_record(small_home: Path, small: duckdb.DuckDBPyConnection) -> None:
    """Name, file and row stand in full: this is the institution's own data."""
    (code,) = small.execute("SELECT institution_code FROM qc.finding_current WHERE subject_kind = 'record'").fetchone()
    rows = [row for row in sheet_rows(small_home / "published" / code / "整改清单.xlsx") if row["来源行"]]
    assert rows
    assert any(row["姓名"] and "*" not in str(row["姓名"]) for row in rows)


def test_a_cell_that_looks_like_a_formula_stays_text(tmp_path: Path) -> None:
    home = register(tmp_path)
    deliver(home, "2024-12-31", visits(3, v1={"person_name": '=HYPERLINK("x")', "glasses_code": "=1+1"}))
    judge(home, "2024-12-31")
    path = home.published / INSTITUTION / "整改清单.xlsx"
    for sheet in openpyxl.load_workbook(path).worksheets:
        assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)
    shown = [str(row["现在的内容"]) for row in sheet_rows(path)]
    assert any(text.startswith("=1+1") for text in shown)


def test_page_is_self_contained_and_holds_no_names(small_home: Path, small: duckdb.DuckDBPyConnection) -> None:
    names = {name for (name,) in small.execute("SELECT DISTINCT person_name FROM records.resident_profile").fetchall()}
    doctors = {name for (name,) in small.execute("SELECT DISTINCT doctor_name FROM qc.finding").fetchall()}
    residents = [name for name in names - doctors if name and len(name) >= 4]
    pages = list((small_home / "published").glob("*/质控报告.html"))
    assert pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"(?:src|href)\s*=|@import|url\(", text), "the page would fetch something"
        assert [name for name in residents if name in text] == []
