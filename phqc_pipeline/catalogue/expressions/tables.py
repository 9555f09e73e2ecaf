"""Constants and small tables that both renderers compute with, so that they cannot differ."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import polars as pl

from phqc_pipeline.catalogue.expressions.patterns import alternation
from phqc_pipeline.catalogue.model import CodeList, GrowthTable, Scalar

ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643, ISO 7064 MOD 11-2
ID_18 = "^[0-9]{17}[0-9Xx]$"
ID_15 = "^[0-9]{15}$"
PLAUSIBLE_YEAR = "^(18|19|20|21)"  # other years in an identity number are not a date
WHOLE_NUMBER = "^[+-]?[0-9]{1,15}$"  # fifteen digits: what a DOUBLE holds exactly
MOST_EXACT = 10**15
FIRST_DAY = -719_162  # 0001-01-01, in days from 1970-01-01
DECIMAL_NUMBER = r"^[+-]?[0-9]{1,15}(\.[0-9]{1,15})?$"
DECIMALS = r"^[ \t]*[+-]?[0-9]+(?:\.([0-9]*?)0*)?[ \t]*$"
BLANKS = " \t\r\n\u3000\u00a0"


@lru_cache(maxsize=1)
def day_numbers() -> pl.Series:
    """20240131 for every day from ``FIRST_DAY`` to 9999-12-31, Int32: a look costs a tenth of computing it."""
    months = np.arange("0001-01", "10000-01", dtype="datetime64[M]")
    days = np.diff(np.append(months, months[-1:] + 1).astype("datetime64[D]")).astype(np.int32)
    begins = np.cumsum(days, dtype=np.int32) - days
    place = np.arange(len(months), dtype=np.int32)
    month = (place // 12 + 1) * 10_000 + (place % 12 + 1) * 100 + 1
    return pl.Series(np.repeat(month - begins, days) + np.arange(days.sum(), dtype=np.int32))


@lru_cache(maxsize=1)
def id_weighed() -> tuple[pl.Series, ...]:
    """The weighted sum of an identity number's first 17 digits is looked up in four parts: 5, 4, 4 and 4 digits of
    which every value has its sum here, modulo 11."""
    parts = (ID_WEIGHTS[:5], ID_WEIGHTS[5:9], ID_WEIGHTS[9:13], ID_WEIGHTS[13:])
    return tuple(
        pl.Series(
            sum(
                np.arange(10 ** len(weights)) // 10 ** (len(weights) - 1 - place) % 10 * weight
                for place, weight in enumerate(weights)
            )
            % 11,
            dtype=pl.UInt8,
        )
        for weights in parts
    )


@lru_cache(maxsize=256)
def names_pattern(code_list: CodeList) -> str:
    """The pattern that finds any name or synonym of the list in a text; where two start together the longer wins."""
    return alternation(word for code in code_list.codes for word in (code.name, *code.synonyms))


@lru_cache(maxsize=256)
def attribute_tables(code_list: CodeList, attribute: str) -> tuple[dict[str, Scalar], dict[str, Scalar]]:
    """Attribute values by every whole spelling (code, name, synonym), and by name or synonym alone.

    A spelling of several entries belongs to the first; an entry without the attribute maps to None.
    """
    whole: dict[str, Scalar] = {code.code: code.attrs.get(attribute) for code in reversed(code_list.codes)}
    mentioned: dict[str, Scalar] = {}
    for code in code_list.codes:
        for word in filter(None, (code.name, *code.synonyms)):
            mentioned.setdefault(word, code.attrs.get(attribute))
            whole.setdefault(word, code.attrs.get(attribute))
    return whole, mentioned


@lru_cache(maxsize=32)
def growth_curves(table: GrowthTable) -> Mapping[str, pl.Series]:
    """``l``, ``m``, ``s`` and the measurements at −3, −2, 2 and 3 standard deviations, by row of the table."""
    frame = pl.DataFrame(table.lms, schema=dict.fromkeys(("l", "m", "s"), pl.Float64), orient="row")
    at = {"low3": -3, "low2": -2, "high2": 2, "high3": 3}
    skewed = pl.col("l") != 0.0
    columns = [
        pl.when(skewed)
        .then(pl.col("m") * (1.0 + pl.col("l") * pl.col("s") * k).pow(1.0 / pl.col("l")))
        .otherwise(pl.col("m") * (pl.col("s") * k).exp())
        .alias(name)
        for name, k in at.items()
    ]
    return {column.name: column for column in frame.with_columns(columns)}


@lru_cache(maxsize=32)
def growth_text(table: GrowthTable) -> tuple[str, int]:
    """The figures as one text, ``l,m,s`` row after row, and the characters of a row.

    As one text, and read row by row where it is needed: a literal of thousands of numbers takes DuckDB a hundred times
    as long to plan.
    """
    rows = [f"{low!r},{middle!r},{spread!r}" for low, middle, spread in table.lms]
    width = max(map(len, rows))
    return "".join(row.ljust(width) for row in rows), width
