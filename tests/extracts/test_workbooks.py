"""Workbooks: real files written by other programs, and files made to do harm."""

# ruff: noqa: DTZ001 (the lake holds local times without a zone)

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xlsxwriter

from phqc_pipeline.extracts import read_workbook
from phqc_pipeline.extracts.header import form_headers
from phqc_pipeline.extracts.read_workbook import open_xls, open_xlsx
from phqc_pipeline.extracts.shapes import Table, UnreadableError

from .conftest import FIXTURES, FORM, Landing

KNOWN = form_headers(FORM)


def rows(table: Table) -> dict[int, list[str | None]]:
    """Cells by the row number a spreadsheet shows."""
    found: dict[int, list[str | None]] = {}
    offset = table.first_row
    for piece in table.pieces:
        batch = piece()
        found |= {offset + number: cells for number, *cells in batch.cells.iter_rows()}
        offset += batch.span
    return found


def xlsx(fill: Callable[[xlsxwriter.Workbook], None], **options: Any) -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True, **options}) as book:
        fill(book)
    return stream.getvalue()


def sheet_of(*lines: list[Any]) -> bytes:
    def fill(book: xlsxwriter.Workbook) -> None:
        sheet = book.add_worksheet()
        for place, line in enumerate(lines):
            sheet.write_row(place, 0, line)

    return xlsx(fill)


def with_part(workbook: bytes, change: Callable[[bytes], bytes], part: str = "xl/worksheets/sheet1.xml") -> bytes:
    """The workbook with one of its parts written anew."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            data = old.read(entry)
            new.writestr(entry.filename, change(data) if entry.filename == part else data)
    return stream.getvalue()


def opened(tmp_path: Path, content: bytes, name: str = "visit.xlsx") -> Table:
    path = tmp_path / name
    path.write_bytes(content)
    return (open_xls if name.endswith(".xls") else open_xlsx)(path, KNOWN)


def test_a_real_xls() -> None:
    """A workbook of Excel 97, written by LibreOffice: a sheet without header before it, titles, every type of cell."""
    table = open_xls(FIXTURES / "htn_followup.xls", KNOWN)
    assert table.header.row_number == 3
    assert table.header.names[:4] == ("记录编号", "健康档案编号", "姓名", "身份证号")
    found = rows(table)
    assert found[4][:12] == [
        "F001",
        "65430110110100001",
        "测试甲",
        "654301195003041237",
        "男",
        "1950-03-04",
        "654301101",
        "2024-01-15",
        "2024-01-15 09:30:00",
        "138",
        "86",
        "65.2",
    ]
    assert found[5][5:9] == ["18000", "654301101", "2024年2月3日", "45325.5"]
    # numbers where text belongs: whole, and damaged when a float could not hold them; errors; a truth value
    assert found[6][:7] == ["3", "6.54301101101E+16", "测试丙", "6.5430119550708E+17", "2", "1955/7/8", "654301101"]
    assert found[6][9:12] == ["\x00#DIV/0!", "\x00#N/A", "TRUE"]
    assert sorted(found) == [4, 5, 6, 8]  # row 7 is blank


def test_xls_that_counts_from_1904(landing: Landing) -> None:
    landing.put("visit.xls", (FIXTURES / "epoch_1904.xls").read_bytes())
    landing.take()
    assert landing.rows().select("visit_date", "birth_date").row(0) == (date(2024, 1, 31), date(1950, 3, 4))


@pytest.mark.parametrize("name", ["encrypted.xls", "encrypted.xlsx"])
def test_encrypted(name: str) -> None:
    opener = open_xls if name.endswith(".xls") else open_xlsx
    with pytest.raises(UnreadableError, match="加了密码"):
        opener(FIXTURES / name, KNOWN)


def test_cells_by_their_own_value(tmp_path: Path) -> None:
    def fill(book: xlsxwriter.Workbook) -> None:
        book.add_worksheet("说明").write(0, 0, "填表说明")
        sheet = book.add_worksheet("数据")
        day = book.add_format({"num_format": 'yyyy"年"m"月"d"日"'})
        clock = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        sheet.merge_range(1, 1, 1, 4, "随访服务记录表")
        sheet.write_row(2, 1, ["记录编号", "随访日期", "录入时间", "收缩压", "体重", "备注甲"])
        sheet.write_row(3, 1, [1.0])
        sheet.write_datetime(3, 2, datetime(2024, 1, 31), day)
        sheet.write_datetime(3, 3, datetime(2024, 1, 31, 8, 5), clock)
        sheet.write_formula(3, 4, "=SUM(1,2)", None, 120)
        sheet.write_number(3, 5, 65.25)
        sheet.write_boolean(3, 6, True)
        sheet.write_row(6, 1, ["V2", 45322, 45322.25])
        sheet.write_formula(6, 4, "=1/0", None, "#DIV/0!")
        sheet.write_number(6, 5, 24.1 * 3 / 3)
        sheet.write_string(6, 6, " 字\n行 ")

    table = opened(tmp_path, xlsx(fill))
    assert table.header.row_number == 3
    assert table.header.names == ("", "记录编号", "随访日期", "录入时间", "收缩压", "体重", "备注甲")
    assert rows(table) == {
        4: [None, "1", "2024-01-31", "2024-01-31 08:05:00", "120", "65.25", "TRUE"],
        7: [None, "V2", "45322", "45322.25", "\x00#DIV/0!", "24.1", " 字\n行 "],
    }


@pytest.mark.parametrize("prefix", [False, True])
@pytest.mark.parametrize("references", [True, False])
def test_identity_numbers_never_go_through_a_float(tmp_path: Path, prefix: bool, references: bool) -> None:
    """Digits that stand in the XML as a number are read from there, whatever program wrote it and however."""

    def change(xml: bytes) -> bytes:
        xml = xml.replace(b"<v>9001</v>", b"<v>654301195003041237</v>").replace(
            b"<v>9002</v>", b"<v>65430110110100001</v>"
        )
        if not references:
            xml = re.sub(rb' r="[A-Z]*[0-9]+"', b"", xml)
        if prefix:
            xml = re.sub(rb"<(/?)(?=[a-zA-Z])", rb"<\1x:", xml).replace(b"xmlns=", b"xmlns:x=")
        return xml

    made = with_part(sheet_of(["记录编号", "身份证号", "健康档案编号"], ["A", 9001, 9002], ["B", 3, 4.5e17]), change)
    assert rows(opened(tmp_path, made)) == {
        2: ["A", "654301195003041237", "65430110110100001"],
        3: ["B", "3", "4.5E+17"],
    }


def test_a_number_that_went_through_a_float_stays_recognisable(tmp_path: Path) -> None:
    table = opened(tmp_path, sheet_of(["记录编号", "身份证号"], ["A", 654301195003041237], ["B", "654301195003041237"]))
    assert rows(table) == {2: ["A", "6.54301195003041E+17"], 3: ["B", "654301195003041237"]}


def test_to_the_lake(landing: Landing) -> None:
    """The real .xls, end to end: typed, errors unreadable with their text, serials, names instead of codes."""
    landing.put("随访表.xls", (FIXTURES / "htn_followup.xls").read_bytes())
    landing.take()
    lake = landing.rows()
    assert lake["_row_number"].to_list() == [4, 5, 6, 8]
    assert lake["record_id"].to_list() == ["F001", "F002", "3", "F004"]
    assert lake["sex_code"].to_list() == ["1", "2", "2", "2"]
    assert lake["birth_date"].to_list() == [date(1950, 3, 4), date(1949, 4, 12), date(1955, 7, 8), date(1960, 1, 1)]
    assert lake["created_at"].to_list()[:2] == [datetime(2024, 1, 15, 9, 30), datetime(2024, 2, 3, 12)]
    assert lake["sbp"].to_list() == [138, 150, None, 120]
    assert lake["sbp__raw"].to_list() == [None, None, "#DIV/0!", None]
    assert lake["weight_kg__raw"].to_list() == [None, "70.25", "TRUE", None]
    assert lake["id_card_no"].to_list()[2] == "6.5430119550708E+17"
    assert lake["_extra"].to_list()[0] == '{"舒张压":"86","此次随访分类":"控制满意","备注":"电话核实"}'
    assert landing.only_file()["format"] == "xls"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("visit.xlsx", b"", "文件是空的"),
        ("visit.xlsx", b"\x00" * 100, "全是空字节"),
        ("visit.xlsx", b"a,b,c\n", "内容却是 文本"),
        ("visit.xlsx", b"<html><table>", "内容却是 网页"),
        ("visit.xls", b"<?xml version='1.0'?><Workbook/>", "内容却是 网页或 XML"),
        ("visit.xls", b"PK\x03\x04", "内容却是 xlsx"),
        ("visit.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, "内容却是 xls 工作簿"),
        ("visit.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, "不完整或已损坏"),
        ("visit.xlsx", b"PK\x03\x04" + b"\x00" * 600, "不完整或已损坏"),
    ],
)
def test_no_such_workbook(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    with pytest.raises(UnreadableError, match=said):
        opened(tmp_path, content, name)


@pytest.mark.parametrize("name", ["htn_followup.xls", "visit.xlsx"])
def test_every_truncation_is_noticed(tmp_path: Path, name: str) -> None:
    whole = (FIXTURES / name).read_bytes() if name.endswith(".xls") else sheet_of(["记录编号", "收缩压"], ["A", 1])
    for length in range(1, len(whole) - 1, max(1, len(whole) // 40)):
        with pytest.raises(UnreadableError):
            rows(opened(tmp_path, whole[:length], name))


def test_other_zip_files(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("visit.csv", "a,b")
    with pytest.raises(UnreadableError, match="内容却是 zip 压缩包"):
        opened(tmp_path, stream.getvalue())


def test_no_header(tmp_path: Path) -> None:
    late = [["x"]] * 20 + [["记录编号", "收缩压"]]
    for lines in ([["说明"], ["记录编号"]], late, [[]]):
        with pytest.raises(UnreadableError, match="都没有找到表头"):
            opened(tmp_path, sheet_of(*lines))
    assert opened(tmp_path, sheet_of(*late[1:])).header.row_number == 20


def test_zip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Declared or not, more than the cap is not unzipped, let alone parsed."""
    monkeypatch.setattr(read_workbook, "MAX_UNZIPPED_BYTES", 10 << 20)
    small = sheet_of(["记录编号", "收缩压"], ["A", 1])
    bomb = with_part(small, lambda xml: xml + b" " * (50 << 20))
    assert len(bomb) < 100_000
    with pytest.raises(UnreadableError, match="解压后超过 10 MB"):
        opened(tmp_path, bomb)


def test_zip_bomb_that_lies_about_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_workbook, "MAX_UNZIPPED_BYTES", 10 << 20)
    bomb = bytearray(with_part(sheet_of(["记录编号", "收缩压"], ["A", 1]), lambda xml: xml + b" " * (50 << 20)))
    for offset in range(len(bomb) - 46):
        if (
            bomb[offset : offset + 4] == b"PK\x01\x02"
            and int.from_bytes(bomb[offset + 24 : offset + 28], "little") > 1 << 20
        ):
            bomb[offset + 24 : offset + 28] = (1000).to_bytes(4, "little")
    with pytest.raises(UnreadableError, match=r"解压后超过|不完整或已损坏"):
        opened(tmp_path, bytes(bomb))


def test_far_cells_do_not_fill_the_memory(tmp_path: Path) -> None:
    """Two cells, the last of them in the last corner of the sheet, span 17 thousand million cells."""
    corner = with_part(
        sheet_of(["记录编号", "收缩压"], ["A", 1]),
        lambda xml: xml.replace(b"</sheetData>", b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'),
    )
    with pytest.raises(UnreadableError, match="一直用到第 1048576 行第 16384 列"):
        opened(tmp_path, corner)
    # many rows of few columns are a table
    below = with_part(
        sheet_of(["记录编号", "收缩压"], ["A", 1]),
        lambda xml: xml.replace(b"</sheetData>", b'<row r="300000"><c r="A300000"><v>7</v></c></row></sheetData>'),
    )
    assert rows(opened(tmp_path, below)) == {2: ["A", "1"], 300000: ["7", None]}


def test_too_many_columns(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="上限 2000 列"):
        opened(tmp_path, sheet_of(["记录编号", "收缩压", *(f"c{place}" for place in range(3000))]))


def test_a_protected_zip_entry(tmp_path: Path) -> None:
    made = bytearray(sheet_of(["记录编号", "收缩压"], ["A", 1]))
    offset = made.index(b"PK\x01\x02")
    made[offset + 8] |= 1  # general purpose flag, bit 0: encrypted
    with pytest.raises(UnreadableError, match="加了密码"):
        opened(tmp_path, bytes(made))


def test_batches_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_workbook, "BATCH_ROWS", 7)
    lines = [["记录编号", "收缩压"], *([f"V{number}", number] for number in range(50))]
    table = opened(tmp_path, sheet_of(*lines))
    batches = [piece() for piece in table.pieces]
    assert max(batch.span for batch in batches) == 7
    assert pl.concat(batch.cells for batch in batches)["1"].to_list() == [str(number) for number in range(50)]
