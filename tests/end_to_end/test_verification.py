"""Who is to be telephoned or visited, the sheet for it, and its answers read back; probable duplicates as published."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import openpyxl

from phqc_pipeline.extracts import read_registry
from phqc_pipeline.home import Home
from phqc_pipeline.warehouse.verification import answered_lines

from .conftest import table

ANSWERS = ("相符", "不相符", "未接通")


def _sheet(home: Path, institution: str) -> list[dict[str, str | None]]:
    book = openpyxl.load_workbook(home / "published" / institution / "抽样核查表.xlsx", read_only=True)
    rows = list(book.worksheets[0].iter_rows(min_row=2, values_only=True))
    return [dict(zip(map(str, rows[0]), row, strict=True)) for row in rows[1:]]


def test_the_sample_is_stratified_and_nobody_is_named_in_it(founding: duckdb.DuckDBPyConnection) -> None:
    drawn = founding.execute(
        "SELECT institution_code, count(*), count(DISTINCT archive_no), count(DISTINCT level), "
        "count(*) FILTER (method = '入户') FROM mart.verification_sample GROUP BY 1"
    ).fetchall()
    assert drawn
    for _, lines, people, levels, at_home in drawn:
        assert lines == people == 30
        assert levels > 1
        assert 0 < at_home < lines
    columns = {row[0] for row in founding.execute("DESCRIBE mart.verification_sample").fetchall()}
    assert not columns & {"person_name", "phone", "id_card_no", "current_address"}


def test_answers_on_the_sheet_come_back(small_home: Path, tmp_path: Path) -> None:
    institution = table(small_home, "SELECT min(institution_code) FROM mart.verification_sample")[0][0]
    lines = _sheet(small_home, institution)
    assert len(lines) == 30
    assert sum(bool(line["姓名"]) for line in lines) > 25, "all but services of people without a profile"
    for answer, line in zip(ANSWERS, lines, strict=False):
        line |= {"核查日期": "2025-01-08", "核查结果": answer, "核查方式": "电话"}
    home = Home(tmp_path)
    home.registry.mkdir()
    (home.registry / "institution.csv").write_text(
        f"institution_code,institution_name,level,parent_code,region_code\n{institution},甲,,,\n", encoding="utf-8"
    )
    with (home.registry / "verification.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    registry = read_registry(home)
    assert registry.problems == []
    answered = answered_lines(registry.verifications)
    assert answered["archive_no"].to_list() == [line["健康档案编号"] for line in lines[:3]]
    assert answered["conclusion"].to_list() == ["属实", "不属实", "待定"]


def test_a_resident_archived_twice_is_to_be_merged(founding: duckdb.DuckDBPyConnection) -> None:
    twice = founding.execute(
        "SELECT count(DISTINCT subject_id) FROM qc.finding_current WHERE rule_id = 'UNI-U-001' AND subject_id IN "
        "(SELECT archive_no FROM mart.duplicate_pair UNION SELECT other_archive_no FROM mart.duplicate_pair)"
    ).fetchone()
    assert twice
    assert twice[0] >= 2
    groups = founding.execute(
        "SELECT group_id, count(*) FILTER (action = '保留'), count(DISTINCT keep_archive_no), count(*) "
        "FROM mart.merge_proposal WHERE action <> '人工核对' GROUP BY 1"
    ).fetchall()
    assert groups
    assert all(kept == named == 1 and size > 1 for _, kept, named, size in groups)
