"""Which row is the header, and which column is which field (contract, section 2).

Belongs here: the headers a form or report is known by, finding the header row, mapping columns.
Does not belong here: reading rows (the readers), converting cells (``cells``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from phqc_pipeline.catalogue.dictionary import header_key
from phqc_pipeline.catalogue.model import Form
from phqc_pipeline.extracts.shapes import UnreadableError

#: The header is looked for in the first rows of a file, and is the first row with this many known headers.
HEADER_ROWS = 20
KNOWN_HEADERS = 2
#: More columns than this is no table of any form (the widest has some 250), but a damaged or hostile file.
MAX_COLUMNS = 2_000

# Texts that stand around a header without being part of it: a mark for required columns, a unit in brackets.
_STARS = "*＊★※"
_UNIT = re.compile(r"(.+?)[(（\[【]([^()（）\[\]【】]+)[)）\]】]")


@dataclass(frozen=True)
class Known:
    """Every header that is known, as compared → field name; and per field the unit that may follow in brackets."""

    fields: Mapping[str, str]
    units: Mapping[str, str]

    def field(self, text: str) -> str | None:
        """The field a column with this header holds, or None."""
        key = header_key(text.strip(_STARS + " \t\r\n\u3000"))
        found = self.fields.get(key)
        if found is None and (unit := _UNIT.fullmatch(key)):
            named = self.fields.get(unit[1])
            if named is not None and self.units.get(named) == unit[2]:
                return named
        return found


@dataclass(frozen=True)
class Mapped:
    """Columns of one file: field → positions (several when headers repeat), unknown header → position."""

    fields: Mapping[str, tuple[int, ...]]
    unknown: Mapping[str, int]

    @property
    def repeated(self) -> dict[str, tuple[int, ...]]:
        return {name: places for name, places in self.fields.items() if len(places) > 1}


def known_headers(columns: Iterable[tuple[str, Iterable[str], str]]) -> Known:
    """Known headers of ``(name, headers, unit)``; the catalogue sees to it that none stands for two fields."""
    fields: dict[str, str] = {}
    units: dict[str, str] = {}
    for name, headers, unit in columns:
        for header in headers:
            fields.setdefault(header_key(header.strip(_STARS)), name)
        if unit:
            units[name] = header_key(unit)
    return Known(fields, units)


def form_headers(form: Form) -> Known:
    return known_headers((column.name, column.headers, column.unit) for column in form.fields)


def is_header(row: Sequence[str], known: Known) -> bool:
    """Whether the row names at least two different fields."""
    found: set[str] = set()
    for text in row:
        name = known.field(text) if text else None
        if name is not None:
            found.add(name)
            if len(found) >= KNOWN_HEADERS:
                return True
    return False


def check_width(columns: int) -> None:
    if columns > MAX_COLUMNS:
        raise UnreadableError(f"有 {columns} 列，超过上限 {MAX_COLUMNS} 列；请核对文件是否完好，只导出该表的列")


def map_columns(names: Sequence[str], known: Known) -> Mapped:
    """Which column holds which field. Unknown columns keep their header, repeated ones with their number behind.

    A column without a header is unknown as well, named by its position (第5列): its cells are kept.
    """
    fields: dict[str, list[int]] = {}
    unknown: dict[str, int] = {}
    for place, text in enumerate(names):
        name = known.field(text) if text else None
        if name is not None:
            fields.setdefault(name, []).append(place)
            continue
        label = text or f"第{place + 1}列"
        unknown[label if label not in unknown else f"{label}（第{place + 1}列）"] = place
    return Mapped({name: tuple(places) for name, places in fields.items()}, unknown)
