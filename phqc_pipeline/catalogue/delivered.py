"""How extracts differ from the dictionary: a page in one wide row, cells written otherwise, a vendor's own words.

Belongs here: the objects for ``repeats:`` of a form, ``repairs.yaml`` and ``sources/*.yaml``, as plain data.
Does not belong here: reading the YAML (``deliveries``), applying it (``repairing``, ``extracts``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

#: In ``headers`` and ``codes`` of a source map: every form.
EVERY_FORM = "*"


def _empty() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Repeats:
    """A form of which several records may stand side by side in one row of a wide export.

    ``by``: the fields whose values the header tells, never a cell (none: the visits are only counted). ``factors``: for
    each of them (or for the count) value → how it is written; ``templates``: how these make the mark in a header, each
    factor as ``{name}``. ``fields``: the form's own fields that may be marked (an envelope column may always be).
    ``alone``: the field of a column whose header is the mark and nothing else. ``last``: fields that stand once in the
    row and belong to its last record. ``bare_suffix``: a mere figure behind a header is a mark, too.
    """

    by: tuple[str, ...]
    factors: Mapping[str, Mapping[str, tuple[str, ...]]]
    templates: tuple[str, ...]
    fields: frozenset[str]
    alone: str = ""
    last: frozenset[str] = frozenset()
    bare_suffix: bool = False


@dataclass(frozen=True, eq=False)
class Rewrite:
    """One way of writing a cell that has a single sense, and how it is rewritten so that it can be read.

    A text that matches ``pattern`` as a whole becomes ``becomes`` (``$1`` …), in which each word of ``replace`` gives
    way to another. ``serial``: it is a day number of Excel. ``agree``: two texts (``$1``, ``$2``) that must stand for
    the same code. ``units``: only in fields of these units.
    """

    repair_id: str
    title: str
    kinds: tuple[str, ...]
    pattern: str
    becomes: str = "$1"
    replace: Mapping[str, str] = field(default_factory=_empty)
    serial: bool = False
    agree: tuple[str, ...] = ()
    units: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class OtherUnit:
    """A unit a figure may be delivered in: ``written`` behind it, and the factor to the column's own unit.

    ``inferred``: also where no unit is written, if the figure is far beyond what is possible and this unit explains it.
    ``fields``: only in these columns (a factor that depends on the substance); empty: wherever the unit is.
    """

    written: tuple[str, ...]
    factor: float
    inferred: bool = False
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Unit:
    """Columns of the units ``names`` (as the dictionary writes them): how it is written behind a figure, and others."""

    names: tuple[str, ...]
    written: tuple[str, ...] = ()
    others: tuple[OtherUnit, ...] = ()


@dataclass(frozen=True, eq=False)
class Pair:
    """Two figures written in one cell (130/80), for the columns that together hold them.

    ``fields``: pairs of columns; ``headers``: first of the pair → headers of a column that holds both.
    """

    repair_id: str
    title: str
    pattern: str
    fields: tuple[tuple[str, str], ...]
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=_empty)


@dataclass(frozen=True, eq=False)
class Repairs:
    """``repairs.yaml``: what is put right on reading, because it has a single sense. In this order."""

    rewrites: tuple[Rewrite, ...] = ()
    units: tuple[Unit, ...] = ()
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True, eq=False)
class SourceMap:
    """``sources/<source_id>.yaml``: what one vendor's system calls our columns and codes.

    ``institutions``: codes, or beginnings of codes that end in ``*``. ``headers``: form → header → field. ``codes``:
    code list, or ``form.field``, → the system's code → ours, None for a code that says nothing (9 未查).
    ``dates``: spellings of a date beside ours, as strptime has them.
    """

    source_id: str
    title: str
    institutions: tuple[str, ...]
    headers: Mapping[str, Mapping[str, str]] = field(default_factory=_empty)
    codes: Mapping[str, Mapping[str, str | None]] = field(default_factory=_empty)
    dates: tuple[str, ...] = ()

    def headers_of(self, form_id: str) -> dict[str, str]:
        """Header → field on one form; what is written for the form wins over what is written for all."""
        return {**self.headers.get(EVERY_FORM, {}), **self.headers.get(form_id, {})}

    def codes_of(self, form_id: str, field_name: str, list_id: str | None) -> dict[str, str | None]:
        """The system's code → ours in one column: those of the list, of the field on any form, of the field there."""
        found: dict[str, str | None] = {}
        for key in (list_id or "", f"{EVERY_FORM}.{field_name}", f"{form_id}.{field_name}"):
            found |= self.codes.get(key, {})
        return found


def source_of(sources: Mapping[str, SourceMap], institution_code: str) -> SourceMap | None:
    """The map of the system an institution delivers from: its own code before the longest beginning of it."""
    best: tuple[int, SourceMap] | None = None
    for source in sources.values():
        for pattern in source.institutions:
            fits = institution_code.startswith(pattern[:-1]) if pattern.endswith("*") else institution_code == pattern
            if fits and (best is None or len(pattern.rstrip("*")) >= best[0]):
                best = (len(pattern.rstrip("*")) + (not pattern.endswith("*")), source)
    return best[1] if best else None
