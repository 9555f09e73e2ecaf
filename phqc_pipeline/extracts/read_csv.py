"""CSV as it comes: comma, RFC 4180, UTF-8 or GB18030 or UTF-16 with BOM, any mixture of line ends, gzip or not.

Belongs here: bytes → batches of text cells, in bounded memory. Does not belong here: where records end (``records``),
what the cells mean (``cells``).

The encoding is settled block by block, by which of UTF-8 and GB18030 fits the block's characters. Blocks are parsed by
Arrow; only a block with an undecodable byte is walked record by record.
"""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv

from phqc_pipeline.extracts.header import HEADER_ROWS, MAX_COLUMNS, Known, check_width, is_header
from phqc_pipeline.extracts.records import Block, blocks, broken_number, fields, first_records, records
from phqc_pipeline.extracts.shapes import ROW_NUMBER, Batch, Header, Rejected, Table, UnreadableError

#: Bytes read and parsed at a time: what fits the processor's cache takes Arrow half the time.
BLOCK_BYTES = 1 << 20
#: Blocks converted together: their texts and columns are in memory at once, for each thread.
BATCH_BLOCKS = 8
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
_HEAD_BYTES = 1 << 20  # enough for the header and the titles above it; more is read when it is not
_MAX_HEAD_BYTES = 64 << 20
_NUL, _REPLACEMENT = b"\x00", "\ufffd".encode()
_SHOWN_CHARACTERS = 10_000  # of a rejected row
_BLANK = " \t\r\n\u3000\ufeff\x1a"  # 0x1A: the end-of-file mark of old DOS programs
_VOTE_BYTES = 32 << 10  # around the first byte that is no UTF-8; more would only cost time
_FEW_CHARACTERS = 8
_THREE_BYTES = re.compile("[\u0800-\U0010ffff]")
_UNLIKELY = re.compile("[\u0400-\u07ff]")  # of characters of two bytes: all but Latin, signs and Greek


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
    header, chunks, seen = _find_header(chunks, known, checked=bool(bom))
    table = Table(header, iter(()), first_row=header.row_number, encoding=encoding or seen)
    table.pieces = _pieces(chunks, table)
    return table


def _pieces(chunks: Iterator[bytes], table: Table) -> Iterator[Callable[[], Batch]]:
    reader = _Reader(table.header)
    found = _with_encodings(blocks(chunks, len(table.header.names)), table)
    while some := list(islice(found, BATCH_BLOCKS)):
        yield partial(reader.read, some)
    table.encoding = table.encoding or UTF8


def _with_encodings(found: Iterator[Block], table: Table) -> Iterator[tuple[Block, str]]:
    transcoded = table.encoding not in ("", UTF8, GB18030)  # a BOM settled it
    for block in found:
        if transcoded:
            yield block, UTF8
            continue
        encoding = _encoding_of(block.data, table.encoding)
        if not block.data.isascii():
            if table.encoding not in ("", encoding) and not table.notes:
                table.notes.append("文件里混有 UTF-8 和 GB18030 两种编码，已分别识别")
            table.encoding = table.encoding or encoding
        yield block, encoding


class _Reader:
    """Blocks of one file → batches. ``width``: cells Arrow expects in a row; grows when rows end in a spare comma."""

    def __init__(self, header: Header) -> None:
        self.named = header.named
        self.columns = len(header.names)
        self.width = self.columns

    def read(self, found: Sequence[tuple[Block, str]]) -> Batch:
        return _joined([self._read(_decoded(block, encoding)) for block, encoding in found])

    def _read(self, block: Block) -> Batch:
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
        cells, spilled = self._without_spare(cells, block, width)
        rejected = sorted([*rejected, *spilled], key=lambda row: row.row_number)
        if mended:
            names = {ROW_NUMBER: pl.Int64(), **{str(place): pl.String() for place in range(self.columns)}}
            cells = pl.concat([cells, pl.DataFrame(mended, schema=names, orient="row")]).sort(ROW_NUMBER)
        filled = _without_blank(cells)
        return Batch(filled, span, rejected, blank + cells.height - filled.height)

    def _without_spare(self, cells: pl.DataFrame, block: Block, width: int) -> tuple[pl.DataFrame, list[Rejected]]:
        """The header's columns; a row with anything in the spare ones behind them is rejected."""
        if width == self.columns:
            return cells, []
        spare = [str(place) for place in range(self.columns, width)]
        full = pl.any_horizontal(pl.col(spare).is_not_null())
        numbers = cells.filter(full)[ROW_NUMBER]
        delivered = list(records(block.data)) if len(numbers) else []
        raws = (delivered[number - 1].decode(UTF8).rstrip("\r\n") for number in numbers)
        rejected = [
            Rejected(number, self._reason(width), _shown(raw)) for number, raw in zip(numbers, raws, strict=True)
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


def _joined(batches: Sequence[Batch]) -> Batch:
    """One batch of several, rows numbered through."""
    cells: list[pl.DataFrame] = []
    rejected: list[Rejected] = []
    span = 0
    for batch in batches:
        cells.append(batch.cells.with_columns(pl.col(ROW_NUMBER) + span))
        rejected += [Rejected(span + row.row_number, row.reason, row.raw) for row in batch.rejected]
        span += batch.span
    return Batch(pl.concat(cells, rechunk=True), span, rejected, sum(batch.blank for batch in batches))


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
            if not _GZIP.startswith(start):
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


def _find_header(chunks: Iterator[bytes], known: Known, *, checked: bool) -> tuple[Header, Iterator[bytes], str]:
    """The header, the bytes below it, and the encoding if it shows already. ``checked``: a BOM tells the encoding."""
    head, ended = b"", False
    while True:
        chunk = next(chunks, None)
        ended = chunk is None
        head += chunk or b""
        if len(head) < _HEAD_BYTES and not ended:
            continue
        if not head.strip(_NUL + b" \t\r\n\x1a"):
            raise UnreadableError("文件内容全是空字节，没有写完整" if _NUL in head else "文件是空的，没有任何内容")
        if not checked and _is_bare_utf16(head[:4096]):
            raise UnreadableError("文件像是没有 BOM 标记的 UTF-16 编码；请另存为 UTF-8 或 GB18030 的 CSV")
        found = _header_in(head, ended, known)
        if found is not None:
            header, offset = found
            lines = _whole_lines(head, ended)
            seen = "" if lines.isascii() else _encoding_of(lines)
            return header, chain([head[offset:]], chunks), seen


def _header_in(head: bytes, ended: bool, known: Known) -> tuple[Header, int] | None:
    """The header in the first bytes of a file, and where it ends; None when more bytes are needed to tell."""
    encoding = _encoding_of(_whole_lines(head, ended))
    seen: list[str] = []
    for row, (record, end) in enumerate(first_records(head, ended, HEADER_ROWS), start=1):
        if record.count(b",") >= MAX_COLUMNS:
            check_width(record.count(b",") + 1)
        text = record.decode(encoding, "replace").rstrip("\r\n")
        names = [cell.replace("\x00", "").strip(_BLANK) for cell in fields(text)]
        if is_header(names, known):
            return Header(row, tuple(names)), end
        seen.append(text)
    if not ended and len(seen) < HEADER_ROWS and len(head) <= _MAX_HEAD_BYTES:
        return None
    raise UnreadableError(_no_header(seen, known))


def _whole_lines(head: bytes, ended: bool) -> bytes:
    """Without a last line that may be cut within a character."""
    return head if ended else head[: max(head.rfind(b"\n"), head.rfind(b"\r")) + 1]


def _is_bare_utf16(start: bytes) -> bool:
    """Whether every other byte is NUL, as in ASCII written as UTF-16 (NULs anywhere else are damage)."""
    one, other = start[0::2].count(_NUL), start[1::2].count(_NUL)
    return max(one, other) > len(start) // 8 and min(one, other) < max(one, other) // 8


def _no_header(rows: Sequence[str], known: Known) -> str:
    said = f"前 {HEADER_ROWS} 行里没有找到表头（表头至少要有两个认识的列名，如“记录编号”“姓名”）"
    for separator, name in (("\t", "制表符"), (";", "分号"), ("|", "竖线")):
        if any(is_header([cell.strip(' "') for cell in row.split(separator)], known) for row in rows):
            return f"{said}；列与列之间像是用{name}分隔，请改用逗号"
    return f"{said}；请核对是否导错了表，或删掉了表头"


def _encoding_of(data: bytes, before: str = "") -> str:
    """UTF-8 or GB18030: whichever fits. ``before``: what the file's text above was in, if that is known.

    Chinese in UTF-8 has characters of three bytes, and is no valid GB18030 for long; Chinese in GB18030 is hardly ever
    valid UTF-8. But a few characters may be either: they go with the text above. Without text above, characters of two
    bytes are UTF-8 when they are signs of western languages (±, °, é), GB18030 when they would be Hebrew or the like.
    """
    try:
        text = data.decode(UTF8)
    except UnicodeDecodeError as error:
        sample = data[max(0, error.start - _VOTE_BYTES) : error.start + _VOTE_BYTES].decode(UTF8, "replace")
        bad = sample.count("\ufffd")
        good = len(sample) - len(sample.encode("ascii", "ignore")) - bad
        return UTF8 if good > bad else GB18030
    if data.isascii():
        return before or UTF8
    if before and len(text) - len(text.encode("ascii", "ignore")) < _FEW_CHARACTERS and _is_valid(data, before):
        return before
    if _THREE_BYTES.search(text):
        return UTF8
    return GB18030 if _UNLIKELY.search(text) and _is_valid(data, GB18030) else UTF8


def _is_valid(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


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
    """Cells of the rows of that width, and the other rows (blank lines count as rows with no cell filled).

    Arrow gets the block whole: where it cuts blocks itself it drops a line feed behind a carriage return, in cells too.
    """
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
    """Without rows that have nothing in any cell; column by column only those with nothing so far are looked at."""
    rows: pl.Series | None = None
    for name in cells.columns:
        if name == ROW_NUMBER:
            continue
        text = cells[name] if rows is None else cells[name].gather(rows)
        nothing = text.is_null() | (text.str.strip_chars(_BLANK) == "").fill_null(False)
        rows = nothing.arg_true() if rows is None else rows.filter(nothing)
        if rows.is_empty():
            return cells
    if rows is None:
        return cells
    return cells.filter(~pl.int_range(cells.height, eager=True).is_in(rows.cast(pl.Int64).implode()))


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
