"""Which row is the header, and which column is which field (contract, section 2).

Belongs here: the headers a form or report is known by, finding the header row, mapping columns, those of a wide export
to field and visit. Does not belong here: reading rows (the readers), converting cells (``cells``), turning wide rows
into records (``wide``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute  # Known has a method called field
from functools import lru_cache

from phqc_pipeline.catalogue.delivered import Repairs, Repeats, SourceMap
from phqc_pipeline.catalogue.deliveries import header_key, marks
from phqc_pipeline.catalogue.model import Form
from phqc_pipeline.catalogue.repairing import own_units
from phqc_pipeline.extracts.shapes import UnreadableError

#: The header is looked for in the first rows of a file, and is the first row with this many known headers.
HEADER_ROWS = 20
KNOWN_HEADERS = 2
#: More columns than this is no table of any form (the widest has some 250), but a damaged or hostile file.
MAX_COLUMNS = 2_000

#: The envelope's column of the row's own institution (forms.md, section 1).
INSTITUTION_CODE = "institution_code"

# Texts that stand around a header without being part of it: a mark for required columns, a unit in brackets.
_STARS = "*＊★※"
_UNIT = re.compile(r"(.+?)[(（\[【]([^()（）\[\]【】]+)[)）\]】]")
# Between a header and the mark of a visit; brackets around the mark.
_BETWEEN = "-_—–.:·的 "
_OPEN, _CLOSE = "([【{", ")]】}"


@dataclass(frozen=True)
class Known:
    """Every header that is known, as compared → field name; and per field the units that may follow in brackets.

    ``pairs``: headers of columns that hold two figures → the two fields. ``repeats`` and ``service_date``: of a form
    that may come wide.
    """

    fields: Mapping[str, str]
    units: Mapping[str, frozenset[str]]
    pairs: Mapping[str, tuple[str, str]] = attribute(default_factory=dict)
    repeats: Repeats | None = None
    service_date: str = ""
    own: frozenset[str] = frozenset()

    def field(self, text: str) -> str | None:
        """The field a column with this header holds, or None."""
        return self._field(_key(text))

    def _field(self, key: str) -> str | None:
        found = self.fields.get(key)
        if found is None and (unit := _UNIT.fullmatch(key)):
            named = self.fields.get(unit[1])
            if named is not None and unit[2] in self.units.get(named, ()):
                return named
        return found

    def pair(self, text: str) -> tuple[str, str] | None:
        """The two fields whose figures a column with this header holds together, or None."""
        return self.pairs.get(_key(text))

    def marked(self, text: str) -> tuple[tuple[str, ...], str, tuple[str, str] | None] | None:
        """Of a column of a wide export: which visit, which field, and the pair if it holds one; else None."""
        if self.repeats is None:
            return None
        key = _key(text)
        for values, rest in _marks_in(key, self.repeats):
            name = self._field(rest) if rest else self.repeats.alone or None
            if name is not None and self._may_repeat(name):
                return values, name, None
            pair = self.pairs.get(rest)
            if pair is not None and self._may_repeat(pair[0]):
                return values, pair[0], pair
        unit = _UNIT.fullmatch(key)  # behind the mark: 收缩压(第1次)(mmHg)
        found = self.marked(unit[1]) if unit else None
        return found if unit and found and unit[2] in self.units.get(found[1], ()) else None

    def _may_repeat(self, name: str) -> bool:
        """The form's repeating fields, and the envelope's but the institution's (a row belongs to one)."""
        assert self.repeats is not None
        if name in self.own:
            return name in self.repeats.fields
        return name not in self.repeats.by and name != INSTITUTION_CODE


@dataclass(frozen=True)
class Group:
    """The columns of one visit in a wide export: field → positions.

    ``values``: of ``by``, as the header tells; ``mark``: what is put behind the record's number; ``pairs``: field → the
    field whose figure its column holds as well.
    """

    values: tuple[str, ...]
    fields: Mapping[str, tuple[int, ...]]
    pairs: Mapping[str, str] = attribute(default_factory=dict)

    @property
    def mark(self) -> str:
        return "-".join(self.values)


@dataclass(frozen=True)
class Mapped:
    """Columns of one file: field → positions (several when headers repeat), unknown header → position.

    ``groups``: of a wide export the visits that stand side by side, in the order of the catalogue; ``by``: the fields
    their marks tell. ``pairs``: field → the field whose figure its column holds as well.
    """

    fields: Mapping[str, tuple[int, ...]]
    unknown: Mapping[str, int]
    groups: tuple[Group, ...] = ()
    by: tuple[str, ...] = ()
    pairs: Mapping[str, str] = attribute(default_factory=dict)

    @property
    def repeated(self) -> dict[str, tuple[int, ...]]:
        return {name: places for name, places in self.fields.items() if len(places) > 1}

    @property
    def held_together(self) -> frozenset[str]:
        """The first fields of pairs for which the file has one column."""
        return frozenset(self.pairs).union(*(group.pairs for group in self.groups))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every field the file delivers: in a column of its own, in one of any visit's, by the header, in a pair."""
        found = dict.fromkeys(self.fields)
        for group in self.groups:
            found |= dict.fromkeys([*self.by, *group.fields, *group.pairs.values()])
        return tuple(found | dict.fromkeys(self.pairs.values()))


def known_headers(columns: Iterable[tuple[str, Iterable[str], Iterable[str]]]) -> Known:
    """Known headers of ``(name, headers, units)``; the catalogue sees to it that none stands for two fields."""
    fields: dict[str, str] = {}
    units: dict[str, frozenset[str]] = {}
    for name, headers, written in columns:
        for header in headers:
            fields.setdefault(header_key(header.strip(_STARS)), name)
        units[name] = frozenset(header_key(unit) for unit in written if unit)
    return Known(fields, units)


def form_headers(form: Form, repairs: Repairs = Repairs(), source: SourceMap | None = None) -> Known:  # noqa: B008
    """A form's headers: those of the institution's system before the dictionary's own."""
    theirs: dict[str, list[str]] = {}
    for header, name in (source.headers_of(form.form_id) if source else {}).items():
        if form.has(name):
            theirs.setdefault(name, []).append(header)
    known = known_headers(
        [
            *((name, headers, ()) for name, headers in theirs.items()),
            *((column.name, column.headers, own_units(column, repairs)) for column in form.fields),
        ]
    )
    own = frozenset(column.name for column in form.own_fields)
    return Known(known.fields, known.units, _pair_headers(form, repairs), form.repeats, form.service_date, own)


def is_header(row: Sequence[str], known: Known) -> bool:
    """Whether the row names at least two different fields (or one of two visits)."""
    found: set[object] = set()
    for text in row:
        name = (known.field(text) or known.pair(text) or known.marked(text)) if text else None
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
    others: dict[int, str] = {}
    for place, text in enumerate(names):
        name = known.field(text) if text else None
        if name is not None:
            fields.setdefault(name, []).append(place)
        else:
            others[place] = text
    groups = _groups(others, fields, known)
    for group in groups:
        for place in (place for places in group.fields.values() for place in places):
            del others[place]
    pairs = _own_pairs(others, fields, known)
    unknown: dict[str, int] = {}
    for place, text in others.items():
        label = text or f"第{place + 1}列"
        unknown[label if label not in unknown else f"{label}（第{place + 1}列）"] = place
    by = known.repeats.by if known.repeats and groups else ()
    return Mapped({name: tuple(places) for name, places in fields.items()}, unknown, groups, by, pairs)


def without_mark(text: str, known: Known) -> str:
    """A header without the mark of a visit, if it bears one: what it may have been meant to be can then be told."""
    if known.repeats is not None:
        for _, rest in _marks_in(_key(text), known.repeats):
            if rest:
                return rest
    return text


def _key(text: str) -> str:
    return header_key(text.strip(_STARS + " \t\r\n\u3000"))


def _pair_headers(form: Form, repairs: Repairs) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for pair in repairs.pairs:
        for first, second in pair.fields:
            if form.has(first) and form.has(second):
                found |= {header_key(header): (first, second) for header in pair.headers.get(first, ())}
    return found


def _own_pairs(others: dict[int, str], fields: dict[str, list[int]], known: Known) -> dict[str, str]:
    """Columns that hold two figures, where neither has a column of its own; they leave ``others`` for ``fields``."""
    pairs: dict[str, str] = {}
    for place, text in list(others.items()):
        pair = known.pair(text) if text else None
        if pair is not None and not (set(pair) & fields.keys()):
            fields[pair[0]] = [place]
            pairs[pair[0]] = pair[1]
            del others[place]
    return pairs


def _groups(others: Mapping[int, str], plain: Mapping[str, object], known: Known) -> tuple[Group, ...]:
    """The visits side by side in the header; none when the file is no wide one.

    A file that has a plain column for what the marks would tell, or for the date of the visit, is an ordinary one,
    whatever else its headers look like. A wide one has two visits, or one with its date.
    """
    repeats = known.repeats
    if repeats is None:
        return ()
    if any(name in plain for name in repeats.by) or (
        known.service_date in repeats.fields and known.service_date in plain
    ):
        return ()
    found: dict[tuple[str, ...], dict[str, list[int]]] = {}
    pairs: dict[tuple[str, ...], dict[str, tuple[int, str]]] = {}
    for place, text in others.items():
        marked = known.marked(text) if text else None
        if marked is None:
            continue
        values, name, pair = marked
        if pair is None:
            found.setdefault(values, {}).setdefault(name, []).append(place)
        else:
            pairs.setdefault(values, {}).setdefault(pair[0], (place, pair[1]))
    for values, held in pairs.items():
        columns = found.setdefault(values, {})
        for first, (place, second) in list(held.items()):
            if first in columns or second in columns:
                del held[first]
            else:
                columns[first] = [place]
    found = {values: columns for values, columns in found.items() if columns}
    if len(found) < 2 and not any(known.service_date in columns for columns in found.values()):
        return ()
    order = {values: place for place, values in enumerate(dict.fromkeys(_marks(repeats).values()))}
    return tuple(
        Group(
            values,
            {name: tuple(places) for name, places in found[values].items()},
            {first: second for first, (_, second) in pairs.get(values, {}).items()},
        )
        for values in sorted(found, key=lambda values: order[values])
    )


@lru_cache(maxsize=256)
def _marks(repeats: Repeats) -> Mapping[str, tuple[str, ...]]:
    return marks(repeats)


def _marks_in(key: str, repeats: Repeats) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every way to take a header apart into a mark at one of its ends and the rest; the longest mark first.

    A mere figure is a mark only behind the header and set off from it (体重_3, 体重(3)), or where the form says so.
    """
    known = _marks(repeats)
    for end in range(len(key), 0, -1):
        mark = key[:end]
        if mark in known and not mark.isdigit():
            yield known[mark], _unwrapped(key[end:].lstrip(_BETWEEN))
    close = next((at for at, sign in enumerate(key) if sign in _CLOSE), 0)
    if key[:1] in _OPEN and key[1:close] in known:
        yield known[key[1:close]], key[close + 1 :].lstrip(_BETWEEN)
    for start in range(1, len(key)):
        tail, rest = key[start:], key[:start]
        if tail[-1] in _CLOSE and rest[-1] in _OPEN and tail[:-1] in known:
            yield known[tail[:-1]], rest[:-1].rstrip(_BETWEEN)
        elif tail in known and (not tail.isdigit() or rest[-1] in _BETWEEN or repeats.bare_suffix):
            yield known[tail], rest.rstrip(_BETWEEN)


def _unwrapped(text: str) -> str:
    """``(收缩压)`` as ``收缩压``."""
    return text[1:-1] if text[:1] in _OPEN and text[-1:] in _CLOSE and text[1:-1] else text
