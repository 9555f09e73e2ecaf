"""Rows of a wide export → one row a visit, as an ordinary file would have them.

Belongs here: which visits of a row hold anything, what each takes from the row. Does not belong here: which column is
which visit's (``header``), single cells (``cells``).

A visit of which no cell says anything makes no record; one with any cell filled makes one, even if its date is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from phqc_pipeline.catalogue.model import CodeList, Form
from phqc_pipeline.extracts.cells import one_column, silent_words, stripped
from phqc_pipeline.extracts.header import Group, Mapped
from phqc_pipeline.extracts.shapes import ROW_NUMBER

_ORDER, _MARK = "_visit", "_mark"
_PREFIX = "="  # before the field's name, in the columns of visits: the others are named by their position


@dataclass(frozen=True)
class Unfolded:
    """Visits instead of rows.

    ``cells``: the columns as delivered, each row as often as it has visits. ``texts``: field → its cells, of the fields
    that a header marks or tells. ``marks``: what goes behind the number of each visit's record (null where the visit
    has a number of its own). ``folded``: rows without a single visit.
    """

    cells: pl.DataFrame
    texts: dict[str, pl.Series]
    marks: pl.Series
    folded: int


class Unfolder:
    """Takes the rows of one wide file apart; without state, so any thread may call it."""

    def __init__(self, form: Form, codes: Mapping[str, CodeList], mapped: Mapped, record_id: str) -> None:
        assert form.repeats is not None
        self.groups = mapped.groups
        self.by = mapped.by
        self.last = form.repeats.last & mapped.fields.keys()
        self.plain = mapped.fields
        self.record_id = record_id
        self.names = list(dict.fromkeys(name for group in self.groups for name in group.fields))
        self.titles = {name: form.field(name).title for name in (*self.names, *self.plain)}
        self.silent = {name: silent_words(form.field(name), codes) for name in self.names}

    def unfold(self, cells: pl.DataFrame) -> Unfolded:
        kept = cells.select(ROW_NUMBER, *self._kept(cells))
        parts = [self._visits(cells, kept, group, order) for order, group in enumerate(self.groups)]
        visits = pl.concat(parts).sort(ROW_NUMBER, _ORDER)
        texts = self._texts(visits)
        marks = visits[_MARK]
        if self.record_id in self.names:
            marks = marks.set(visits[_PREFIX + self.record_id].is_not_null(), None)
        folded = cells.height - visits[ROW_NUMBER].n_unique()
        return Unfolded(visits.select(kept.columns), texts, marks, folded)

    def _kept(self, cells: pl.DataFrame) -> list[str]:
        """Columns that stand once in a row: all but the visits'."""
        marked = {str(place) for group in self.groups for places in group.fields.values() for place in places}
        return [name for name in cells.columns if name != ROW_NUMBER and name not in marked]

    def _visits(self, cells: pl.DataFrame, kept: pl.DataFrame, group: Group, order: int) -> pl.DataFrame:
        """The rows in which this visit says anything, with its cells by field."""
        texts = {name: one_column(cells, places, self.titles[name]) for name, places in group.fields.items()}
        says = pl.Series([False]).new_from_index(0, cells.height)
        for name, text in texts.items():
            bare = stripped(text)
            says |= (bare.is_not_null() & ~bare.is_in(self.silent[name])).fill_null(False)
        nothing = pl.Series([None], dtype=pl.String).new_from_index(0, cells.height)
        told = dict(zip(self.by, group.values, strict=False))
        return kept.with_columns(
            *((texts.get(name, nothing)).alias(_PREFIX + name) for name in self.names),
            *(pl.lit(value).alias(_PREFIX + name) for name, value in told.items()),
            pl.lit(order, pl.Int64).alias(_ORDER),
            pl.lit(group.mark).alias(_MARK),
        ).filter(says)

    def _texts(self, visits: pl.DataFrame) -> dict[str, pl.Series]:
        """A visit's own cell before the one that stands once in the row."""
        texts: dict[str, pl.Series] = {}
        for name in self.names:
            text = visits[_PREFIX + name]
            if name in self.plain:
                text = text.fill_null(one_column(visits, self.plain[name], self.titles[name]))
            texts[name] = text
        texts |= {name: visits[_PREFIX + name] for name in self.by}
        number = visits[ROW_NUMBER]
        earlier = (number == number.shift(-1)).fill_null(False)
        for name in self.last:
            text = texts.get(name, one_column(visits, self.plain[name], self.titles[name]))
            texts[name] = text.set(earlier, None)
        return texts
