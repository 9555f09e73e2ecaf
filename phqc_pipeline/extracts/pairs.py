"""Two figures delivered in one cell (血压 130/80), put into the two columns they belong to.

Belongs here: which cell of a row holds both, and whether the other column agrees. Does not belong here: how such a cell
is written (``rules/repairs.yaml``).

A cell is taken apart where the other column is empty, holds the same text, or holds the very figure the text says;
where it says another figure nobody can tell which is right, so the cell stays unreadable and is reported. In a column
that is there for both (血压), two figures are how the cell is written: regular, no text stays beside them; and a cell
there that says neither figure is unreadable for both, for the second figure was not left out.
"""

from __future__ import annotations

import polars as pl

from phqc_pipeline.catalogue.delivered import Pair
from phqc_pipeline.catalogue.model import Field
from phqc_pipeline.extracts.cells import Cells, narrowed, stripped


class PairSplitter:
    """One pair of numeric columns of a form. ``regular``: the file has a column for both."""

    def __init__(self, pair: Pair, first: Field, second: Field, *, regular: bool = False) -> None:
        self.first = first.name
        self.second = second.name
        self._regular = regular
        self._pattern = f"^(?:{pair.pattern})$"

    def split(self, made: dict[str, Cells]) -> None:
        """Put the figures of unreadable cells that hold both into both columns of ``made``."""
        if self._regular:
            made[self.second] = self._shared(made[self.first], made[self.second])
        one, other = made[self.first], made[self.second]
        frames = [self._both(cells) for cells in (one, other)]
        if frames[0] is None and frames[1] is None:
            return
        rows = len(one.value)
        nothing = pl.Series([None], dtype=pl.Float64).new_from_index(0, rows)
        silent = pl.Series([None], dtype=pl.String).new_from_index(0, rows)
        parts = [frame or (nothing, nothing, silent) for frame in frames]
        table = pl.DataFrame(
            [
                *(cells.value.alias(f"value{side}") for side, cells in enumerate((one, other))),
                *(cells.raw.alias(f"raw{side}") for side, cells in enumerate((one, other))),
                *(
                    part.alias(f"{name}{side}")
                    for side, found in enumerate(parts)
                    for name, part in zip("abt", found, strict=True)
                ),
            ]
        )
        # What the row says: by the first column's cell, else by the second's.
        table = table.with_columns(a=pl.coalesce("a0", "a1"), b=pl.coalesce("b0", "b1"), text=pl.coalesce("t0", "t1"))
        certain = pl.col("text").is_not_null() & _agrees("a", 0) & _agrees("b", 1)
        for side, (name, figure) in enumerate(((self.first, "a"), (self.second, "b"))):
            fill = certain & pl.col(f"value{side}").is_null()
            done = table.select(
                value=pl.when(fill).then(figure).otherwise(f"value{side}"),
                raw=pl.when(fill)
                .then(None if self._regular else pl.coalesce(f"raw{side}", "text"))
                .otherwise(f"raw{side}"),
            )
            made[name] = Cells(done["value"].rename(name), done["raw"], made[name].word)

    @staticmethod
    def _shared(one: Cells, other: Cells) -> Cells:
        """The second column with the text of the cells held in common that could not be read."""
        cells = pl.DataFrame({"value": one.value, "raw": one.raw, "own": other.value, "text": other.raw})
        unread = pl.col("value").is_null() & pl.col("own").is_null()
        return Cells(
            other.value, cells.select(pl.coalesce("text", pl.when(unread).then("raw"))).to_series(), other.word
        )

    def _both(self, cells: Cells) -> tuple[pl.Series, pl.Series, pl.Series] | None:
        """The two figures and the text of the cells that hold both; None when none does."""
        if cells.raw.null_count() == len(cells.raw):
            return None
        text = cells.raw.set(cells.value.is_not_null(), None)
        parts = narrowed(stripped(text)).str.extract_groups(self._pattern).struct
        first, second = parts.field("1").cast(pl.Float64, strict=False), parts.field("2").cast(pl.Float64, strict=False)
        both = first.is_not_null() & second.is_not_null()
        return (first, second, text.set(~both, None)) if both.any() else None


def _agrees(figure: str, side: int) -> pl.Expr:
    """Whether a column is empty, says the figure, or holds a text that says both figures alike."""
    value, raw = pl.col(f"value{side}"), pl.col(f"raw{side}")
    empty = value.is_null() & raw.is_null()
    same = pl.col(f"a{side}").eq_missing(pl.col("a")) & pl.col(f"b{side}").eq_missing(pl.col("b"))
    return empty | (value == pl.col(figure)).fill_null(False) | (raw.is_not_null() & value.is_null() & same)
