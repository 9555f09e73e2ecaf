"""Records as real institutions deliver them: formats, encodings, headers, spellings, one mixture for each form.

Belongs here: typed frames → files in a landing folder, byte for byte the same from the same rows.
Does not belong here: what the records say.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import xlsxwriter

from phqc_pipeline.catalogue import Catalogue, Form
from phqc_pipeline.catalogue.dictionary import parse_type
from phqc_pipeline.catalogue.model import Field, Report, ReportItem
from phqc_pipeline.extracts.reports import PERIOD, REPORT_COLUMNS, YEAR
from phqc_pipeline.sample.places import Institution

Texts = Mapping[int, Mapping[str, str | None]]  # cells to deliver verbatim: _row → field → text

_SERIAL = "序号"
# Periods as a style with names writes them.
_PERIODS = {
    "Y": "全年",
    **{f"Q{n}": f"第{n}季度" for n in range(1, 5)},
    **{f"M{n:02d}": f"{n}月" for n in range(1, 13)},
}
_MOST_CELLS = 260_000  # of a workbook; more is delivered as CSV
_GPS = frozenset({"service_lng", "service_lat", "evidence_photo_count"})


@dataclass(frozen=True)
class Spelling:
    """How dates, months and times are written (strftime)."""

    dates: str = "%Y-%m-%d"
    months: str = "%Y-%m"
    times: str = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Style:
    """How one file is written.

    ``container``: csv, csv.gz, xlsx, parquet. ``header``: english, chinese or synonym. ``named``: codes are written as
    their names, but for every third column. ``zeros``: codes padded (1), bare (-1) or as they are. ``empty``: what
    stands in an empty numeric or date cell; ``unanswered``: in every seventh numeric one instead. ``titles``: lines
    above the header. ``dropped``: columns not in the file.
    """

    container: str
    encoding: str = "utf-8"
    header: str = "english"
    spelling: Spelling = Spelling()
    named: bool = False
    zeros: int = 0
    separator: str = ","
    line_end: str = "\n"
    empty: str = ""
    unanswered: str = ""
    titles: int = 0
    serial_column: bool = False
    parts: int = 1
    file_title: bool = False
    dropped: frozenset[str] = frozenset()


_CHINESE = Spelling("%Y年%-m月%-d日", "%Y年%-m月", "%Y年%-m月%-d日 %H:%M:%S")
_SLASHES = Spelling("%Y/%-m/%-d", "%Y/%m", "%Y/%-m/%-d %H:%M:%S")
_DOTS = Spelling("%Y.%-m.%-d", "%Y.%m")
_COMPACT = Spelling("%Y%m%d", "%Y%m")

_STYLES: tuple[Style, ...] = (
    Style(
        "csv", "gb18030", "chinese", _SLASHES, named=True, separator="，", line_end="\r\n", titles=1, file_title=True
    ),
    Style("csv.gz"),
    Style(
        "csv",
        "utf-8-sig",
        "chinese",
        _CHINESE,
        named=True,
        separator="、",
        empty="/",
        unanswered="未查",
        file_title=True,
    ),
    Style("parquet"),
    Style("xlsx", header="chinese", named=True, separator=";", titles=2, serial_column=True, file_title=True),
    Style("csv", "utf-16", "synonym", _DOTS, zeros=1, separator="|", line_end="\r\n", file_title=True, dropped=_GPS),
    Style("csv", "gb18030", "synonym", _COMPACT, zeros=-1, separator="；", empty="-", parts=2, file_title=True),
    Style("csv", named=True, separator=";", line_end="\r\n", serial_column=True, dropped=_GPS),
)
# The founding institution's own mixture: every kind of file once, every column there.
_FOUNDING = {
    "resident_profile": _STYLES[0],
    "health_exam": _STYLES[1],
    "htn_followup": _STYLES[2],
    "t2dm_followup": _STYLES[3],
    "chronic_registry": _STYLES[4],
    "elderly_self_care": replace(_STYLES[4], titles=0, named=False, serial_column=False),
    "r_archive": Style("xlsx", header="chinese", file_title=True),
}


def style_for(institution: Institution, form: Form, position: int) -> Style:
    """The style of one institution's files of one form; ``position`` of the form in the catalogue."""
    if institution.is_founding and form.form_id in _FOUNDING:
        return _FOUNDING[form.form_id]
    style = _STYLES[(institution.index * 3 + position * 5) % len(_STYLES)]
    return replace(style, dropped=frozenset()) if institution.is_founding else style


def report_style(institution: Institution, report: Report, position: int) -> Style:
    """The style of one institution's file of one report: in one part, nothing left out or unanswered."""
    if institution.is_founding and report.report_id in _FOUNDING:
        return _FOUNDING[report.report_id]
    style = _STYLES[(institution.index * 5 + position * 3) % len(_STYLES)]
    return replace(style, parts=1, unanswered="", dropped=frozenset())


def deliver(
    folder: Path,
    form: Form,
    rows: pl.DataFrame,
    texts: Texts,
    style: Style,
    cat: Catalogue,
    institution: Institution,
    day: date,
) -> list[Path]:
    """Write one form's rows into a landing folder; the files written. ``rows`` has ``_row`` and the form's columns."""
    fields = [field for field in form.fields if field.name not in style.dropped]
    if any(_SERIAL in field.headers for field in fields):  # two columns of one header would be told apart by nobody
        style = replace(style, serial_column=False)
    if style.container == "xlsx" and rows.height * len(fields) > _MOST_CELLS:
        style = replace(style, container="csv", encoding="gb18030")
    title = next(one for one in (form.title, *form.aliases, form.form_id) if "/" not in one)  # a name, no folder
    name = f"{title}_{day.year}" if style.file_title else form.form_id
    paths = []
    size = -(-rows.height // style.parts) if style.parts > 1 and rows.height > 20 else max(rows.height, 1)
    for part, start in enumerate(range(0, max(rows.height, 1), size), 1):
        stem = f"{name}_{part}" if size < rows.height else name
        path = folder / f"{stem}.{style.container}"
        _write(path, _Sheet(form.title, fields, rows.slice(start, size), texts, style, cat, institution, day))
        paths.append(path)
    return paths


def deliver_report(
    folder: Path,
    report: Report,
    rows: pl.DataFrame,
    style: Style,
    cat: Catalogue,
    institution: Institution,
    day: date,
) -> Path:
    """Write a report's rows (one a period, as in ``report``) into a landing folder; the file written."""
    fields = [
        Field(name, headers[0], "int" if name == YEAR else "s(50)", "int" if name == YEAR else "text", headers[1:])
        for name, headers in REPORT_COLUMNS.items()
    ]
    fields += [_item(item) for item in report.items]
    if style.named:
        rows = rows.with_columns(pl.col(PERIOD).replace(_PERIODS))
    path = folder / f"{report.title if style.file_title else report.report_id}.{style.container}"
    _write(path, _Sheet(report.title, fields, rows.with_row_index("_row"), {}, style, cat, institution, day))
    return path


def _item(item: ReportItem) -> Field:
    """A report's item as the column it is delivered in."""
    parsed = parse_type(item.type)
    assert parsed is not None
    kind, _, precision, scale = parsed
    return Field(item.item, item.title, item.type, kind, item.synonyms, precision=precision, scale=scale)


@dataclass(frozen=True)
class _Sheet:
    title: str
    fields: Sequence[Field]
    rows: pl.DataFrame
    texts: Texts
    style: Style
    cat: Catalogue
    institution: Institution
    day: date

    @property
    def headers(self) -> list[str]:
        return [_header(field, self.style.header) for field in self.fields]

    @property
    def titles(self) -> list[str]:
        lines = [f"{self.institution.name} {self.title}", f"导出日期：{self.day.isoformat()}  导出人：系统管理员"]
        return lines[: self.style.titles]

    @cached_property
    def given(self) -> dict[str, dict[int, str]]:
        """Cells whose text is given: field → position in the sheet → text."""
        found: dict[str, dict[int, str]] = {}
        for place, number in enumerate(self.rows["_row"].to_list()):
            for name, text in self.texts.get(number, {}).items():
                found.setdefault(name, {})[place] = text or ""
        return found

    def overridden(self, field: Field) -> dict[int, str]:
        """Places in the sheet whose text of the field is given: position → text."""
        return self.given.get(field.name, {})

    def text(self, field: Field, position: int) -> pl.Series:
        """The field's column as delivered text."""
        series = _text(self.rows[field.name], field, position, self.style, self.cat)
        given = self.overridden(field)
        if given:
            series = series.scatter(list(given), list(given.values()))
        return series


def _write(path: Path, sheet: _Sheet) -> None:
    writer = {"csv": _write_csv, "csv.gz": _write_csv, "xlsx": _write_xlsx, "parquet": _write_parquet}
    path.parent.mkdir(parents=True, exist_ok=True)
    writer[sheet.style.container](path, sheet)


def _write_csv(path: Path, sheet: _Sheet) -> None:
    columns = [
        sheet.text(field, n).alias(header)
        for n, (field, header) in enumerate(zip(sheet.fields, sheet.headers, strict=True))
    ]
    if sheet.style.serial_column:
        columns.insert(0, pl.int_range(1, sheet.rows.height + 1, eager=True).cast(pl.String).alias(_SERIAL))
    end = sheet.style.line_end
    body = pl.DataFrame(columns).write_csv(line_terminator=end)
    text = "".join(line + end for line in sheet.titles) + body
    data = text.encode(sheet.style.encoding)
    if sheet.style.container == "csv.gz":
        packed = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=6, mtime=0) as file:
            file.write(data)
        data = packed.getvalue()
    path.write_bytes(data)


def _write_parquet(path: Path, sheet: _Sheet) -> None:
    """Typed columns where every cell is regular, text where one is not."""
    columns = []
    for n, (field, header) in enumerate(zip(sheet.fields, sheet.headers, strict=True)):
        if sheet.overridden(field) or field.kind in ("text", "code", "multi", "ym"):
            series = sheet.text(field, n)
        elif field.kind == "int":
            series = sheet.rows[field.name].cast(pl.Int64)
        else:
            series = sheet.rows[field.name]
        columns.append(series.alias(header))
    table = pl.DataFrame(columns).to_arrow(compat_level=pl.CompatLevel.oldest())
    pq.write_table(table, path, compression="snappy", row_group_size=20_000)


def _write_xlsx(path: Path, sheet: _Sheet) -> None:
    """Numbers and dates as such, the rest as text; a row number in front, titles above."""
    columns: list[list[Any]] = []
    headers = sheet.headers
    for n, field in enumerate(sheet.fields):
        given = sheet.overridden(field)
        if field.is_numeric:
            values: list[Any] = sheet.rows[field.name].to_list()
        elif field.kind == "date" and n % 2 == 0:
            values = [
                None if one is None else datetime.combine(one, time()) for one in sheet.rows[field.name].to_list()
            ]
        else:
            values = _text(sheet.rows[field.name], field, n, sheet.style, sheet.cat).to_list()
        for place, text in given.items():
            values[place] = text
        columns.append(values)
    if sheet.style.serial_column:
        columns.insert(0, list(range(1, sheet.rows.height + 1)))
        headers = [_SERIAL, *headers]
    _workbook(path, headers, columns, sheet.titles, {"title": sheet.title})


def _workbook(
    path: Path, header: Sequence[str], columns: Sequence[Sequence[Any]], titles: Sequence[str], about: Mapping[str, str]
) -> None:
    """A workbook of one sheet, the same bytes whenever it is written."""
    book = xlsxwriter.Workbook(
        str(path), {"strings_to_numbers": False, "strings_to_urls": False, "strings_to_formulas": False}
    )
    book.set_properties({**about, "created": datetime.combine(date(2020, 1, 1), time())})
    sheet = book.add_worksheet("Sheet1")
    dated = book.add_format({"num_format": "yyyy-mm-dd"})
    for n, line in enumerate(titles):
        sheet.write_string(n, 0, line)
    top = len(titles)
    for column, (name, values) in enumerate(zip(header, columns, strict=True)):
        sheet.write_string(top, column, name)
        for n, value in enumerate(values, top + 1):
            if value is None or value == "":
                continue
            if isinstance(value, datetime):
                sheet.write_datetime(n, column, value, dated)
            elif isinstance(value, int | float):
                sheet.write_number(n, column, value)
            else:
                sheet.write_string(n, column, value)
    book.close()


def _header(field: Field, kind: str) -> str:
    if kind == "english":
        return field.name
    if kind == "synonym" and field.synonyms:
        return field.synonyms[0]
    return field.title


def _text(series: pl.Series, field: Field, position: int, style: Style, cat: Catalogue) -> pl.Series:
    """A typed column as text in the file's style; NULL where the file has nothing."""
    if field.kind == "multi":
        return series.list.eval(_spelled(pl.element(), field, position, style, cat)).list.join(style.separator)
    if field.kind == "code" or (field.kind == "text" and field.codes):
        return series.to_frame("c").select(_spelled(pl.col("c"), field, position, style, cat)).to_series()
    if field.kind == "text":
        return series
    if field.is_date:
        spelling = {"date": style.spelling.dates, "ym": style.spelling.months, "dt": style.spelling.times}[field.kind]
        text = series.dt.strftime(spelling)
    else:
        text = _decimal(series, 0 if field.kind == "int" else field.scale or 0)
        if style.unanswered and not field.text_values:
            seventh = pl.int_range(len(text), eager=True) % 7 == position % 7
            text = text.set(seventh & text.is_null(), style.unanswered)
    if style.empty and style.empty not in field.text_values:
        text = text.fill_null(style.empty)
    return text


def _decimal(series: pl.Series, scale: int) -> pl.Series:
    """Numbers with exactly ``scale`` decimals (they have no more)."""
    if scale == 0:
        return series.round(0).cast(pl.Int64).cast(pl.String)
    whole = (series.abs() * 10**scale).round(0).cast(pl.Int64)
    frame = pl.DataFrame({"w": whole, "negative": series < 0})
    sign = pl.when("negative").then(pl.lit("-")).otherwise(pl.lit(""))
    digits = pl.col("w") % 10**scale
    return frame.select(
        sign + (pl.col("w") // 10**scale).cast(pl.String) + pl.lit(".") + digits.cast(pl.String).str.zfill(scale)
    ).to_series()


def _spelled(column: pl.Expr, field: Field, position: int, style: Style, cat: Catalogue) -> pl.Expr:
    """Codes as the style writes them, as long as the code list reads that back as the same code."""
    codes = cat.codes[field.codes or ""]
    spelled = {}
    for code, entry in codes.by_code.items():
        word = code
        if style.named and position % 3 != 0:
            word = entry.name
        elif style.zeros > 0 and code.isdigit():
            word = "0" + code if len(code) == 1 else code
        elif style.zeros < 0 and code.isdigit():
            word = code.lstrip("0") or "0"
        safe = not any(mark in word for mark in ",，;；|、 ()（）")
        spelled[code] = word if safe and codes.spellings.get(word) == code else code
    changed = {code: word for code, word in spelled.items() if code != word}
    return column.replace(changed) if changed else column
