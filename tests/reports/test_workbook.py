"""How lines are laid out: by doctor, by form when there are too many doctors, in several books when there is much."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from phqc_pipeline.reports import workbook
from phqc_pipeline.reports.workbook import write_workbooks
from tests.reports.lines import made_lines, no_facts


def sheets(path: Path) -> dict[str, list[str]]:
    """Sheet → the finding ids on it."""
    found = {}
    for sheet in openpyxl.load_workbook(path).worksheets:
        titles = [cell.value for cell in sheet[1]]
        if "问题编号" in titles:
            column = titles.index("问题编号")
            found[sheet.title] = [str(row[column]) for row in sheet.iter_rows(min_row=2, values_only=True)]
    return found


def test_few_doctors_have_a_sheet_each_with_most_to_do_first(tmp_path: Path) -> None:
    names = pl.Series(["甲", "乙", "甲", "（未署名）", "甲", "乙"])
    lines = made_lines(6, doctor_name=pl.lit(names))
    assert list(write_workbooks(tmp_path, lines, no_facts())) == [("整改清单.xlsx", 6)]
    found = sheets(tmp_path / "整改清单.xlsx")
    assert [(title, len(ids)) for title, ids in found.items()] == [("甲", 3), ("乙", 2), ("（未署名）", 1)]


def test_too_many_doctors_for_tabs_are_filtered_on_a_sheet_a_form(tmp_path: Path) -> None:
    lines = made_lines(90, doctors=workbook.DOCTOR_SHEETS + 1)
    list(write_workbooks(tmp_path, lines, no_facts()))
    found = sheets(tmp_path / "整改清单.xlsx")
    assert set(found) == {"第0号随访服务记录表", "第1号随访服务记录表"}
    assert sorted(chain(*found.values())) == sorted(lines["finding_id"])


def test_what_is_waived_stands_apart_without_cells_to_answer_in(tmp_path: Path) -> None:
    lines = made_lines(4, state=pl.lit(pl.Series(["open", "waived", "reopened", "waived"])))
    list(write_workbooks(tmp_path, lines, no_facts()))
    found = sheets(tmp_path / "整改清单.xlsx")
    assert len(found.pop("已豁免")) == 2
    assert sum(map(len, found.values())) == 2
    book = openpyxl.load_workbook(tmp_path / "整改清单.xlsx")
    assert book["已豁免"].data_validations.dataValidation == []
    assert all(cell.protection.locked for row in book["已豁免"].iter_rows() for cell in row)


def test_names_that_no_sheet_may_have(tmp_path: Path) -> None:
    """Signs Excel refuses, names beyond 31 signs, names that differ in case alone, or that are ours."""
    names = ["[张]/*?:'", "说明", "a" * 40, "A" * 40, "李\x07四"]
    lines = made_lines(5, doctor_name=pl.lit(pl.Series(names)))
    list(write_workbooks(tmp_path, lines, no_facts()))
    titles = openpyxl.load_workbook(tmp_path / "整改清单.xlsx").sheetnames
    assert len({title.casefold() for title in titles}) == 6
    assert titles[0] == "说明"
    assert max(map(len, titles)) <= 31


def test_beyond_what_a_book_holds_each_doctor_has_his_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "LINES_A_BOOK", 20)
    monkeypatch.setattr(workbook, "LINES_A_SHEET", 5)
    lines = made_lines(24, state=pl.when(pl.int_range(24) < 2).then(pl.lit("waived")).otherwise(pl.lit("open")))
    written = list(write_workbooks(tmp_path, lines, no_facts()))
    assert [name for name, _ in written] == [*(f"整改清单_医生{n}.xlsx" for n in range(3)), "整改清单.xlsx"]
    found = [one for name, _ in written for one in sheets(tmp_path / name).values()]
    assert sorted(chain(*found)) == sorted(lines["finding_id"])
    assert max(map(len, found)) <= 5
    index = openpyxl.load_workbook(tmp_path / "整改清单.xlsx")["说明"]
    links = [cell.hyperlink.target for row in index.iter_rows() for cell in row if cell.hyperlink]
    assert [link for link in links if link] == [name for name, _ in written[:3]]


def test_rows_are_high_enough_for_their_text(tmp_path: Path) -> None:
    message = pl.lit(pl.Series(["短", "长" * 200]))
    list(write_workbooks(tmp_path, made_lines(2, doctors=1, message=message), no_facts()))
    sheet = openpyxl.load_workbook(tmp_path / "整改清单.xlsx")["医生0"]
    assert sheet.row_dimensions[2].height < 40
    assert sheet.row_dimensions[3].height > 120
