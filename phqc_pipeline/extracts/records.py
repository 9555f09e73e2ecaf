"""CSV bytes cut into blocks of whole records, and records that cannot be cut made harmless.

Belongs here: where a record of RFC 4180 ends, in UTF-8 or GB18030 bytes, in whatever mixture of line ends.
Does not belong here: decoding, columns, header (``read_csv``).

A quote, a comma and a line end are never part of a longer character in UTF-8 or GB18030 (their second to fourth bytes
are 0x30 and above), so records are cut before decoding: an undecodable byte then costs its own record alone.

A block without quotes is cut at its last line end; one whose quotes all stand where RFC 4180 has them is cut where an
even number of quotes has passed. Only a block with other quotes is walked record by record. A quote that is never
closed would swallow everything behind it, so it costs the line it stands in and reading goes on with the next line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

#: A record longer than this is taken for one with an unclosed quote. The longest form, every text full, has 0.15 MB.
MAX_RECORD_BYTES = 256 << 10
#: A line longer than this is not kept; one without end would otherwise fill the memory.
MAX_LINE_BYTES = 4 << 20

UNCLOSED_QUOTE = "引号没有配对，无法分列"
ENDLESS_LINE = "一行超过 4 MB，无法分列"

# Below this number of columns a text of several lines may well hold as many commas as a row of the table.
_FEW_COLUMNS = 8
_COMMA, _QUOTE, _LF, _CR = b",", b'"', b"\n", b"\r"
_MARK = b"\x1abroken-row-%d\n"
_MARKED = re.compile(r"\x1abroken-row-(\d+)")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_QUOTED = rb'"[^"]*(?:""[^"]*)*"[ \t]*'
_QUOTED_FIELD = re.compile(_QUOTED)
_FIELD = rb'(?:%s|[^",\r\n][^,\r\n]*)?' % _QUOTED
_RECORD = re.compile(rb"%s(?:,%s)*(?=[\r\n]|\Z)" % (_FIELD, _FIELD))
_TEXT_FIELD = re.compile(r'(?:"((?:[^"]|"")*)"[ \t]*|([^,]*))(?:,|\Z)')


@dataclass
class Block:
    """Whole records. In place of one that cannot be cut (or decoded) stands a mark: a line of a single field.

    ``broken``: for the n-th mark the reason and the bytes as delivered.
    """

    data: bytes
    broken: list[tuple[str, bytes]] = field(default_factory=list)

    def mark(self, reason: str, raw: bytes) -> bytes:
        self.broken.append((reason, raw))
        return _MARK % (len(self.broken) - 1)


def broken_number(text: str) -> int | None:
    """Which broken record a line stands for, or None if it is no mark."""
    found = _MARKED.fullmatch(text)
    return int(found[1]) if found else None


def blocks(chunks: Iterable[bytes], columns: int) -> Iterator[Block]:
    """Blocks of about a chunk's size, in order; together all records of ``chunks``, each whole.

    ``columns`` of the table: a record of several lines with that many commas within quotes is taken for two rows, the
    first of which has an unclosed quote.
    """
    rest, skipping = b"", False
    for chunk, last in _with_last(chunks):
        data = rest + chunk
        if skipping:
            found = _LINE_END.search(data)
            data, skipping = (data[found.end() :], False) if found else (b"", True)
        end = _clean_end(data, last, columns)
        if end is None:
            block, end, skipping = _mend(data, last, columns)
        else:
            block = Block(data[:end])
        if block.data:
            yield block
        rest = data[end:]


def first_records(data: bytes, last: bool, limit: int) -> Iterator[tuple[bytes, int]]:
    """The first records, each with where it ends in ``data``; a line with a broken quote counts as a record.

    Unless ``data`` is the whole file, a record that more data could prolong ends the search.
    """
    at = 0
    for _ in range(limit):
        if at >= len(data):
            return
        end = _record_end(data, at, last, 0)
        if end is None:
            return
        if end == 0:
            line = _LINE_END.search(data, at)
            end = line.end() if line else len(data)
        yield data[at:end], end
        at = end


def records(data: bytes) -> Iterator[bytes]:
    """The records of a block, each with its line end. The block's quotes are well placed (``blocks`` saw to it)."""
    if _QUOTE not in data:
        yield from data.splitlines(keepends=True)
        return
    at = 0
    while at < len(data):
        found = _RECORD.match(data, at)
        end = found.end() if found else len(data)
        line_end = _LINE_END.match(data, end)
        end = line_end.end() if line_end else len(data)
        yield data[at:end]
        at = end


def fields(text: str) -> list[str]:
    """One record's cells (without its line end), quotes taken off."""
    found: list[str] = []
    at = 0
    while True:
        match = _TEXT_FIELD.match(text, at)
        if match is None:  # text behind a closing quote: the rest is one cell
            return [*found, text[at:]]
        found.append(match[2] if match[1] is None else match[1].replace('""', '"'))
        at = match.end()
        if at >= len(text) and not match[0].endswith(","):
            return found


def _with_last(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    held: bytes | None = None
    for chunk in chunks:
        if held is not None:
            yield held, False
        held = chunk
    if held is not None:
        yield held, True


def _clean_end(data: bytes, last: bool, columns: int) -> int | None:
    """Up to where ``data`` is whole records with well-placed quotes; None when it has to be walked."""
    if _QUOTE not in data:
        plain = _last_line_end(data, 0, len(data), last)
        return None if len(data) - plain > MAX_LINE_BYTES else plain
    array = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(array == _QUOTE[0])
    lines = np.flatnonzero((array == _LF[0]) | (array == _CR[0]))
    inside = np.searchsorted(quotes, lines) % 2 == 1
    end: int | None
    if last:
        end = len(data) if len(quotes) % 2 == 0 else None
    else:
        ends = lines[~inside]
        if len(ends) and ends[-1] == len(data) - 1 and data.endswith(_CR):
            ends = ends[:-1]  # its line feed may come with the next chunk
        end = int(ends[-1]) + 1 if len(ends) else 0
        if len(data) - end > MAX_RECORD_BYTES:
            end = None
    if end is None or not _well_placed(array, quotes[: np.searchsorted(quotes, end)]):
        return None
    return None if _swallowed(array, quotes, lines[lines < end], inside[lines < end], columns) else end


def _well_placed(array: np.ndarray, quotes: np.ndarray) -> bool:
    """Every opening quote begins a field and every closing one ends it (``""`` counts as a close and an open)."""
    borders = np.frombuffer(_COMMA + _LF + _CR + _QUOTE, np.uint8)
    before = quotes[0::2] - 1
    after = quotes[1::2] + 1
    before, after = before[before >= 0], after[after < len(array)]
    return bool(np.isin(array[before], borders).all() and np.isin(array[after], borders).all())


def _swallowed(array: np.ndarray, quotes: np.ndarray, lines: np.ndarray, inside: np.ndarray, columns: int) -> bool:
    """Whether a record of several lines holds as many commas within quotes as a whole row has between its cells.

    An unclosed quote that meets another one in the same column further down gives a record of the right width; the
    rows it swallowed betray it.
    """
    if columns < _FEW_COLUMNS or not inside.any():
        return False
    commas = np.flatnonzero(array == _COMMA[0])
    quoted = commas[np.searchsorted(quotes, commas) % 2 == 1]
    ends = lines[~inside]
    held = np.bincount(np.searchsorted(ends, quoted), minlength=len(ends) + 1)
    several = np.unique(np.searchsorted(ends, lines[inside]))
    return bool((held[several] >= columns - 1).any())


def _mend(data: bytes, last: bool, columns: int) -> tuple[Block, int, bool]:
    """Walk ``data`` record by record; the block, where it ends in ``data``, whether the line there is to be skipped."""
    block, parts, at, size = Block(b""), list[bytes](), 0, len(data)
    while at < size:
        quote = data.find(_QUOTE, at)
        plain = _last_line_end(data, at, size if quote < 0 else quote, last)
        if plain > at:  # lines before the next quote need no looking at
            parts.append(data[at:plain])
            at = plain
            continue
        line = _LINE_END.search(data, at)
        if line is None and not last and size - at > MAX_LINE_BYTES:
            parts.append(block.mark(ENDLESS_LINE, data[at : at + MAX_RECORD_BYTES]))
            block.data = b"".join(parts)
            return block, size, True
        end = _record_end(data, at, last, columns)
        if end is None:
            break
        if end > 0:
            parts.append(data[at:end])
        else:
            end = line.end() if line else size
            parts.append(block.mark(UNCLOSED_QUOTE, data[at : line.start() if line else size]))
        at = end
    block.data = b"".join(parts)
    return block, at, False


def _last_line_end(data: bytes, start: int, stop: int, last: bool) -> int:
    """Behind the last line end in ``data[start:stop]`` (all of it when the file ends there); ``start`` if none."""
    if stop == len(data) and last:
        return stop
    carriage = data.rfind(_CR, start, min(stop, len(data) - 1))
    found = max(data.rfind(_LF, start, stop), carriage)
    return found + 1 if found >= 0 else start


def _record_end(data: bytes, at: int, last: bool, columns: int) -> int | None:
    """Behind the record at ``at`` and its line end; 0 if it is broken; None if more data must come to tell."""
    found = _RECORD.match(data, at)
    end = found.end() if found else len(data)
    if not last and data[end:] in (b"", _CR):  # more may come: of the record, or the LF after its CR
        return None if len(data) - at <= MAX_RECORD_BYTES else 0
    if found is None or end - at > MAX_RECORD_BYTES:
        return 0
    if columns >= _FEW_COLUMNS and _LINE_END.search(data, at, end):
        quoted = sum(part.count(_COMMA) for part in _QUOTED_FIELD.findall(data, at, end))
        if quoted >= columns - 1:
            return 0
    line_end = _LINE_END.match(data, end)
    return line_end.end() if line_end else end
