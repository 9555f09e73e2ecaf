"""Answered workbooks (整改清单): what an institution writes beside its findings, read back from landing.

Belongs here: its answered rows as Parquet. Does not belong here: laying a workbook out (``reports``), whether an answer
fits the finding it names (``qc.answer``).

Sheets are known by their header, whatever their names: 问题编号, 处理结果, 处理说明. A row nobody wrote into is not an
answer and is not counted; one that does not say which finding it answers is rejected.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from phqc_pipeline.extracts.answer_book import ANSWER_FORM
from phqc_pipeline.extracts.books import FileRecord, lake_path, read_records, rejected_path
from phqc_pipeline.extracts.header import HEADER_ROWS
from phqc_pipeline.extracts.lake_file import LakeWriter
from phqc_pipeline.extracts.read_workbook import read_sheets
from phqc_pipeline.extracts.rows import REJECTED_SCHEMA
from phqc_pipeline.extracts.shapes import UnreadableError
from phqc_pipeline.home import Home, parse_folder_date

#: Columns of the Parquet file of a workbook's answers. ``row_number``: as the sheet shows it; ``explanation``: as
#: written, with what the row says of the person beside it, so that it can be masked where it is published.
ANSWER_SCHEMA: Mapping[str, pl.DataType] = {
    "file_id": pl.String(),
    "institution_code": pl.String(),
    "snapshot_date": pl.Date(),
    "sheet": pl.String(),
    "row_number": pl.Int64(),
    "finding_id": pl.String(),
    "answer": pl.String(),
    "explanation": pl.String(),
    "rule_id": pl.String(),
    "record_id": pl.String(),
    "person_name": pl.String(),
    "id_number": pl.String(),
}
_REJECTED: Mapping[str, pl.DataType] = {"file_id": pl.String(), **REJECTED_SCHEMA}
#: Header of the sheet → column; the first three make it a sheet of answers.
_HEADERS = {
    "问题编号": "finding_id",
    "处理结果": "answer",
    "处理说明": "explanation",
    "规则编号": "rule_id",
    "记录编号": "record_id",
    "姓名": "person_name",
    "身份证号": "id_number",
}
_NEEDED = ("问题编号", "处理结果", "处理说明")
_FINDING_ID = r"^[0-9a-f]{32}$"


def load_answers(home: Home, path: Path, ending: str, blank: FileRecord, finish: Callable[[], bool]) -> FileRecord:
    """Read the workbook's answers into the lake; its record after ``blank``. UnreadableError when it is none of ours.

    ``finish`` is asked once everything is read: False leaves no trace.
    """
    if ending not in (".xlsx", ".xls"):
        raise UnreadableError("整改清单应是 Excel 工作簿（.xlsx）；请交回下发的那一种，不要另存为别的格式")
    sheets = {name: _answered(name, rows) for name, rows in read_sheets(path, ending)}
    found = [told for told in sheets.values() if told is not None]
    if not found:
        needed = "、".join(_NEEDED)
        raise UnreadableError(f"不是系统下发的整改清单：没有一张工作表有“{needed}”这几列；请在下发的清单上填写后交回")
    rows = pl.concat([pl.DataFrame(schema=_shape()), *(frame for frame, _ in found)])
    rows = rows.with_row_index("place", offset=1)
    known = pl.col("finding_id").str.contains(_FINDING_ID).fill_null(False)
    loaded, rejected = rows.filter(known), rows.filter(~known)
    if not finish():
        return blank
    _write(home, blank, loaded, rejected)
    return replace(
        blank,
        loaded=True,
        rows_read=rows.height,
        rows_loaded=loaded.height,
        rows_rejected=rejected.height,
        rows_blank=sum(unanswered for _, unanswered in found),
        columns=tuple(sorted(_HEADERS.values())),
        note=_note(rows.height, rejected.height, sum(unanswered for _, unanswered in found)),
    )


def answer_files(home: Home, until: date) -> list[Path]:
    """Parquet files (ANSWER_SCHEMA) of every answered workbook dated ``until`` or before; of one delivered again under
    its name, the last version."""
    folder = home.books / "files"
    found: list[Path] = []
    for day in sorted(folder.iterdir()) if folder.is_dir() else []:
        snapshot = parse_folder_date(day.name)
        if snapshot is None or snapshot > until:
            continue
        for path in sorted(day.glob("*.json")):
            records = [one for one in read_records(path) if one.form_id == ANSWER_FORM]
            latest = {one.path: one for one in sorted(records, key=lambda one: one.order)}
            found += [lake_path(home, one) for one in latest.values() if one.loaded]
    return [path for path in found if path.exists()]


def _shape() -> dict[str, pl.DataType]:
    return {"sheet": pl.String(), "row_number": pl.Int64(), **dict.fromkeys(_HEADERS.values(), pl.String())}


def _answered(name: str, rows: list[list[Any]]) -> tuple[pl.DataFrame, int] | None:
    """The rows of one sheet that hold an answer, and how many hold none; None when it is no sheet of answers."""
    header = next((place for place, row in enumerate(rows[:HEADER_ROWS]) if set(_NEEDED) <= set(map(_text, row))), None)
    if header is None:
        return None
    titles = [_text(cell) for cell in rows[header]]
    cells: dict[str, Any] = dict.fromkeys(_HEADERS.values())
    for title, column in _HEADERS.items():
        place = titles.index(title) if title in titles else None
        texts = [None if place is None else _text(row[place]) or None for row in rows[header + 1 :]]
        cells[column] = pl.Series(column, texts, dtype=pl.String)
    frame = pl.DataFrame(cells).with_row_index("row_number", offset=header + 2)
    frame = frame.select(pl.lit(name).alias("sheet"), pl.col("row_number").cast(pl.Int64), *_HEADERS.values())
    answered = frame.filter(pl.col("answer").is_not_null() | pl.col("explanation").is_not_null())
    filled = frame.filter(pl.any_horizontal(pl.col(*_HEADERS.values()).is_not_null())).height
    return answered, filled - answered.height


def _text(cell: Any) -> str:
    return unicodedata.normalize("NFKC", str(cell)).strip() if cell is not None else ""


def _write(home: Home, blank: FileRecord, loaded: pl.DataFrame, rejected: pl.DataFrame) -> None:
    known = {"file_id": blank.file_id, "institution_code": blank.institution_code}
    constant = [pl.lit(value).alias(name) for name, value in known.items()]
    with LakeWriter(home, rejected_path(home, blank), _REJECTED, lazy=True) as writer:
        if rejected.height:
            writer.write(rejected.select(constant[0], *_told(rejected)))
        writer.finish()
    with LakeWriter(home, lake_path(home, blank), ANSWER_SCHEMA) as writer:
        day = pl.lit(blank.snapshot_date).alias("snapshot_date")
        writer.write(loaded.with_columns(*constant, day).select(*ANSWER_SCHEMA))
        writer.finish()


def _told(rejected: pl.DataFrame) -> list[pl.Series]:
    """A rejected row's number within the book, where it stands, and what was written into it."""
    reason = rejected.select(
        pl.format(
            "工作表“{}”第 {} 行：“问题编号”空缺或被改动，认不出答复的是哪个问题；请在下发的清单原行填写",
            "sheet",
            "row_number",
        ).alias("reason")
    )["reason"]
    columns = ("finding_id", "answer", "explanation")
    raw = [json.dumps(row, ensure_ascii=False) for row in rejected.select(columns).to_dicts()]
    return [rejected["place"].cast(pl.Int64).alias("row_number"), reason, pl.Series("raw", raw, dtype=pl.String)]


def _note(answered: int, rejected: int, unanswered: int) -> str:
    said = [f"答复 {answered} 行，没有填的 {unanswered} 行"]
    if rejected:
        said.append(f"其中 {rejected} 行认不出是哪个问题，已拒收")
    return "；".join(said)
