"""What a lake cell holds, in both engines side by side: usable, unusable, blank, hidden (ruling 0a.5).

Belongs here: the readings of one field's columns ``x`` and ``x__raw`` that expressions build on.
Does not belong here: anything about expressions.
"""

from __future__ import annotations

from datetime import date
from functools import reduce
from operator import and_, or_

import polars as pl

from phqc_pipeline.catalogue.expressions.tables import BLANKS
from phqc_pipeline.catalogue.model import DatedCodes, Field

RAW_SUFFIX = "__raw"


def usable_polars(field: Field) -> pl.Expr:
    """The cell's value, NULL where it is empty or unusable (unreadable, out of the hard range, a code out of force)."""
    column = pl.col(field.name)
    usable = _inside_polars(field) if field.dated_codes is None else ~_lapsed_polars(field, field.dated_codes)
    return column if usable is None else pl.when(usable).then(column)


def unusable_polars(field: Field) -> pl.Expr | None:
    """Whether the cell holds something that cannot be used: TRUE or FALSE. None for a text column: it always can."""
    unreadable = unreadable_polars(field)
    inside = _inside_polars(field)
    if unreadable is None or inside is None:
        return unreadable
    return unreadable | ~inside.fill_null(True)


def unreadable_polars(field: Field) -> pl.Expr | None:
    """Whether the cell holds text that could not be converted (the value is NULL, the delivered text is kept), or a
    code that was not in force on the service date."""
    if field.kind == "text":
        return None
    column, raw = pl.col(field.name), pl.col(field.name + RAW_SUFFIX)
    unreadable = column.is_null() & raw.is_not_null()
    if field.dated_codes is not None:
        return unreadable | _lapsed_polars(field, field.dated_codes)
    if field.text_values:
        unreadable = unreadable & ~raw.str.strip_chars(BLANKS).is_in(list(field.text_values)).fill_null(False)
    return unreadable


def repaired_polars(field: Field) -> pl.Expr:
    """Whether the cell was put right on reading: a value beside a text that, as it stands, does not say it.

    The text beside a number may also be the number itself, with more decimals than the column has.
    """
    column, raw = pl.col(field.name), pl.col(field.name + RAW_SUFFIX)
    both = column.is_not_null() & raw.is_not_null()
    if not field.is_numeric:
        return both
    return both & raw.str.strip_chars(BLANKS).cast(pl.Float64, strict=False).ne_missing(column)


def blank_polars(field: Field) -> pl.Expr:
    """Nothing was delivered in the cell. (A text cell of mere blanks is blank too.)"""
    blank = pl.col(field.name).is_null()
    return blank if field.kind == "text" else blank & pl.col(field.name + RAW_SUFFIX).is_null()


def hidden_polars(field: Field) -> pl.Expr | None:
    """The cell is not blank but has no usable value: unusable, or a valid word in a numeric column (视力 盲)."""
    if field.kind == "text":
        return None
    wordy = pl.col(field.name).is_null() & pl.col(field.name + RAW_SUFFIX).is_not_null()
    if field.dated_codes is not None:
        return wordy | _lapsed_polars(field, field.dated_codes)
    inside = _inside_polars(field)
    return wordy if inside is None else wordy | ~inside.fill_null(True)


def usable_duckdb(field: Field, table: str = "") -> str:
    """The cell's value, NULL where it is empty or unusable (unreadable, or outside the hard range)."""
    column = quoted_name(field.name, table)
    usable = _inside_duckdb(field, table)
    if field.dated_codes is not None:
        usable = f"NOT {_lapsed_duckdb(field, field.dated_codes, table)}"
    return column if usable is None else f"CASE WHEN {usable} THEN {column} END"


def unusable_duckdb(field: Field, table: str = "") -> str | None:
    """Whether the cell holds something that cannot be used: TRUE or FALSE. None for a text column: it always can."""
    unreadable = unreadable_duckdb(field, table)
    inside = _inside_duckdb(field, table)
    if unreadable is None or inside is None:
        return unreadable
    return f"({unreadable} OR NOT coalesce({inside}, TRUE))"


def unreadable_duckdb(field: Field, table: str = "") -> str | None:
    """Whether the cell holds text that could not be converted (the value is NULL, the delivered text is kept), or a
    code that was not in force on the service date."""
    if field.kind == "text":
        return None
    raw = quoted_name(field.name + RAW_SUFFIX, table)
    unreadable = f"{quoted_name(field.name, table)} IS NULL AND {raw} IS NOT NULL"
    if field.dated_codes is not None:
        unreadable += f" OR {_lapsed_duckdb(field, field.dated_codes, table)}"
    if field.text_values:
        words = ", ".join(quoted_text(word) for word in field.text_values)
        unreadable += f" AND trim({raw}, {quoted_text(BLANKS)}) NOT IN ({words})"
    return f"({unreadable})"


def repaired_duckdb(field: Field, table: str = "") -> str:
    """Whether the cell was put right on reading: a value beside a text that, as it stands, does not say it."""
    column, raw = quoted_name(field.name, table), quoted_name(field.name + RAW_SUFFIX, table)
    both = f"{column} IS NOT NULL AND {raw} IS NOT NULL"
    if field.is_numeric:
        both += f" AND TRY_CAST(trim({raw}, {quoted_text(BLANKS)}) AS DOUBLE) IS DISTINCT FROM {column}"
    return f"({both})"


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
    if field.dated_codes is not None:
        return f"({wordy} OR {_lapsed_duckdb(field, field.dated_codes, table)})"
    inside = _inside_duckdb(field, table)
    return wordy if inside is None else f"({wordy} OR NOT coalesce({inside}, TRUE))"


def quoted_name(column: str, table: str) -> str:
    quoted = '"' + column.replace('"', '""') + '"'
    return f"{table}.{quoted}" if table else quoted


def quoted_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _lapsed_polars(field: Field, dated: DatedCodes) -> pl.Expr:
    """Whether the cell holds a code not in force on the service date, TRUE or FALSE; without a date it cannot tell."""
    column, day = pl.col(field.name), pl.col(dated.service_date)
    day = day.dt.date() if dated.kind == "dt" else day
    lapsed = []
    for codes, spans in dated.spans:
        if field.kind == "multi":
            holds = reduce(or_, (column.list.contains(pl.lit(code)) for code in codes))
        else:
            holds = column.is_in(list(codes))
        lapsed.append(holds & ~reduce(or_, (_between_polars(day, *span) for span in spans)))
    return reduce(or_, lapsed).fill_null(False)


def _between_polars(day: pl.Expr, first: date | None, last: date | None) -> pl.Expr:
    if first is None or last is None:
        return day <= last if first is None else day >= first
    return day.is_between(first, last)


def _lapsed_duckdb(field: Field, dated: DatedCodes, table: str) -> str:
    column, day = quoted_name(field.name, table), quoted_name(dated.service_date, table)
    day = f"CAST({day} AS DATE)" if dated.kind == "dt" else day
    lapsed = []
    for codes, spans in dated.spans:
        listed = ", ".join(map(quoted_text, codes))
        holds = f"list_has_any({column}, [{listed}])" if field.kind == "multi" else f"{column} IN ({listed})"
        lapsed.append(f"({holds} AND NOT ({' OR '.join(_between_duckdb(day, *span) for span in spans)}))")
    return f"coalesce({' OR '.join(lapsed)}, FALSE)"


def _between_duckdb(day: str, first: date | None, last: date | None) -> str:
    if first is None or last is None:
        return f"{day} <= DATE '{last}'" if first is None else f"{day} >= DATE '{first}'"
    return f"{day} BETWEEN DATE '{first}' AND DATE '{last}'"


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
