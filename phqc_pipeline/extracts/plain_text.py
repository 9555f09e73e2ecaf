"""Typed values (of a workbook's cells, of Parquet columns) as the text a person would have typed.

Belongs here: numbers, dates, truth values → text. Does not belong here: text → values (``cells``).
"""

from __future__ import annotations

import duckdb
import polars as pl

from phqc_pipeline.extracts.dates import LOCAL_ZONE

#: A spreadsheet keeps this many digits. A whole number of more digits that went through a float is damaged.
SHEET_DIGITS = 15
_SINGLE_DIGITS = 7
_LONGEST_WHOLE = 10.0**SHEET_DIGITS


def as_text(series: pl.Series) -> pl.Series:
    """Every value as text: 1.0 as 1, dates as 2024-01-31, instants in Asia/Shanghai, lists joined by commas."""
    kind = series.dtype
    if kind in (pl.Float64, pl.Float32):
        return float_text(series)
    if isinstance(kind, pl.Datetime):
        if kind.time_zone:
            series = series.dt.convert_time_zone(LOCAL_ZONE).dt.replace_time_zone(None)
        return series.cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d %H:%M:%S%.f")
    if kind == pl.Duration:
        return series.dt.to_string("polars")
    if isinstance(kind, pl.List | pl.Array):
        return _joined(series.arr.to_list() if isinstance(kind, pl.Array) else series)
    if isinstance(kind, pl.Struct):
        return series.to_frame("cell").select(pl.col("cell").struct.json_encode()).to_series()
    if kind == pl.Boolean:
        return series.cast(pl.String).str.to_uppercase()
    return series.cast(pl.String)


def float_text(series: pl.Series) -> pl.Series:
    """Floats as a spreadsheet shows them: 1.0 as 1, 15 significant digits at most, large ones as 6.54301E+17.

    So 0.1 + 0.2 is 0.3, and an identity number that went through a float stays recognisable as damaged.
    """
    digits = _SINGLE_DIGITS if series.dtype == pl.Float32 else SHEET_DIGITS
    value = series.cast(pl.Float64)
    whole = (value == value.round(0)) & (value.abs() < _LONGEST_WHOLE)
    text = series.cast(pl.String).set(whole, None)
    text = text.fill_null(value.set(~whole, None).cast(pl.Int64, strict=False).cast(pl.String))
    long = ((text.str.len_bytes() > digits) & ~whole) | (value.abs() >= _LONGEST_WHOLE)
    long = (long & value.is_finite()).fill_null(False)
    if not long.any():
        return text
    return text.scatter(long.arg_true(), _formatted(value.filter(long), digits))


def _formatted(value: pl.Series, digits: int) -> pl.Series:
    numbers = value.alias("value").to_frame().with_row_index("place").to_arrow()
    with duckdb.connect() as connection:
        connection.register("numbers", numbers)
        query = f"SELECT upper(format('{{:.{digits}g}}', value)) AS text FROM numbers ORDER BY place"
        return pl.Series(connection.execute(query).to_arrow_table().column("text"))


def _joined(lists: pl.Series) -> pl.Series:
    """The texts of each list joined by commas; null for an empty one."""
    filled = (lists.list.len() > 0).fill_null(False)
    places = filled.arg_true()
    joined = pl.Series([None], dtype=pl.String).new_from_index(0, len(lists))
    if places.is_empty():
        return joined
    some = lists.filter(filled)
    owners = pl.DataFrame({"row": places, "times": some.list.len()}).select(pl.col("row").repeat_by("times").explode())
    texts = pl.DataFrame({"row": owners["row"], "text": as_text(some.explode())})
    found = texts.group_by("row", maintain_order=True).agg(pl.col("text").drop_nulls().str.join(","))
    return joined.scatter(found["row"], found["text"])
