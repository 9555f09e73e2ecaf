"""CSV as it comes: comma, RFC 4180, UTF-8 or GB18030 or UTF-16 with BOM, any mixture of line ends, gzip or not.

Belongs here: bytes → batches of text cells, in bounded memory. Does not belong here: where records end (``records``),
what the cells mean (``cells``).

The encoding is settled block by block: what is valid UTF-8 is UTF-8, else the block is whichever of UTF-8 and GB18030
fits more of its characters. Blocks are parsed by Arrow; only a block with an undecodable byte is walked by record.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv

from phqc_pipeline.extracts.header import HEADER_ROWS, MAX_COLUMNS, Known, check_width, is_header
from phqc_pipeline.extracts.records import Block, blocks, broken_number, fields, first_records, records
from phqc_pipeline.extracts.shapes import ROW_NUMBER, Batch, Header, Rejected, Table, UnreadableError

#: Bytes read at a time. A block's text, its parsed and its converted columns are in memory together, for each thread.
BLOCK_BYTES = 8 << 20
#: Bytes that come out of a .gz at most: 20 times the largest extract of a county. More is a gzip bomb.
MAX_UNZIPPED_BYTES = 20 << 30

UTF8, GB18030 = "utf-8", "gb18030"

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_GZIP = b"\x1f\x8b"
# What a file begins with that is no CSV whatever its name says.
_SIGNATURES = (
    (b"PK\x03\x04", "xlsx 工作簿（或 zip 压缩包）"),
    (b"\xd0\xcf\x11\xe0", "xls 工作簿"),
    (b"PAR1", "Parquet"),
    (_GZIP, "gz 压缩文件"),
    (b"%PDF", "PDF"),
    (b"Rar!", "rar 压缩包"),
    (b"7z\xbc\xaf", "7z 压缩包"),
)
_HEAD_BYTES = 1 << 20  # enough for the header and the titles above it
_NUL, _REPLACEMENT = b"\x00", "\ufffd".encode()
_SHOWN_CHARACTERS = 10_000  # of a rejected row
_BLANK = " \t\u3000\ufeff\x1a"  # 0x1A: the end-of-file mark of old DOS programs
_VOTE_BYTES = 1 << 20


def open_csv(path: Path, known: Known, *, zipped: bool = False) -> Table:
    """The file's header and its rows as work to do. UnreadableError when it is no such table.

    A row that cannot be split into the header's columns, or holds undecodable bytes, is rejected in its batch.
    """
    chunks = _unzipped(path) if zipped else _chunks(path)
    first = next(chunks, b"")
    _check_content(first, zipped)
    bom, encoding = next(((bom, name) for bom, name in _BOMS if first.startswith(bom)), (b"", ""))
    chunks = chain([first[len(bom) :]], chunks)
    if encoding.startswith("utf-16"):
        chunks = _transcoded(chunks, encoding)
    head, ended = _head(chunks)
    if not head.strip(_NUL + b" \t\r\n\x1a"):
        raise UnreadableError("文件是空的，没有任何内容" if _NUL not in head else "文件内容全是空字节，没有写完整")
    if not encoding and head[:4096].count(_NUL) > len(head[:4096]) // 4:
        raise UnreadableError("文件像是没有 BOM 标记的 UTF-16 编码；请另存为 UTF-8 或 GB18030 的 CSV")
    header, offset = _find_header(head, ended, known)
    table = Table(header, iter(()), first_row=header.row_number, encoding=encoding)
    table.pieces = _pieces(chain([head[offset:]], chunks), table)
    return table


def _pieces(chunks: Iterator[bytes], table: Table) -> Iterator[Callable[[], Batch]]:
    reader = _Reader(table.header)
    fixed = UTF8 if table.encoding else ""
    for block in blocks(chunks, len(table.header.names)):
        encoding = fixed or _encoding_of(block.data)
        if not table.encoding and not block.data.isascii():
            table.encoding = encoding
        elif table.encoding in (UTF8, GB18030) and encoding != table.encoding and not block.data.isascii():
            note = "文件里混有 UTF-8 和 GB18030 两种编码，已分别识别"
            if note not in table.notes:
                table.notes.append(note)
        yield partial(reader.read, block, encoding)
    table.encoding = table.encoding or UTF8


class _Reader:
    """Blocks of one file → batches. ``width``: cells Arrow expects in a row; grows when rows end in a spare comma."""

    def __init__(self, header: Header) -> None:
        self.named = header.named
        self.columns = len(header.names)
        self.width = self.columns

    def read(self, block: Block, encoding: str) -> Batch:
        block = _decoded(block, encoding)
        width = self.width
        table, odd = _parse(block.data, width)
        spare = self._spare_width(odd, table.num_rows)
        if spare > width:
            self.width = width = spare
            table, odd = _parse(block.data, width)
        return self._batch(table, odd, block, width)

    def _spare_width(self, odd: Sequence[pa.csv.InvalidRow], good: int) -> int:
        """The width that more rows than not have, when they only end in more commas than the header does."""
        widths = [row.actual_columns for row in odd if self.columns < row.actual_columns <= self.columns + 20]
        if len(widths) <= good:
            return 0
        return max(set(widths), key=widths.count)

    def _batch(self, table: pa.Table, odd: Sequence[pa.csv.InvalidRow], block: Block, width: int) -> Batch:
        span = table.num_rows + len(odd)
        skipped = np.fromiter((row.number - 1 for row in odd), np.int64, len(odd))
        numbers = np.delete(np.arange(1, span + 1), skipped)
        cells = pl.DataFrame(pl.from_arrow(table)).insert_column(0, pl.Series(ROW_NUMBER, numbers, pl.Int64))
        mended, rejected, blank = self._odd_rows(odd, block)
        cells, spilled = self._without_spare(cells, width)
        rejected += spilled
        if mended:
            names = {ROW_NUMBER: pl.Int64(), **{str(place): pl.String() for place in range(self.columns)}}
            cells = pl.concat([cells, pl.DataFrame(mended, schema=names, orient="row")]).sort(ROW_NUMBER)
        filled = _without_blank(cells)
        return Batch(filled, span, rejected, blank + cells.height - filled.height)

    def _without_spare(self, cells: pl.DataFrame, width: int) -> tuple[pl.DataFrame, list[Rejected]]:
        """The header's columns; a row with anything in the spare ones behind them is rejected."""
        if width == self.columns:
            return cells, []
        spare = [str(place) for place in range(self.columns, width)]
        full = pl.any_horizontal(pl.col(spare).is_not_null())
        rejected = [
            Rejected(row[0], self._reason(width), _shown(",".join(cell or "" for cell in row[1:])))
            for row in cells.filter(full).iter_rows()
        ]
        return cells.filter(~full).drop(spare), rejected

    def _odd_rows(
        self, odd: Sequence[pa.csv.InvalidRow], block: Block
    ) -> tuple[list[tuple[int | str | None, ...]], list[Rejected], int]:
        """Rows of another width than the header's: those that differ by empty cells, rejected ones, blank ones."""
        mended: list[tuple[int | str | None, ...]] = []
        rejected: list[Rejected] = []
        blank = 0
        for row in odd:
            broken = broken_number(row.text)
            if broken is not None and broken < len(block.broken):
                reason, raw = block.broken[broken]
                rejected.append(Rejected(row.number, reason, _shown(raw.decode(UTF8))))
                continue
            cells = fields(row.text)
            if not any(cell.strip(_BLANK) for cell in cells):
                blank += 1
            elif len(cells) >= self.named and not any(cells[self.columns :]):
                filled: list[str | None] = [cell or None for cell in cells[: self.columns]]
                mended.append((row.number, *filled, *[None] * (self.columns - len(filled))))
            else:
                rejected.append(Rejected(row.number, self._reason(len(cells)), _shown(row.text)))
        return mended, rejected, blank

    def _reason(self, cells: int) -> str:
        return f"有 {cells} 列，表头是 {self.columns} 列，无法对应"


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(BLOCK_BYTES):
                yield chunk
    except OSError as error:
        raise UnreadableError(f"文件无法读取（{error.strerror}）；请检查权限和磁盘", passing=True) from None


def _unzipped(path: Path) -> Iterator[bytes]:
    total = 0
    try:
        with path.open("rb") as raw:
            start = raw.read(2)
            if start and start != _GZIP:
                raise UnreadableError("扩展名是 .csv.gz，内容却不是 gz 压缩文件；请核对文件名或重新压缩")
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) as file:
                while chunk := file.read(BLOCK_BYTES):
                    total += len(chunk)
                    if total > MAX_UNZIPPED_BYTES:
                        raise UnreadableError(f"解压后超过 {MAX_UNZIPPED_BYTES >> 30} GB，疑为异常文件，未读取")
                    yield chunk
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UnreadableError("gz 压缩文件不完整或已损坏，解压不出全部内容；请重新导出或重新上传") from None
    except OSError as error:
        raise UnreadableError(f"文件无法读取（{error.strerror}）；请检查权限和磁盘", passing=True) from None


def _transcoded(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """UTF-16 as UTF-8. What is no character becomes bytes that are no UTF-8, so that its row is rejected."""
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for chunk in chunks:
        yield decoder.decode(chunk).encode(UTF8, "surrogatepass")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        yield b"\xff"  # an odd byte at the end: the file was cut


def _check_content(first: bytes, zipped: bool) -> None:
    ending = ".csv.gz" if zipped else ".csv"
    found = next((kind for signature, kind in _SIGNATURES if first.startswith(signature)), None)
    if found:
        raise UnreadableError(f"扩展名是 {ending}，内容却是 {found}；请改正扩展名，或另存为 CSV")
    start = first[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<html", b"<!doctype", b"<table", b"<?xml")):
        raise UnreadableError(f"扩展名是 {ending}，内容却是网页或 XML；请另存为 CSV")


def _head(chunks: Iterator[bytes]) -> tuple[bytes, bool]:
    """The first bytes, enough for the header; whether they are the whole file."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= _HEAD_BYTES:
            return head, False
    return head, True


def _find_header(head: bytes, ended: bool, known: Known) -> tuple[Header, int]:
    """The header, and where in ``head`` the rows below it begin."""
    encoding = _encoding_of(head)
    seen: list[str] = []
    for row, (record, end) in enumerate(first_records(head, ended, HEADER_ROWS), start=1):
        if record.count(b",") >= MAX_COLUMNS:
            check_width(record.count(b",") + 1)
        text = record.decode(encoding, "replace").rstrip("\r\n")
        names = [cell.replace("\x00", "").strip(_BLANK + "\r\n") for cell in fields(text)]
        if is_header(names, known):
            return Header(row, tuple(names)), end
        seen.append(text)
    raise UnreadableError(_no_header(seen, known))


def _no_header(rows: Sequence[str], known: Known) -> str:
    said = f"前 {HEADER_ROWS} 行里没有找到表头（表头至少要有两个认识的列名，如“记录编号”“姓名”）"
    for separator, name in (("\t", "制表符"), (";", "分号"), ("|", "竖线")):
        if any(is_header([cell.strip(' "') for cell in row.split(separator)], known) for row in rows):
            return f"{said}；列与列之间像是用{name}分隔，请改用逗号"
    return f"{said}；请核对是否导错了表，或删掉了表头"


def _encoding_of(data: bytes) -> str:
    """UTF-8 if ``data`` is that, else whichever of UTF-8 and GB18030 more of its non-ASCII text fits."""
    try:
        data.decode(UTF8)
        return UTF8
    except UnicodeDecodeError as error:
        sample = data[max(0, error.start - _VOTE_BYTES) : error.start + _VOTE_BYTES]
    text = sample.decode(UTF8, "replace")
    bad = text.count("\ufffd")
    good = len(text) - len(text.encode("ascii", "ignore")) - bad
    return UTF8 if good > bad else GB18030


def _decoded(block: Block, encoding: str) -> Block:
    """The block in UTF-8 without NUL; records with undecodable bytes replaced by a mark."""
    data = block.data
    block = Block(data, [(why, raw.decode(encoding, "backslashreplace").encode(UTF8)) for why, raw in block.broken])
    try:
        text = data.decode(encoding)
        if encoding != UTF8:
            data = text.encode(UTF8)
    except UnicodeDecodeError:
        block = _without_undecodable(block, encoding)
        data = block.data
    if _NUL in data:
        data = data.replace(_NUL, _REPLACEMENT)  # a cell with NUL is a garbled cell, and reported as one
    return Block(data, block.broken)


def _without_undecodable(block: Block, encoding: str) -> Block:
    found = Block(b"", list(block.broken))
    parts: list[bytes] = []
    reason = f"含有无法按 {encoding.upper()} 识别的字节"
    for record in records(block.data):
        try:
            parts.append(record.decode(encoding).encode(UTF8))
        except UnicodeDecodeError:
            raw = record.rstrip(b"\r\n").decode(encoding, "backslashreplace").encode(UTF8)
            parts.append(found.mark(reason, raw))
    found.data = b"".join(parts)
    return found


def _parse(data: bytes, width: int) -> tuple[pa.Table, list[pa.csv.InvalidRow]]:
    """Cells of the rows of that width, and the other rows (blank lines count as rows with no cell filled)."""
    odd: list[pa.csv.InvalidRow] = []

    def keep(row: pa.csv.InvalidRow) -> str:
        odd.append(row)
        return "skip"

    names = [str(place) for place in range(width)]
    table = pa.csv.read_csv(
        pa.BufferReader(data),
        read_options=pa.csv.ReadOptions(use_threads=False, column_names=names, block_size=len(data) + 1),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=keep),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    return table, odd


def _without_blank(cells: pl.DataFrame) -> pl.DataFrame:
    """Without rows that have nothing in any cell. Only rows with nothing in the first need looking at."""
    nothing = pl.col("*").exclude(ROW_NUMBER).str.strip_chars(_BLANK).fill_null("") == ""
    bare = cells.filter(pl.col("0").str.strip_chars(_BLANK).fill_null("") == "")
    if bare.is_empty():
        return cells
    blank = bare.filter(pl.all_horizontal(nothing))[ROW_NUMBER]
    return cells.filter(~pl.col(ROW_NUMBER).is_in(blank.implode())) if len(blank) else cells


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
