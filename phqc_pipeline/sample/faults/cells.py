"""One cell as it is delivered and as it will stand in the lake.

Belongs here: text → (value, raw) for cells made faulty by hand or taken from a rule's example.
Does not belong here: which cells are made faulty (``injection``, ``recipes``).

This is a second reading of the contract's section 2, for the few cells touched here; the pipeline's own is in
``extracts.cells``. What a cell that cannot be read is rewritten to (``rules/repairs.yaml``) is asked of the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.catalogue.model import Field
from phqc_pipeline.catalogue.repairing import beyond, inferred, repairer

_EMPTY = frozenset({"", "-", "/", "—", "——"})
_NO_ANSWER = frozenset({"无", "不详", "未查", "拒查", "拒绝"})
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_DATE = re.compile(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}))?)?")
_SEPARATORS = re.compile("[,，;；|、]")


@dataclass(frozen=True)
class Cell:
    """``value`` and ``raw`` as in the lake. ``text``: what to deliver; None: ``value`` written in the file's style."""

    value: Any
    raw: str | None = None
    text: str | None = None


EMPTY_CELL = Cell(None)


def plain(value: Any) -> Cell:
    """A regular cell with a typed value."""
    return Cell(value)


def read(given: Any, field: Field, cat: Catalogue) -> Cell:
    """The cell that a clerk's writing makes: text, number, date or list of codes, as in a rule's example.

    Kept as text (``text``) when the lake would keep it beside the value; otherwise written in the file's style.
    """
    return read_all([given], field, cat)[0]


def read_all(given: Sequence[Any], field: Field, cat: Catalogue) -> list[Cell]:
    """The same for many cells of one column: those that need it are rewritten all at once."""
    cells = [_read_as_written(one, field, cat) for one in given]
    low, high = beyond(field)
    unread, far = [], []
    for place, (one, cell) in enumerate(zip(given, cells, strict=True)):
        if field.kind == "text" or not isinstance(one, str | int | float):
            continue
        if cell.value is None and cell.raw is not None:
            unread.append(place)
        elif isinstance(cell.value, float) and not low <= cell.value <= high:
            far.append(place)
    for places, rewrite in ((unread, repairer(field, cat.codes, cat.repairs)), (far, inferred(field, cat.repairs))):
        if places and rewrite is not None:
            texts = [_as_text(given[place]) for place in places]
            bare = pl.Series([text.strip() for text in texts], dtype=pl.String).str.normalize("NFKC")
            for place, text, rewritten in zip(places, texts, rewrite(bare).to_list(), strict=True):
                again = None if rewritten is None else _read_as_written(rewritten, field, cat).value
                cells[place] = cells[place] if again is None else Cell(again, text, text)
    return cells


def _read_as_written(given: Any, field: Field, cat: Catalogue) -> Cell:
    if given is None:
        return EMPTY_CELL
    if field.kind == "multi":
        return _choice(given, field, cat)
    if isinstance(given, datetime):
        return Cell(given if field.kind == "dt" else given.date())
    if isinstance(given, date):
        return Cell(datetime.combine(given, time()) if field.kind == "dt" else _month(given, field))
    text = _as_text(given)
    bare = text.strip()
    known = _spellings(field, cat)
    if bare in _EMPTY and bare not in known and bare not in field.text_values:
        return EMPTY_CELL
    if field.kind == "code":
        return Cell(known[bare]) if bare in known else Cell(None, text, text)
    if field.kind == "text":
        value = known.get(bare, bare)
        return Cell(value) if bare == text else Cell(value, text, text)
    if bare in _NO_ANSWER:
        return Cell(None, None, text)
    if field.is_numeric and bare in known:  # a figure that is a code, by its name
        return Cell(float(known[bare]))
    return _number(text, bare, field) if field.is_numeric else _moment(text, bare, field)


def _choice(given: Any, field: Field, cat: Catalogue) -> Cell:
    parts = list(given) if isinstance(given, list | tuple) else _SEPARATORS.split(_as_text(given))
    words = [word for part in parts if (word := _as_text(part).strip())]
    if not words:
        return EMPTY_CELL
    known = _spellings(field, cat)
    if len(words) == 1 and words[0] in _EMPTY and words[0] not in known:
        return EMPTY_CELL
    text = given if isinstance(given, str) else ",".join(words)
    if any(word not in known for word in words):
        return Cell(None, text, text)
    return Cell(list(dict.fromkeys(known[word] for word in words)))


def _number(text: str, bare: str, field: Field) -> Cell:
    if not _NUMBER.fullmatch(bare):
        return Cell(None, text, text)
    scale = 0 if field.kind == "int" else field.scale or 0
    too_fine = len(bare.partition(".")[2].rstrip("0")) > scale
    return Cell(float(bare), text, text) if too_fine else Cell(float(bare))


def _moment(text: str, bare: str, field: Field) -> Cell:
    found = _DATE.fullmatch(bare)
    unread = Cell(None, text, text)
    if not found or (found[3] is None and field.kind != "ym"):
        return unread
    try:
        day = date(int(found[1]), int(found[2]), int(found[3] or 1))
        moment = datetime.combine(day, time(int(found[4] or 0), int(found[5] or 0), int(found[6] or 0)))
    except ValueError:
        return unread
    return Cell(moment) if field.kind == "dt" else Cell(_month(day, field))


def _month(day: date, field: Field) -> date:
    return day.replace(day=1) if field.kind == "ym" else day


def _spellings(field: Field, cat: Catalogue) -> Any:
    known = cat.codes.get(field.codes) if field.codes else None
    return known.spellings if known else {}


def _as_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
