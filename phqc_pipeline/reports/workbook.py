"""The workbook of an institution's findings (整改清单): one fault, one line; what is there, what should be, an answer.

Belongs here: books, sheets, cells. Does not belong here: what counts as a finding (``lines`` reads them).

A doctor opens the sheet with his name and filters by form; where there are too many doctors for sheets, a form has one
and is filtered by doctor. Every line stands on one sheet only, so that no line can have two answers. Answers are read
back by header: 处理结果, 处理说明 and the hidden 问题编号 keep their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from phqc_pipeline.reports.facts import InstitutionFacts

WORKBOOK_NAME = "整改清单.xlsx"
ANSWERS = ("已改", "申诉", "说明")
#: More tabs than this cannot be found one's way in; sheets are then by form.
DOCTOR_SHEETS = 40
#: A book of more lines opens slowly on a health centre's computer; each doctor then has a book of his own.
LINES_A_BOOK = 50_000
LINES_A_SHEET = 20_000
DOCTOR_BOOKS = 100

#: column of ``lines`` (or None: for the answer), header, width, whether the cell may be written in.
_COLUMNS: tuple[tuple[str | None, str, int], ...] = (
    ("severity", "级别", 6),
    ("form_title", "表单", 15),
    ("doctor_name", "责任医生", 10),
    ("person_name", "姓名", 10),
    ("archive_no", "健康档案编号", 20),
    ("service_date", "服务日期", 11),
    ("field_title", "项目", 13),
    ("observed", "现在的内容", 20),
    ("expected", "应为", 16),
    ("message", "问题", 42),
    ("basis", "依据", 24),
    ("suggestion", "建议", 16),
    (None, "处理结果", 10),
    (None, "处理说明", 24),
    ("place_count", "涉及处数", 9),
    ("places", "涉及的记录", 26),
    ("state_title", "状态", 8),
    ("first_seen", "首次发现", 11),
    ("id_number", "身份证号", 20),
    ("record_id", "记录编号", 18),
    ("source_path", "来源文件", 30),
    ("row_number", "来源行", 8),
    ("answered", "上次答复", 24),
    ("rule_id", "规则编号", 13),
    ("also", "相关规则", 16),
    ("finding_id", "问题编号", 8),
)
_TITLES = [title for _, title, _ in _COLUMNS]
_RESULT, _REMARK, _HIDDEN = (_TITLES.index(title) for title in ("处理结果", "处理说明", "问题编号"))
_FROZEN_COLUMNS = 4  # level, form, doctor, name
_WRAPPED = ("form_title", "person_name", "field_title", "observed", "expected", "message", "suggestion")
_TALLEST = 12  # lines of text
_EPOCH = date(1899, 12, 30)
_LONGEST_CELL = 32_000
_NOT_IN_SHEET_NAMES = re.compile(r"[\[\]:*?/\\'\x00-\x1f]+")
_NOT_IN_FILE_NAMES = re.compile(r'[\\/:*?"<>|\x00-\x1f\s.]+')


@dataclass(frozen=True)
class _Sheet:
    name: str
    lines: pl.DataFrame
    answered: bool = True  # with cells to answer in; what is waived is only shown


def write_workbooks(folder: Path, lines: pl.DataFrame, facts: InstitutionFacts) -> Iterator[tuple[str, int]]:
    """Write the institution's book, or books, into ``folder``; yields each file's name and how many lines it holds.

    ``lines``: as ``lines.read_lines`` gives them. They hold personal data in full, so ``folder`` must be one that only
    the institution reads. Beyond LINES_A_BOOK lines 整改清单.xlsx is the index and each doctor (with very many doctors:
    each form) has a book of his own.
    """
    waived = lines.filter(pl.col("state") == "waived")
    current = lines.filter(pl.col("state") != "waived")
    if current.height <= LINES_A_BOOK:
        _write_book(folder / WORKBOOK_NAME, facts, current, _sheets(current) + _waived(waived))
        yield WORKBOOK_NAME, lines.height
        return
    books: list[tuple[str, str, int]] = []
    names = {WORKBOOK_NAME.casefold()}
    by = "doctor_name" if current["doctor_name"].n_unique() <= DOCTOR_BOOKS else "form_title"
    for part in current.partition_by(by, maintain_order=True):
        name = _unique(f"整改清单_{_NOT_IN_FILE_NAMES.sub('_', part[by][0])[:40]}", names) + ".xlsx"
        _write_book(folder / name, facts, part, _by(part, "form_title" if by == "doctor_name" else "doctor_name"))
        books.append((part[by][0], name, part.height))
        yield name, part.height
    _write_book(folder / WORKBOOK_NAME, facts, current, _waived(waived), books)
    yield WORKBOOK_NAME, waived.height


def _sheets(lines: pl.DataFrame) -> list[_Sheet]:
    return _by(lines, "doctor_name" if lines["doctor_name"].n_unique() <= DOCTOR_SHEETS else "form_title")


def _by(lines: pl.DataFrame, column: str) -> list[_Sheet]:
    """A sheet for each value of ``column``, with most to do first; one that grew too long goes on in the next."""
    names = {"说明", "已豁免"}
    sheets = []
    parts = lines.partition_by(column, maintain_order=True)
    for part in sorted(parts, key=lambda one: (one[column][0].startswith("（"), -one.height)):
        for start in range(0, part.height, LINES_A_SHEET):
            title = _NOT_IN_SHEET_NAMES.sub(" ", part[column][0]).strip() or "无名"
            sheets.append(_Sheet(_unique(title, names, 26), part.slice(start, LINES_A_SHEET)))
    return sheets


def _waived(lines: pl.DataFrame) -> list[_Sheet]:
    return [_Sheet("已豁免", lines, answered=False)] if lines.height else []


def _unique(wanted: str, taken: set[str], longest: int = 60) -> str:
    """``wanted``, numbered when the name is taken (whatever its case, as Excel has it); ``taken`` grows."""
    name, number = wanted[:longest], 2
    while name.casefold() in taken:
        name, number = f"{wanted[:longest]}({number})", number + 1
    taken.add(name.casefold())
    return name


def _write_book(
    path: Path,
    facts: InstitutionFacts,
    lines: pl.DataFrame,
    sheets: list[_Sheet],
    books: list[tuple[str, str, int]] | None = None,
) -> None:
    # Text that begins with = must stay text: a cell of a record is no formula (strings_to_formulas, _urls off).
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    partial = path.with_name(f".{path.name}.partial")
    with xlsxwriter.Workbook(str(partial), options) as book:
        book.set_properties({"title": f"{facts.institution_name} 整改清单", "created": facts.published_at})
        style = _Styles(book)
        _overview(book.add_worksheet("说明"), style, facts, lines, sheets, books or [])
        for sheet in sheets:
            _write_sheet(book.add_worksheet(sheet.name), style, facts, sheet)
    partial.replace(path)


class _Styles:
    """The book's formats. What begins like a formula keeps a quote prefix: edited in Excel, it stays text."""

    def __init__(self, book: xlsxwriter.Workbook) -> None:
        cell = {"text_wrap": True, "valign": "top", "font_size": 10, "border": 1, "border_color": "#D5DCE3"}
        self.title = book.add_format({"bold": True, "font_size": 16})
        self.part = book.add_format({"bold": True, "font_size": 12})
        self.note = book.add_format({"text_wrap": True, "valign": "top"})
        self.head = book.add_format(
            {"bold": True, "bg_color": "#1F5C8B", "font_color": "#FFFFFF", "border": 1, "text_wrap": True,
             "valign": "vcenter"}
        )  # fmt: skip
        self.cell = book.add_format(cell)
        self.text = book.add_format({**cell, "quote_prefix": True})
        self.date = book.add_format({**cell, "num_format": "yyyy-mm-dd", "align": "left"})
        self.answer = book.add_format({**cell, "locked": False, "bg_color": "#FFF8DC"})
        self.levels = {
            "严重": book.add_format({**cell, "font_color": "#B3261E", "bold": True}),
            "一般": book.add_format({**cell, "font_color": "#8A5A00"}),
            "提示": book.add_format({**cell, "font_color": "#5B6875"}),
        }
        self.link = book.add_format({"font_color": "#1F6FB2", "underline": 1, "border": 1, "border_color": "#D5DCE3"})
        self.count = book.add_format({"num_format": "#,##0", "border": 1, "border_color": "#D5DCE3"})
        self.percent = book.add_format({"num_format": "0.0%", "border": 1, "border_color": "#D5DCE3"})


_HOW = (
    "1. 每一行是一处要整改的问题。点下面表里的名字，转到那一页；用表头的筛选只看一张表单、一个级别。",
    "2. 按“姓名、健康档案编号、服务日期、记录编号”在公卫系统里找到记录，对照“现在的内容、应为、建议”改正。",
    "3. 在黄色的“处理结果”里选一项：已改（已在系统里改好）；申诉（认为记录没有错，请在“处理说明”写理由）；"
    "说明（暂时改不了，写明原因和打算）。“申诉”“说明”必须填“处理说明”。",
    "4. 请先把本文件另存到自己的文件夹再填：每夜质控后这里会换成新的。填好后文件名仍以“整改清单”开头，"
    "随下次导出文件一并交来，系统会读回。其余各列已锁定，请不要改动、删除或另加行。",
    "5. 改好的记录在下一次质控时自动核对：改对的销号，没改对的仍在清单里。同一个人同一项身份信息的错只列一行，"
    "“涉及的记录”里写着各处。",
    "6. 本文件含居民个人信息，只供本机构内部使用，请勿外传。",
)


def _overview(
    sheet: Worksheet,
    style: _Styles,
    facts: InstitutionFacts,
    lines: pl.DataFrame,
    sheets: list[_Sheet],
    books: list[tuple[str, str, int]],
) -> None:
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 6, 11)
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.write_string(0, 0, f"{facts.institution_name} 整改清单", style.title)
    counts = "，".join(f"{level} {(lines['severity'] == level).sum():,}" for level in ("严重", "一般", "提示"))
    sheet.write_string(1, 0, f"数据日期 {facts.snapshot.isoformat()}　待整改 {lines.height:,} 行（{counts}）")
    row = 3
    for note in _HOW:
        sheet.set_row(row, 34)
        sheet.merge_range(row, 0, row, 6, note, style.note)
        row += 1
    row = _links(sheet, style, row + 1, sheets, books)
    _forms(sheet, style, row + 1, facts)
    sheet.protect("", {"format_columns": True, "format_rows": True})


def _links(sheet: Worksheet, style: _Styles, row: int, sheets: list[_Sheet], books: list[tuple[str, str, int]]) -> int:
    """Where the lines are: the sheets of this book, or the books beside it. Returns the row behind."""
    for column, title in enumerate(("在哪一个文件" if books else "在哪一页", "行数", "严重", "一般", "提示", "反复")):
        sheet.write_string(row, column, title, style.head)
    for name, file, height in books:
        row += 1
        sheet.write_url(row, 0, f"external:{file}", style.link, string=name)
        sheet.write_number(row, 1, height, style.count)
    for one in sheets:
        row += 1
        sheet.write_url(row, 0, f"internal:'{one.name}'!A1", style.link, string=one.name)
        states = one.lines["state"]
        numbers = [one.lines.height, *((one.lines["severity"] == level).sum() for level in ("严重", "一般", "提示"))]
        for column, number in enumerate([*numbers, (states == "reopened").sum()], start=1):
            sheet.write_number(row, column, number, style.count)
    return row + 1


def _forms(sheet: Worksheet, style: _Styles, row: int, facts: InstitutionFacts) -> None:
    for column, title in enumerate(("表单", "记录数", "合格率", "严重", "一般", "提示")):
        sheet.write_string(row, column, title, style.head)
    for line in facts.by_form.iter_rows(named=True):
        row += 1
        sheet.write_string(row, 0, line["form_title"], style.cell)
        sheet.write_number(row, 1, line["records"], style.count)
        if line["pass_rate"] is None:
            sheet.write_string(row, 2, "—", style.cell)
        else:
            sheet.write_number(row, 2, line["pass_rate"] / 100, style.percent)
        for column, name in enumerate(("severe", "ordinary", "hint"), start=3):
            sheet.write_number(row, column, line[name], style.count)


def _write_sheet(sheet: Worksheet, style: _Styles, facts: InstitutionFacts, told: _Sheet) -> None:
    last = max(told.lines.height, 1)
    sheet.freeze_panes(1, _FROZEN_COLUMNS)
    for column, (_, title, width) in enumerate(_COLUMNS):
        # Empty cells have the column's format: half the cells are empty, and need not be written.
        sheet.set_column(column, column, width, style.cell, {"hidden": column == _HIDDEN})
        sheet.write_string(0, column, title, style.head)
    _write_lines(sheet, style, told)
    if told.answered:
        sheet.data_validation(1, _RESULT, last, _RESULT, {
            "validate": "list", "source": list(ANSWERS), "error_title": "处理结果",
            "error_message": "请从下拉框里选：已改、申诉、说明", "input_title": "处理结果",
            "input_message": "已改：已在系统里改好\n申诉：认为没有错，写理由\n说明：暂时改不了，写原因",
        })  # fmt: skip
        sheet.data_validation(1, _REMARK, last, _REMARK, {
            "validate": "length", "criteria": "<=", "value": 1000, "error_title": "处理说明",
            "error_message": "处理说明不超过 1000 字",
        })  # fmt: skip
    sheet.autofilter(0, 0, last, len(_COLUMNS) - 1)
    sheet.set_tab_color("#B3261E" if (told.lines["severity"] == "严重").any() else "#8A9BAA")
    sheet.protect("", {"autofilter": True, "sort": True, "format_columns": True, "format_rows": True})
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.repeat_rows(0)
    sheet.print_area(0, 0, last, _REMARK)
    sheet.fit_to_pages(1, 0)
    sheet.set_footer(f"&L{facts.institution_name} {facts.snapshot.isoformat()}&C&A&R第 &P 页，共 &N 页")


def _write_lines(sheet: Worksheet, style: _Styles, told: _Sheet) -> None:
    """xlsxwriter writes cell by cell; the cells are made before, nothing is decided in this loop but their format."""
    string, number, blank = sheet.write_string, sheet.write_number, sheet.write_blank
    formats = [style.date if name in ("service_date", "first_seen") else style.cell for name, _, _ in _COLUMNS]
    answers = (_RESULT, _REMARK) if told.answered else ()
    heights = _heights(told.lines).to_list()
    for row, values in enumerate(_cells(told.lines).iter_rows(), start=1):
        sheet.set_row(row, heights[row - 1])
        for column, value in enumerate(values):
            if value is None:
                if column in answers:
                    blank(row, column, None, style.answer)
            elif isinstance(value, str):
                if column == 0:
                    string(row, 0, value, style.levels.get(value, style.cell))
                else:
                    string(row, column, value, style.text if value[0] in "=+-@\t\r" else style.cell)
            else:
                number(row, column, value, formats[column])


def _heights(lines: pl.DataFrame) -> pl.Series:
    """Each row's height in points, so that wrapped text shows whole: not every office program fits rows on opening.

    A Chinese character is as wide as two Latin ones; the widths are in Latin ones of a slightly larger font.
    """
    needed = []
    for name, _, width in _COLUMNS:
        if name in _WRAPPED:
            text = pl.col(name).fill_null("")
            wide = (text.str.len_bytes() - text.str.len_chars()) / 2 + text.str.len_chars()
            needed.append((wide / (width * 1.02)).ceil() + text.str.count_matches("\n", literal=True) * 0.7)
    tall = pl.max_horizontal(needed).clip(1, _TALLEST)
    return lines.select(height=tall * 13.5 + 3)["height"]


def _cells(lines: pl.DataFrame) -> pl.DataFrame:
    """The lines as the sheet's cells: text, dates as Excel's day numbers, nothing longer than a cell holds."""
    shown = []
    for name, title, _ in _COLUMNS:
        if name is None:
            shown.append(pl.lit(None, pl.String).alias(title))
        elif name in ("service_date", "first_seen"):
            shown.append((pl.col(name) - pl.lit(_EPOCH)).dt.total_days().alias(title))
        elif name == "place_count":
            shown.append(pl.when(pl.col(name) > 1).then(pl.col(name)).cast(pl.Int64).alias(title))
        elif name == "row_number":
            shown.append(pl.col(name).alias(title))
        else:
            text = pl.col(name).str.replace_all(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "").str.head(_LONGEST_CELL)
            shown.append(pl.when(text != "").then(text).alias(title))
    return lines.select(shown)
