"""Parquet as delivered: whatever its column types, the cells as text, in batches.

Belongs here: Arrow columns → text as a person would write the value. Does not belong here: what the texts mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from phqc_pipeline.extracts.header import KNOWN_HEADERS, Known, check_width, is_header
from phqc_pipeline.extracts.plain_text import as_text
from phqc_pipeline.extracts.shapes import ROW_NUMBER, Batch, Header, Rejected, Table, UnreadableError

BATCH_ROWS = 20_000
_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_REPLACEMENT = "\ufffd"


def open_parquet(path: Path, known: Known) -> Table:
    """Rows are numbered from 1: the format has no header row."""
    _check_content(path)
    try:
        file = pq.ParquetFile(path, memory_map=False, pre_buffer=False, buffer_size=1 << 20)
        names = tuple(file.schema_arrow.names)
    except (pa.ArrowException, OSError):
        raise UnreadableError("Parquet 文件已损坏，读不出结构；请重新导出") from None
    check_width(len(names))
    names = tuple(name.strip() for name in names)
    if not is_header(names, known):
        raise UnreadableError(f"列名里认识的不到 {KNOWN_HEADERS} 个；请核对是否导错了表")
    return Table(Header(0, names), _pieces(file), encoding="utf-8")


def _pieces(file: pq.ParquetFile) -> Iterator[Callable[[], Batch]]:
    try:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
            yield partial(_read, batch)
    except (pa.ArrowException, OSError):
        raise UnreadableError("Parquet 文件已损坏，读不出全部内容；请重新导出") from None
    finally:
        file.close()


def _check_content(path: Path) -> None:
    try:
        with path.open("rb") as raw:
            start = raw.read(4)
            size = raw.seek(0, 2)
            raw.seek(max(0, size - 4))
            end = raw.read(4)
    except OSError as error:
        raise UnreadableError(f"文件无法读取（{error.strerror}）；请检查权限和磁盘", passing=True) from None
    if not size:
        raise UnreadableError("文件是空的，没有任何内容")
    if _ENCRYPTED in (start, end):
        raise UnreadableError("Parquet 文件已加密，无法读取；请导出不加密的文件")
    if start != _MAGIC:
        raise UnreadableError("扩展名是 .parquet，内容却不是 Parquet；请改正扩展名或重新导出")
    if end != _MAGIC or size < 12:
        raise UnreadableError("Parquet 文件不完整（缺少结尾），可能没有传完；请重新上传")


def _read(batch: pa.RecordBatch) -> Batch:
    texts: list[pl.Series] = []
    undecodable = pl.repeat(False, batch.num_rows, dtype=pl.Boolean, eager=True)
    for place, column in enumerate(batch.columns):
        text, bad = _text(column)
        texts.append(text.alias(str(place)))
        if bad is not None:
            undecodable |= bad
    numbers = pl.int_range(1, batch.num_rows + 1, dtype=pl.Int64, eager=True).alias(ROW_NUMBER)
    cells = pl.DataFrame([numbers, *texts])
    rejected: list[Rejected] = []
    if undecodable.any():
        rejected = _undecodable(cells.filter(undecodable))
        cells = cells.filter(~undecodable)
    filled = cells.filter(pl.any_horizontal(pl.col("*").exclude(ROW_NUMBER).is_not_null())) if texts else cells
    return Batch(filled, batch.num_rows, rejected, cells.height - filled.height)


def _undecodable(cells: pl.DataFrame) -> list[Rejected]:
    return [
        Rejected(row[0], "含有无法按 UTF-8 识别的字节", ",".join(cell or "" for cell in row[1:]))
        for row in cells.iter_rows()
    ]


def _text(column: pa.Array) -> tuple[pl.Series, pl.Series | None]:
    """The column as text (empty as null), and which rows are no UTF-8, if any (they show their bytes as ``\\xNN``)."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _text(column.dictionary_decode())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        column = column.cast(pa.large_binary())
    elif pa.types.is_fixed_size_binary(kind):
        column = column.cast(pa.binary()).cast(pa.large_binary())
    series = pl.Series(values=pl.from_arrow(column))
    if series.dtype != pl.Binary:
        return _empty_as_null(as_text(series)), None
    try:
        return _empty_as_null(series.cast(pl.String)), None
    except pl.exceptions.PolarsError:
        shown = [None if raw is None else raw.decode("utf-8", "backslashreplace") for raw in series]
        return _empty_as_null(pl.Series(shown, dtype=pl.String)), pl.Series([not _is_text(raw) for raw in series])


def _is_text(raw: bytes | None) -> bool:
    try:
        return raw is None or raw.decode("utf-8") is not None
    except UnicodeDecodeError:
        return False


def _empty_as_null(text: pl.Series) -> pl.Series:
    """Without NUL, which no text holds: a cell with one is garbled, and reported as such."""
    text = text.str.replace_all("\x00", _REPLACEMENT, literal=True)
    return text.set(text == "", None)
