"""Just enough of the old compound file (OLE2) and of BIFF to know what a ``.xls`` file is and where its errors are.

Belongs here: whether a workbook is encrypted, its date epoch, its error cells: what the workbook library does not
tell. Does not belong here: values of cells (the library reads those).

After [MS-CFB] (compound files) and [MS-XLS] (records of the workbook stream).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_FREE_SECTORS = 0xFFFFFFFA  # from here on a sector number means: end of chain, free, part of the table itself
_HEADER_BYTES = 512
_HEADER_CHAIN = 109  # entries of the sector table's own list that stand in the header

_BOF, _EOF, _FILEPASS, _DATE_1904, _BOUNDSHEET = 0x0809, 0x000A, 0x002F, 0x0022, 0x0085
_FORMULA, _BOOLERR = 0x0006, 0x0205
_ERRORS = {
    0x00: "#NULL!",
    0x07: "#DIV/0!",
    0x0F: "#REF!",
    0x17: "#VALUE!",
    0x1D: "#NAME?",
    0x24: "#NUM!",
    0x2A: "#N/A",
}


class DamagedError(Exception):
    """The compound file breaks off or points outside itself."""


@dataclass
class Workbook:
    """What the workbook stream says: per sheet, in the order of its list, the error cells (row, column) → text."""

    encrypted: bool = False
    epoch_1904: bool = False
    sheets: list[dict[tuple[int, int], str]] = field(default_factory=list)


def streams(data: bytes) -> dict[str, bytes]:
    """The streams of a compound file by name. DamagedError when it is cut or inconsistent."""
    try:
        return dict(_streams(data))
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise DamagedError from error


def workbook(stream: bytes) -> Workbook:
    """Read a workbook stream (``Workbook``, or ``Book`` before 1997)."""
    found = Workbook()
    starts: list[int] = []
    for kind, body, _ in _records(stream, 0):
        if kind == _FILEPASS:
            found.encrypted = True
            return found
        if kind == _DATE_1904:
            found.epoch_1904 = body[:2] == b"\x01\x00"
        elif kind == _BOUNDSHEET:
            starts.append(struct.unpack_from("<I", body)[0])
        elif kind == _EOF:
            break
    found.sheets = [_errors(stream, start) for start in starts]
    return found


def _errors(stream: bytes, start: int) -> dict[tuple[int, int], str]:
    errors: dict[tuple[int, int], str] = {}
    depth = 0
    for kind, body, _ in _records(stream, start):
        if kind == _BOF:
            depth += 1  # a chart inside the sheet has its own BOF and EOF
        elif kind == _EOF:
            depth -= 1
            if depth <= 0:
                break
        elif kind == _BOOLERR and len(body) >= 8 and body[7] == 1:
            errors[struct.unpack_from("<HH", body)] = _ERRORS.get(body[6], "#N/A")
        elif kind == _FORMULA and len(body) >= 14 and body[12:14] == b"\xff\xff" and body[6] == 2:
            errors[struct.unpack_from("<HH", body)] = _ERRORS.get(body[8], "#N/A")
    return errors


def _records(stream: bytes, start: int) -> Iterator[tuple[int, bytes, int]]:
    at = start
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        yield kind, stream[at + 4 : at + 4 + length], at
        at += 4 + length


def _streams(data: bytes) -> Iterator[tuple[str, bytes]]:
    sector_shift, mini_shift = struct.unpack_from("<HH", data, 30)
    directory, _, mini_cutoff, mini_start = struct.unpack_from("<IIII", data, 48)
    if sector_shift not in (9, 12) or mini_shift > sector_shift:
        raise DamagedError
    size, mini_size = 1 << sector_shift, 1 << mini_shift
    table = _sector_table(data, size)
    entries = _chain(data, table, directory, size, _HEADER_BYTES if size == _HEADER_BYTES else size)
    mini_table: list[int] = []
    mini = b""
    offset = _HEADER_BYTES if size == _HEADER_BYTES else size
    if mini_start < _FREE_SECTORS:
        packed = _chain(data, table, mini_start, size, offset)
        mini_table = list(struct.unpack(f"<{len(packed) // 4}I", packed))
    for at in range(0, len(entries) - 127, 128):
        name_bytes, kind = struct.unpack_from("<HB", entries, at + 64)
        start, length = struct.unpack_from("<II", entries, at + 116)
        name = entries[at : at + max(0, name_bytes - 2)].decode("utf-16-le")
        if kind == 5:
            mini = _chain(data, table, start, size, offset) if start < _FREE_SECTORS else b""
        elif kind == 2:
            small = length < mini_cutoff
            whole = _chain(mini, mini_table, start, mini_size, 0) if small else _chain(data, table, start, size, offset)
            if len(whole) < length:
                raise DamagedError
            yield name, whole[:length]


def _sector_table(data: bytes, size: int) -> list[int]:
    offset = _HEADER_BYTES if size == _HEADER_BYTES else size
    sectors = list(struct.unpack_from(f"<{_HEADER_CHAIN}I", data, 76))
    more = struct.unpack_from("<I", data, 68)[0]
    for _ in range(len(data) // size + 1):
        if more >= _FREE_SECTORS:
            break
        block = struct.unpack_from(f"<{size // 4}I", data, offset + more * size)
        sectors += block[:-1]
        more = block[-1]
    table: list[int] = []
    for sector in sectors:
        if sector < _FREE_SECTORS:
            table += struct.unpack_from(f"<{size // 4}I", data, offset + sector * size)
    return table


def _chain(data: bytes, table: list[int], start: int, size: int, offset: int) -> bytes:
    parts: list[bytes] = []
    sector = start
    while sector < _FREE_SECTORS:
        part = data[offset + sector * size : offset + (sector + 1) * size]
        if not part or len(parts) > len(table):
            raise DamagedError
        parts.append(part)
        sector = table[sector]
    return b"".join(parts)
