"""What a lake cell holds, in both engines side by side: usable, unusable, blank, hidden (ruling 0a.5).

Belongs here: the readings of one field's columns ``x`` and ``x__raw`` that expressions build on.
Does not belong here: anything about expressions.
"""

from __future__ import annotations

from functools import reduce
from operator import and_

import polars as pl

from phqc_pipeline.catalogue.expressions.tables import BLANKS
from phqc_pipeline.catalogue.model import Field

RAW_SUFFIX = "__raw"


def usable_polars(field: Field) -> pl.Expr:
    """The cell's value, NULL where it is empty or unusable (unreadable, or outside the hard range)."""
    column = pl.col(field.name)
    inside = _inside_polars(field)
    return column if inside is None else pl.when(inside).then(column)


def unusable_polars(field: Field) -> pl.Expr | None:
    """Whether the cell holds something that cannot be used: TRUE or FALSE. None for a text column: it always can."""
    unreadable = unreadable_polars(field)
    inside = _inside_polars(field)
    if unreadable is None or inside is None:
        return unreadable
    return unreadable | ~inside.fill_null(True)


def unreadable_polars(field: Field) -> pl.Expr | None:
    """Whether the cell holds text that could not be converted (the value is NULL, the delivered text is kept)."""
    if field.kind == "text":
        return None
    column, raw = pl.col(field.name), pl.col(field.name + RAW_SUFFIX)
    unreadable = column.is_null() & raw.is_not_null()
    if field.text_values:
        unreadable = unreadable & ~raw.str.strip_chars(BLANKS).is_in(list(field.text_values)).fill_null(False)
    return unreadable


def blank_polars(field: Field) -> pl.Expr:
    """Nothing was delivered in the cell. (A text cell of mere blanks is blank too.)"""
    blank = pl.col(field.name).is_null()
    return blank if field.kind == "text" else blank & pl.col(field.name + RAW_SUFFIX).is_null()


def hidden_polars(field: Field) -> pl.Expr | None:
    """The cell is not blank but has no usable value: unusable, or a valid word in a numeric column (视力 盲)."""
    if field.kind == "text":
        return None
    wordy = pl.col(field.name).is_null() & pl.col(field.name + RAW_SUFFIX).is_not_null()
    inside = _inside_polars(field)
    return wordy if inside is None else wordy | ~inside.fill_null(True)


def usable_duckdb(field: Field, table: str = "") -> str:
    """The cell's value, NULL where it is empty or unusable (unreadable, or outside the hard range)."""
    column = quoted_name(field.name, table)
    inside = _inside_duckdb(field, table)
    return column if inside is None else f"CASE WHEN {inside} THEN {column} END"


def unusable_duckdb(field: Field, table: str = "") -> str | None:
    """Whether the cell holds something that cannot be used: TRUE or FALSE. None for a text column: it always can."""
    unreadable = unreadable_duckdb(field, table)
    inside = _inside_duckdb(field, table)
    if unreadable is None or inside is None:
        return unreadable
    return f"({unreadable} OR NOT coalesce({inside}, TRUE))"


def unreadable_duckdb(field: Field, table: str = "") -> str | None:
    """Whether the cell holds text that could not be converted (the value is NULL, the delivered text is kept)."""
    if field.kind == "text":
        return None
    raw = quoted_name(field.name + RAW_SUFFIX, table)
    unreadable = f"{quoted_name(field.name, table)} IS NULL AND {raw} IS NOT NULL"
    if field.text_values:
        words = ", ".join(quoted_text(word) for word in field.text_values)
        unreadable += f" AND trim({raw}, {quoted_text(BLANKS)}) NOT IN ({words})"
    return f"({unreadable})"


def cell_is_null_duckdb(field: Field, table: str) -> str:
    """``x is null`` of one cell: TRUE when nothing was delivered, NULL when the cell is unusable."""
    column, raw = quoted_name(field.name, table), quoted_name(field.name + RAW_SUFFIX, table)
    unusable = unusable_duckdb(field, table)
    if unusable is None:
        return f"{column} IS NULL"
    return f"CASE WHEN NOT {unusable} THEN {column} IS NULL AND {raw} IS NULL END"


def hidden_duckdb(field: Field, table: str) -> str | None:
    """The cell is not blank but has no usable value: unusable, or a valid word in a numeric column (视力 盲)."""
    if field.kind == "text":
        return None
    column, raw = quoted_name(field.name, table), quoted_name(field.name + RAW_SUFFIX, table)
    wordy = f"({column} IS NULL AND {raw} IS NOT NULL)"
    inside = _inside_duckdb(field, table)
    return wordy if inside is None else f"({wordy} OR NOT coalesce({inside}, TRUE))"


def quoted_name(column: str, table: str) -> str:
    quoted = '"' + column.replace('"', '""') + '"'
    return f"{table}.{quoted}" if table else quoted


def quoted_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _inside_polars(field: Field) -> pl.Expr | None:
    if not field.is_numeric or field.hard is None:
        return None
    low, high = field.hard
    column = pl.col(field.name)
    bounds = [column >= float(low)] if low is not None else []
    bounds += [column <= float(high)] if high is not None else []
    return reduce(and_, bounds) if bounds else None


def _inside_duckdb(field: Field, table: str) -> str | None:
    if not field.is_numeric or field.hard is None:
        return None
    low, high = field.hard
    column = quoted_name(field.name, table)
    if low is not None and high is not None:
        return f"{column} BETWEEN {_double(low)} AND {_double(high)}"
    if low is not None:
        return f"{column} >= {_double(low)}"
    return f"{column} <= {_double(high)}" if high is not None else None


def _double(number: float) -> str:
    return f"{float(number)!r}::DOUBLE"
