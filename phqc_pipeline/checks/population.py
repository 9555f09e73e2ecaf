"""Which rows of a delivery are judged (rules.md 0a.1, 0a.9).

Belongs here: the current row of a record number, the record statuses that take part, the plan's ``records_from`` and
sample.
Does not belong here: validity of a rule (a matter of each check, ``schemas``).

Duplicate record numbers are the exception, so they are looked for by a hash of eight bytes a row; only rows that share
one are compared. A delivery that one batch holds whole is looked at there; the keys of a longer one are read before.
Memory: 8 bytes for each row of the longer deliveries handed over together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Form
from phqc_pipeline.catalogue.expressions import usable_polars
from phqc_pipeline.checks.lake import (
    INSTITUTION,
    ORDINAL,
    RECORD_KEY,
    Batch,
    Piece,
    pack,
    read_batch,
    with_empty_columns,
)
from phqc_pipeline.checks.schemas import service_date_of

#: Statuses that take part (0a.1); an empty or unusable status takes part as well.
JUDGED_STATUSES = ("1", "5")

_ROWS_AT_ONCE = 2_000_000  # keys read together: 8 bytes each stay, the texts are dropped batch by batch


def replaced_rows(form: Form, pieces: Sequence[Piece], schema: dict[str, pl.DataType]) -> pl.Series:
    """Ordinals (ascending) of rows that are not the current row of their record number.

    Current is the row changed last (``updated_at``, empty before any other), of equals the one that stands last in the
    delivery. A row without a record number is known by its content (``_record_key``): of rows that are alike in
    everything one is judged, as their findings would be the same findings.
    """
    hashes = [frame.select(_hash()).to_series() for frame in _read(pieces, [RECORD_KEY], schema)]
    if not hashes:
        return pl.Series(ORDINAL, [], dtype=pl.UInt64)
    whole = pl.concat(hashes)
    if whole.n_unique() == len(whole):
        return pl.Series(ORDINAL, [], dtype=pl.UInt64)
    ordinals = np.concatenate([np.arange(piece.ordinal, piece.ordinal + piece.rows) for piece in pieces])
    shared = pl.Series(ORDINAL, ordinals, pl.UInt64).filter(whole.is_duplicated()).implode()
    frames = _read(pieces, columns_compared(form), schema)
    return _not_last(form, [frame.filter(pl.col(ORDINAL).is_in(shared)) for frame in frames], schema)


def replaced_here(form: Form, batch: pl.DataFrame, before: pl.Series, schema: dict[str, pl.DataType]) -> pl.Series:
    """``before`` and the ordinals of rows that another row of the same batch replaces (``columns_compared``).

    For deliveries that a batch holds whole, so that their keys need not be read twice.
    """
    hashes = batch.select(_hash()).to_series()
    if hashes.n_unique() == len(hashes):
        return before
    found = _not_last(form, [batch.filter(hashes.is_duplicated())], schema)
    return pl.concat([before, found]).unique().sort()


def columns_compared(form: Form) -> list[str]:
    """The lake columns that ``replaced_here`` needs of a batch."""
    return [RECORD_KEY, *_changed(form).meta.root_names()]


def judged(form: Form, records_from: date | None = None) -> pl.Expr:
    """Whether a current row takes part in quality control.

    ``records_from`` (of the plan) leaves out records served before it; a record without service date takes part.
    """
    takes_part = pl.lit(True)
    if form.has("record_status"):
        takes_part = usable_polars(form.field("record_status")).is_in(JUDGED_STATUSES).fill_null(True)
    if records_from is not None:
        takes_part &= (service_date_of(form) >= records_from).fill_null(True)
    return takes_part


def in_sample(drawn: pl.DataFrame, institutions: Sequence[str]) -> pl.Expr:
    """Whether a row was drawn. ``drawn``: institution_code, record_key; ``institutions``: by position."""
    positions = pl.DataFrame({"institution_code": list(institutions)}, schema={"institution_code": pl.String})
    named = drawn.join(positions.with_row_index("position"), on="institution_code")
    keys = named.select(pl.concat_str("position", "record_key", separator=" ")).to_series()
    return pl.concat_str(INSTITUTION, RECORD_KEY, separator=" ").is_in(keys.implode())


def taking_part(batch: pl.DataFrame, replaced: pl.Series, takes_part: pl.Expr) -> pl.Series | None:
    """For every row of the batch whether it is judged: not replaced, and taking part (``judged``). None: all are.

    ``replaced`` is ascending, so a batch looks at its own stretch alone.
    """
    if batch.is_empty():
        return None
    part = batch.select(takes_part.alias("part"))["part"]
    if len(part) != batch.height:  # whether a form without statuses takes part does not depend on the row
        part = part.new_from_index(0, batch.height)
    first = batch[ORDINAL][0]
    start, stop = replaced.search_sorted(first, "left"), replaced.search_sorted(first + batch.height, "left")
    if start < stop:  # ordinals run through: those less the first are positions
        part = part.scatter((replaced.slice(start, stop - start) - first).to_list(), False)
    return None if part.all() else part


def _hash() -> pl.Expr:
    """One number for institution and record number; a chance agreement only means that two rows are looked at."""
    return pl.col(RECORD_KEY).hash() ^ pl.col(INSTITUTION).hash()


def _changed(form: Form) -> pl.Expr:
    return usable_polars(form.field("updated_at")) if form.has("updated_at") else pl.lit(None, pl.Datetime("us"))


def _not_last(form: Form, frames: Sequence[pl.DataFrame], schema: dict[str, pl.DataType]) -> pl.Series:
    """Of rows that share a hash, those that are not the last of their record number."""
    columns = columns_compared(form)
    rows = pl.concat(
        with_empty_columns(frame, columns, schema).select(
            INSTITUTION, RECORD_KEY, _changed(form).alias("changed"), ORDINAL
        )
        for frame in frames
    )
    in_order = rows.sort("changed", ORDINAL, nulls_last=False)
    last = in_order.group_by(INSTITUTION, RECORD_KEY).agg(pl.col(ORDINAL).last())[ORDINAL]
    return rows.filter(~pl.col(ORDINAL).is_in(last.implode()))[ORDINAL].sort()


def _read(pieces: Sequence[Piece], columns: Sequence[str], schema: dict[str, pl.DataType]) -> Iterator[pl.DataFrame]:
    batch: Batch
    for batch in pack(pieces, _ROWS_AT_ONCE):
        yield read_batch(batch, list(dict.fromkeys(columns)), schema)
