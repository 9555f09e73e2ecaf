"""Workbooks (.xlsx, .xls): the first sheet with a header, every cell by its own value, as text.

Belongs here: what a cell's value is as text, guarding against files that would fill the memory. Does not belong here:
what the text means (``cells``).

calamine reads a whole sheet, as a rectangle from its first to its last cell: so a workbook is measured before it is
read. It gives numbers as floats and errors as nothing; numbers too long for a float and errors are therefore read from
the sheet's XML (or BIFF records), where they stand as written. An identity number thus never goes through a float.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

import polars as pl
import python_calamine

from phqc_pipeline.extracts.cells import ERROR_MARK
from phqc_pipeline.extracts.header import HEADER_ROWS, MAX_COLUMNS, Known, check_width, is_header
from phqc_pipeline.extracts.ole import SIGNATURE as OLE
from phqc_pipeline.extracts.ole import DamagedError, streams, workbook
from phqc_pipeline.extracts.plain_text import SHEET_DIGITS, as_text
from phqc_pipeline.extracts.shapes import ROW_NUMBER, Batch, Header, Table, UnreadableError

#: Bytes a workbook may have when unzipped (a sheet of 100,000 rows × 100 columns has some 300 MB).
MAX_UNZIPPED_BYTES = 512 << 20
#: Cells of the rectangle a sheet spans; calamine takes about 32 bytes for each, filled or not.
MAX_CELLS = 20_000_000
BATCH_ROWS = 20_000

_ZIP, _EMPTY_ZIP = b"PK\x03\x04", b"PK\x05\x06"
_SPLIT = "请分成几份（文件名后加 _1、_2），或改交 CSV"
_CHUNK, _OVERLAP = 1 << 20, 512
_ERROR_CELL = re.compile(rb"""\bt\s*=\s*["']e["']""")
_LONG_NUMBER = re.compile(rb"v>\s*-?(?:\d{16,}|\d[\d.]*[eE]\+?(?:1[5-9]|[2-9]\d|\d{3}))")
_ROW = re.compile(rb"""<(?:\w+:)?row\b[^>]*?\br\s*=\s*["'](\d+)["']""")
_CELL = re.compile(rb"""\br\s*=\s*["']([A-Z]{1,3})\d+["']""")
_FAR_CELL = re.compile(rb"""\br\s*=\s*["']([A-Z]{3})\d+["']""")
_REFERENCE = re.compile(r"([A-Z]{1,3})(\d+)")
_TWO_LETTERS = 26 * 27  # columns up to ZZ
_BLANK = " \t\r\n\u3000\ufeff"

Patches = Mapping[tuple[int, int], str]  # (row, column) from 0 → text of the cell


def open_xlsx(path: Path, known: Known) -> Table:
    """The first sheet with a header. UnreadableError when the file is no such workbook."""
    _check_content(path, ".xlsx")
    try:
        with zipfile.ZipFile(path) as archive:
            book = _Xlsx.read(archive)
            found = _open_sheet(path, known, list(book.sheets), partial(_check_size, book))
            name, sheet, head, rows = found
            patches = _xlsx_patches(archive, book.sheets[name])
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ElementTree.ParseError, expat.ExpatError):
        raise UnreadableError("xlsx 工作簿不完整或已损坏，打不开；请重新导出或重新上传") from None
    except (NotImplementedError, RuntimeError):
        raise UnreadableError("xlsx 工作簿加了密码或用了不支持的压缩方式；请去掉密码后重新保存") from None
    return _table(sheet, head, rows, patches, book.epoch_1904)


def open_xls(path: Path, known: Known) -> Table:
    """As ``open_xlsx``, for the binary format of Excel 97 to 2003 (and 95)."""
    _check_content(path, ".xls")
    if path.stat().st_size > MAX_UNZIPPED_BYTES:
        raise UnreadableError(f"工作簿超过 {MAX_UNZIPPED_BYTES >> 20} MB，太大；{_SPLIT}")
    try:
        parts = streams(path.read_bytes())
        stream = parts.get("Workbook") or parts.get("Book")
        if stream is None:
            raise UnreadableError("扩展名是 .xls，内容却不是 Excel 工作簿；请另存为 xlsx 或 CSV")
        book = workbook(stream)
    except DamagedError:
        raise UnreadableError("xls 工作簿不完整或已损坏，打不开；请重新导出或重新上传") from None
    if book.encrypted:
        raise UnreadableError("工作簿加了密码，无法读取；请去掉密码后重新保存")
    names = _calamine(path).sheet_names
    name, sheet, head, rows = _open_sheet(path, known, names, lambda _: None)
    place = names.index(name)
    errors = book.sheets[place] if place < len(book.sheets) else {}
    patches = {where: ERROR_MARK + text for where, text in errors.items()}
    return _table(sheet, head, rows, patches, book.epoch_1904)


def read_sheets(path: Path, ending: str) -> Iterator[tuple[str, list[list[Any]]]]:
    """Every worksheet's name and rows (from the sheet's first row on, cells as Python values, empty ones ``""``).

    For small workbooks of our own; guarded against damage and size as the others are.
    """
    _check_content(path, ending)
    try:
        if ending == ".xlsx":
            with zipfile.ZipFile(path) as archive:
                guarded = _Xlsx.read(archive)
            for name in guarded.sheets:
                _check_size(guarded, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ElementTree.ParseError, expat.ExpatError):
        raise UnreadableError("xlsx 工作簿不完整或已损坏，打不开；请重新保存或重新上传") from None
    except (NotImplementedError, RuntimeError):
        raise UnreadableError("xlsx 工作簿加了密码或用了不支持的压缩方式；请去掉密码后重新保存") from None
    book = _calamine(path)
    for entry in book.sheets_metadata:
        if entry.typ != python_calamine.SheetTypeEnum.WorkSheet:
            continue
        try:
            yield entry.name, book.get_sheet_by_name(entry.name).to_python(skip_empty_area=False)
        except BaseException as error:
            raise _unless_ours(error) from None


@dataclass
class _Sheet:
    """One worksheet's part in the package, as measured."""

    part: str
    rows: int = 0
    columns: int = _TWO_LETTERS
    patched: bool = False  # holds errors or numbers that no float holds


@dataclass
class _Xlsx:
    sheets: dict[str, _Sheet] = field(default_factory=dict)
    epoch_1904: bool = False

    @classmethod
    def read(cls, archive: zipfile.ZipFile) -> _Xlsx:
        if any(entry.flag_bits & 1 for entry in archive.infolist()):
            raise UnreadableError("工作簿加了密码，无法读取；请去掉密码后重新保存")
        _check_declared(archive)
        found = cls()
        names = {name.lower(): name for name in archive.namelist()}
        if "xl/workbook.xml" not in names:
            kind = "xlsb 二进制工作簿" if "xl/workbook.bin" in names else "zip 压缩包"
            raise UnreadableError(f"扩展名是 .xlsx，内容却是 {kind}；请用 Excel 另存为 xlsx")
        total = 0
        parts = _sheet_parts(archive, names, found)
        for entry in archive.infolist():
            if entry.filename.lower().startswith("xl/") and not entry.filename.lower().startswith("xl/media/"):
                total += _measure(archive, entry, parts.get(entry.filename), MAX_UNZIPPED_BYTES - total)
        return found


def _check_content(path: Path, ending: str) -> None:
    try:
        with path.open("rb") as raw:
            start = raw.read(512)
    except OSError as error:
        raise UnreadableError(f"文件无法读取（{error.strerror}）；请检查权限和磁盘", passing=True) from None
    if not start:
        raise UnreadableError("文件是空的，没有任何内容")
    wanted = _ZIP if ending == ".xlsx" else OLE
    if start.startswith(wanted):
        return
    if start.startswith(OLE):
        if "EncryptedPackage".encode("utf-16-le") in path.read_bytes():
            raise UnreadableError("工作簿加了密码，无法读取；请去掉密码后重新保存")
        kind = "xls 工作簿"
    elif start.startswith((_ZIP, _EMPTY_ZIP)):
        kind = "xlsx 工作簿（或 zip 压缩包）"
    elif (
        start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<html", b"<!doctype", b"<table", b"<?xml", b"<meta"))
    ):
        kind = "网页或 XML 表格"
    elif not start.strip(b"\x00"):
        raise UnreadableError("文件内容全是空字节，没有写完整；请重新上传")
    else:
        kind = "文本或别的格式"
    raise UnreadableError(f"扩展名是 {ending}，内容却是 {kind}；请改正扩展名，或用 Excel 另存为 xlsx")


def _check_declared(archive: zipfile.ZipFile) -> None:
    if sum(entry.file_size for entry in archive.infolist()) > MAX_UNZIPPED_BYTES:
        raise UnreadableError(_too_large())


def _too_large() -> str:
    return f"工作簿解压后超过 {MAX_UNZIPPED_BYTES >> 20} MB，太大或异常，未读取；{_SPLIT}"


def _sheet_parts(archive: zipfile.ZipFile, names: Mapping[str, str], book: _Xlsx) -> dict[str, _Sheet]:
    """Fill in the workbook's sheets and epoch; the sheets by the part that holds them."""
    root = ElementTree.fromstring(archive.read(names["xl/workbook.xml"]))
    relations = ElementTree.fromstring(archive.read(names["xl/_rels/workbook.xml.rels"]))
    targets = {relation.get("Id"): relation.get("Target", "") for relation in relations}
    parts: dict[str, _Sheet] = {}
    for element in root.iter():
        tag = element.tag.rsplit("}", 1)[-1]
        if tag == "workbookPr":
            book.epoch_1904 = element.get("date1904", "0").lower() in ("1", "true")
        elif tag == "sheet":
            link = next((value for key, value in element.attrib.items() if key.endswith("}id")), None)
            target = targets.get(link, "")
            part = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
            sheet = _Sheet(names.get(part.lower(), part))
            book.sheets[element.get("name", "")] = parts[sheet.part] = sheet
    return parts


def _measure(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, sheet: _Sheet | None, left: int) -> int:
    """Unzip one part to see how large it is and that it is whole; note a sheet's size and what a float cannot hold."""
    size, tail, far = 0, b"", 0
    for chunk in _chunks(archive, entry):
        size += len(chunk)
        if size > left:
            raise UnreadableError(_too_large())
        if sheet is None:
            continue
        window = tail + chunk
        sheet.rows = max([sheet.rows, *(int(row) for row in _ROW.findall(window))])
        far = max([far, *(_column_number(name.decode()) for name in _FAR_CELL.findall(window))])
        sheet.patched = sheet.patched or bool(_ERROR_CELL.search(window) or _LONG_NUMBER.search(window))
        tail = window[-_OVERLAP:]
    if sheet is not None:
        sheet.columns = max(far, _TWO_LETTERS)
        if sheet.rows * sheet.columns > MAX_CELLS:
            sheet.columns = _last_column(archive, entry)
    return size


def _last_column(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    names: set[bytes] = set()
    tail = b""
    for chunk in _chunks(archive, entry):
        window = tail + chunk
        names.update(_CELL.findall(window))
        tail = window[-_OVERLAP:]
    return max((_column_number(name.decode()) for name in names), default=0)


def _chunks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(entry) as raw:
        while chunk := raw.read(_CHUNK):
            yield chunk


def _check_size(book: _Xlsx, name: str) -> None:
    sheet = book.sheets[name]
    if sheet.rows * sheet.columns > MAX_CELLS:
        said = f"工作表“{name}”一直用到第 {sheet.rows} 行第 {sheet.columns} 列，太大（多半是表外有零散的格子）"
        raise UnreadableError(f"{said}；请删去多余的行列再保存，或{_SPLIT.removeprefix('请')}")


def _calamine(path: Path) -> python_calamine.CalamineWorkbook:
    try:
        return python_calamine.load_workbook(str(path))
    except python_calamine.PasswordError:
        raise UnreadableError("工作簿加了密码，无法读取；请去掉密码后重新保存") from None
    except BaseException as error:
        raise _unless_ours(error) from None


def _unless_ours(error: BaseException) -> BaseException:
    """A panic of the library comes as a BaseException; what the user or the system sends goes on as it is."""
    if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, UnreadableError)):
        return error
    return UnreadableError("工作簿不完整或已损坏，打不开；请重新导出或重新上传")


Found = tuple[str, python_calamine.CalamineSheet, Header, Iterator[list[Any]]]


def _open_sheet(path: Path, known: Known, names: Sequence[str], check: Callable[[str], None]) -> Found:
    book = _calamine(path)
    kinds = {entry.name: entry.typ for entry in book.sheets_metadata}
    for name in names:
        if kinds.get(name) != python_calamine.SheetTypeEnum.WorkSheet:
            continue
        check(name)
        try:
            sheet = book.get_sheet_by_name(name)
            rows = iter(sheet.iter_rows())
            first = list(islice(rows, HEADER_ROWS))
        except BaseException as error:
            raise _unless_ours(error) from None
        if sheet.start is None:
            continue
        for number, row in enumerate(first, start=1):
            texts = [str(cell).strip(_BLANK) if isinstance(cell, str) else "" for cell in row]
            if is_header(texts, known):
                header = Header(number, ("",) * sheet.start[1] + tuple(texts))
                check_width(sum(1 for text in texts if text))
                return name, sheet, header, chain(first[number:], rows)
    said = f"各工作表的前 {HEADER_ROWS} 行里都没有找到表头（表头至少要有两个认识的列名，如“记录编号”“姓名”）"
    raise UnreadableError(f"{said}；请核对是否导错了表，或删掉了表头")


def _table(
    sheet: python_calamine.CalamineSheet, header: Header, rows: Iterator[list[Any]], patches: Patches, epoch: bool
) -> Table:
    pieces = _pieces(rows, header, sheet.start[1] if sheet.start else 0, patches)
    table = Table(header, pieces, header.row_number, serial_dates=True, epoch_1904=epoch)
    if len(header.names) > MAX_COLUMNS:
        raise UnreadableError(f"用到第 {len(header.names)} 列，超过上限 {MAX_COLUMNS} 列；请删去表外零散的格子再保存")
    return table


def _pieces(rows: Iterator[list[Any]], header: Header, left: int, patches: Patches) -> Iterator[Callable[[], Batch]]:
    first = header.row_number  # index from 0 of the first row below the header
    by_row: dict[int, dict[int, str]] = {}
    for (row, column), text in patches.items():
        by_row.setdefault(row, {})[column] = text
    while taken := list(islice(rows, BATCH_ROWS)):
        here = {row - first: by_row[row] for row in range(first, first + len(taken)) if row in by_row}
        yield partial(_batch, taken, len(header.names), left, here)
        first += len(taken)


def _batch(rows: list[list[Any]], columns: int, left: int, patches: Mapping[int, Mapping[int, str]]) -> Batch:
    span = len(rows)
    made = [_nothing(span)] * left + [_column(values) for values in zip(*rows, strict=True)]
    cells = pl.DataFrame([text.alias(str(place)) for place, text in enumerate(made[:columns])])
    for place, fixed in _by_column(patches).items():
        if place < columns:
            text = cells[str(place)].clone().scatter(list(fixed), list(fixed.values()))
            cells = cells.with_columns(text.alias(str(place)))
    numbers = pl.int_range(1, span + 1, dtype=pl.Int64, eager=True).alias(ROW_NUMBER)
    cells = cells.insert_column(0, numbers)
    filled = cells.filter(pl.any_horizontal(pl.col("*").exclude(ROW_NUMBER).is_not_null()))
    return Batch(filled, span, (), span - filled.height)


def _by_column(patches: Mapping[int, Mapping[int, str]]) -> dict[int, dict[int, str]]:
    found: dict[int, dict[int, str]] = {}
    for row, texts in patches.items():
        for column, text in texts.items():
            found.setdefault(column, {})[row] = text
    return found


# What calamine gives for a cell, and the column type it is turned into text from. The order: bool is an int.
_KINDS: tuple[tuple[type, pl.DataType], ...] = (
    (bool, pl.Boolean()),
    (int, pl.Float64()),
    (float, pl.Float64()),
    (datetime, pl.Datetime("us")),
    (date, pl.Date()),
    (time, pl.Time()),
    (timedelta, pl.Duration("us")),
)


def _column(values: Sequence[Any]) -> pl.Series:
    """The cells of one column as text; calamine hands them over as Python values, so this is a pass for each type."""
    kinds = set(map(type, values))
    if kinds == {str}:
        text = pl.Series(values, dtype=pl.String)
        return text.set(text == "", None)
    text = pl.Series([value if type(value) is str and value else None for value in values], dtype=pl.String)
    for kind, column_type in _KINDS:
        if kind in kinds:
            some = pl.Series([value if type(value) is kind else None for value in values], dtype=column_type)
            text = text.fill_null(_without_midnight(as_text(some)) if kind is datetime else as_text(some))
    return text


def _without_midnight(text: pl.Series) -> pl.Series:
    return text.str.strip_suffix(" 00:00:00")


def _nothing(rows: int) -> pl.Series:
    return pl.Series([None], dtype=pl.String).new_from_index(0, rows)


def _xlsx_patches(archive: zipfile.ZipFile, sheet: _Sheet) -> dict[tuple[int, int], str]:
    """Error cells, and numbers of 16 digits and more as they are written, of one sheet."""
    if not sheet.patched:
        return {}
    finder = _PatchFinder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = finder.start
    parser.EndElementHandler = finder.end
    parser.CharacterDataHandler = finder.text
    for chunk in _chunks(archive, archive.getinfo(sheet.part)):
        parser.Parse(chunk, False)
    parser.Parse(b"", True)
    return finder.found


class _PatchFinder:
    """Handlers for the XML of a worksheet. Cells and rows may leave out their reference; then they are counted."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, int], str] = {}
        self.row, self.column = -1, -1
        self.kind = ""
        self.parts: list[str] | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rsplit(":", 1)[-1]
        if tag == "row":
            self.row = int(attributes["r"]) - 1 if "r" in attributes else self.row + 1
            self.column = -1
        elif tag == "c":
            reference = _REFERENCE.fullmatch(attributes.get("r", ""))
            self.column = _column_number(reference[1]) - 1 if reference else self.column + 1
            self.kind = attributes.get("t", "n")
        elif tag == "v":
            self.parts = []

    def text(self, data: str) -> None:
        if self.parts is not None:
            self.parts.append(data)

    def end(self, name: str) -> None:
        if self.parts is None or name.rsplit(":", 1)[-1] != "v":
            return
        value = "".join(self.parts).strip()
        self.parts = None
        if self.kind == "e":
            self.found[self.row, self.column] = ERROR_MARK + value
        elif self.kind == "n" and value.lstrip("-").isdigit() and len(value.lstrip("-").lstrip("0")) > SHEET_DIGITS:
            self.found[self.row, self.column] = value


def _column_number(letters: str) -> int:
    """``A`` → 1, ``AA`` → 27."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number
