"""One institution's records while faults are put in.

Belongs here: the frames, which rows and people are taken, clones, the final frames with what is delivered verbatim.
Does not belong here: what is made faulty (``recipes``, ``injection``).

Every row has a ``_row`` number, unique within its form and never reused. A row is taken by at most one fault; a person
whom a recipe needs whole is reserved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue, Field
from phqc_pipeline.sample.calendar import Times
from phqc_pipeline.sample.chance import Chance, Ints
from phqc_pipeline.sample.faults.cells import Cell, read_all
from phqc_pipeline.sample.faults.judge import RAW
from phqc_pipeline.sample.people import spare_mobile_numbers
from phqc_pipeline.sample.places import Institution
from phqc_pipeline.sample.rows import PREFIX


@dataclass(frozen=True)
class Fault:
    """One fault put in on purpose: the finding that must come of it, among others perhaps.

    ``subject`` is the record's ``_row`` for a record rule, else the finding's subject id.
    """

    rule_id: str
    form_id: str
    field: str
    row: int | None = None
    subject: str | None = None


@dataclass(frozen=True)
class _Sorted:
    """Places of a form's rows in order of person and service, for one state of it, and the person at each."""

    rows: pl.DataFrame
    keys: pl.DataFrame
    order: Ints
    people: Ints


@dataclass
class Work:
    """``frames``: the current records of each form. ``texts``: cells to deliver verbatim, by form, row and field."""

    cat: Catalogue
    institution: Institution
    times: Times
    people: pl.DataFrame
    frames: dict[str, pl.DataFrame]
    chance: Chance
    reserved: set[int] = field(default_factory=set)
    touched: dict[str, set[int]] = field(default_factory=dict)
    texts: dict[str, dict[int, dict[str, str | None]]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    _next_row: dict[str, int] = field(default_factory=dict)
    _raws: dict[tuple[str, str], dict[str, str | None]] = field(default_factory=dict)  # form, field → text → raw
    _sorted: dict[str, _Sorted] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for form_id, rows in self.frames.items():
            self.frames[form_id] = rows.with_row_index("_row").with_columns(pl.col("_row").cast(pl.Int64))
            self.touched[form_id] = set()
            self.texts[form_id] = {}
            self._next_row[form_id] = rows.height
        self.phones = iter(spare_mobile_numbers(200, self.institution))

    def rows_of(self, form_id: str, person: int) -> pl.DataFrame:
        """A person's records on one form, in order of service."""
        order, people = self._by_person(form_id)
        first, behind = np.searchsorted(people, [person, person + 1])
        return self.frames[form_id][order[first:behind]]

    def _by_person(self, form_id: str) -> tuple[Ints, Ints]:
        """Sorted once for each state of the form: recipes look up thousands, and change a row now and then."""
        rows = self.frames[form_id]
        known = self._sorted.get(form_id)
        if known is not None and known.rows is rows:
            return known.order, known.people
        keys = rows.select("_person", self.cat.forms[form_id].service_date)
        if known is None or not known.keys.equals(keys):
            order = (
                keys.select(pl.arg_sort_by(*keys.columns, maintain_order=True).cast(pl.Int64)).to_series().to_numpy()
            )
            known = _Sorted(rows, keys, order, keys["_person"].to_numpy()[order])
        self._sorted[form_id] = replace(known, rows=rows)
        return known.order, known.people

    def free_people(self) -> set[int]:
        return set(range(self.people.height)) - self.reserved

    def edit(self, form_id: str, row: int, values: Mapping[str, Any]) -> None:
        """Put regular values into one record."""
        rows = self.frames[form_id]
        places = np.flatnonzero(rows["_row"].to_numpy() == row).tolist()
        self.frames[form_id] = rows.with_columns(
            _put(rows[name], places, [value] * len(places)).alias(name) for name, value in values.items()
        )
        self.touched[form_id].add(row)

    def remove(self, form_id: str, rows: Iterable[int]) -> None:
        self.frames[form_id] = self.frames[form_id].filter(~pl.col("_row").is_in(list(rows)))

    def clone(self, form_id: str, row: int, values: Mapping[str, Any], *, new_number: bool = True) -> int:
        """A copy of a record with some values changed, at the end of the form; its ``_row``."""
        number = self._next_row[form_id]
        self._next_row[form_id] += 1
        copy = self.frames[form_id].filter(pl.col("_row") == row)
        changed = dict(values)
        if new_number:
            changed.setdefault("record_id", f"{PREFIX[form_id]}{self.institution.town}{90000000 + number:08d}")
        copy = copy.with_columns(
            pl.Series(name, [value], copy.schema[name]) for name, value in {"_row": number, **changed}.items()
        )
        self.frames[form_id] = pl.concat([self.frames[form_id], copy])
        verbatim = {name: text for name, text in self.texts[form_id].get(row, {}).items() if name not in changed}
        if verbatim:
            self.texts[form_id][number] = verbatim
        self.touched[form_id].add(number)
        return number

    def replace(self, form_id: str, rows: pl.DataFrame, cells: Mapping[int, Mapping[str, Cell]]) -> None:
        """Put whole faulty rows (as judged) in the place of those with the same ``_row``."""
        numbers = rows["_row"].to_list()
        kept = self.frames[form_id].filter(~pl.col("_row").is_in(numbers))
        self.frames[form_id] = pl.concat([kept, rows.select(kept.columns)])
        self.touched[form_id].update(numbers)
        for number in numbers:
            for name, cell in cells[number].items():
                if cell.text is not None:
                    self.texts[form_id].setdefault(number, {})[name] = cell.text
                    self._raws.setdefault((form_id, name), {})[cell.text] = cell.raw
                else:
                    self.texts[form_id].get(number, {}).pop(name, None)

    def lake_rows(self, form_id: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with the ``<field>__raw`` columns that the verbatim cells make."""
        form = self.cat.forms[form_id]
        given: dict[str, dict[int, str | None]] = {}  # field → place → text
        for place, number in enumerate(rows["_row"].to_list()):
            for name, text in self.texts[form_id].get(number, {}).items():
                given.setdefault(name, {})[place] = text
        empty = pl.Series([None], dtype=pl.String).new_from_index(0, rows.height)
        columns = []
        for field_ in form.fields:
            if field_.name in given:
                places = given[field_.name]
                raws = self._raws_of(form_id, field_, list(places.values()))
                columns.append(_put(empty, list(places), raws).alias(field_.name + RAW))
        return rows.with_columns(columns)

    def _raws_of(self, form_id: str, field_: Field, texts: Sequence[str | None]) -> list[str | None]:
        """What the lake keeps of verbatim cells; each text of a column is read once."""
        known = self._raws.setdefault((form_id, field_.name), {})
        new = sorted({text for text in texts if text is not None and text not in known})
        known |= {text: cell.raw for text, cell in zip(new, read_all(new, field_, self.cat), strict=True)}
        return [None if text is None else known[text] for text in texts]

    def finish(self) -> None:
        """Rows in their final order: as they were made, clones among them by time of entry."""
        for form_id, rows in self.frames.items():
            self.frames[form_id] = rows.sort("_row")

    def entered(self, day: date, hours: float = 0.0) -> datetime:
        """A time of entry on a day, in working hours, different for every call."""
        minute = 10 * 60 + self.chance.whole(0, 560)
        return datetime.combine(day, time()) + timedelta(minutes=minute, seconds=self.chance.whole(0, 59), hours=hours)


def typed_rows(rows: pl.DataFrame, cells: Sequence[Mapping[str, Cell]]) -> pl.DataFrame:
    """Rows with the values of some cells put in, and their ``__raw`` columns; ``cells`` runs parallel to the rows."""
    written: dict[str, dict[int, Cell]] = {}  # field → place → cell
    for place, one in enumerate(cells):
        for name, cell in one.items():
            written.setdefault(name, {})[place] = cell
    empty = pl.Series([None], dtype=pl.String).new_from_index(0, rows.height)
    columns = []
    for name, put in sorted(written.items()):
        raws = rows[name + RAW] if name + RAW in rows.columns else empty
        columns += [
            _put(rows[name], list(put), [cell.value for cell in put.values()]).alias(name),
            _put(raws, list(put), [cell.raw for cell in put.values()]).alias(name + RAW),
        ]
    return rows.with_columns(columns)


def _put(old: pl.Series, places: Sequence[int], values: Sequence[Any]) -> pl.Series:
    """A column with other values in some places; of any type, lists too."""
    taken = np.arange(len(old))
    taken[places] = len(old) + np.arange(len(places))
    return pl.concat([old, pl.Series(values, dtype=old.dtype)]).gather(taken)
