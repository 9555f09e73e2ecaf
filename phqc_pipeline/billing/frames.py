"""Rows as frames in the shape that is published.

Belongs here: the types that DuckDB's names mean to Polars. Does not belong here: what the rows say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from phqc_pipeline.warehouse.billing_shapes import BILLING

_TYPES: Mapping[str, Any] = {
    "VARCHAR": pl.String,
    "BIGINT": pl.Int64,
    "INTEGER": pl.Int32,
    "DATE": pl.Date,
    "TIMESTAMP": pl.Datetime("us"),
    "BOOLEAN": pl.Boolean,
}
_DECIMAL = re.compile(r"DECIMAL\((\d+), (\d+)\)")


def schema_of(table: str) -> dict[str, Any]:
    """The columns of ``billing.<table>`` as Polars types."""
    found = {}
    for name, kind in BILLING[table].items():
        decimal = _DECIMAL.fullmatch(kind)
        found[name] = pl.Decimal(int(decimal[1]), int(decimal[2])) if decimal else _TYPES[kind]
    return found


def frame_of(table: str, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as ``billing.<table>`` has them; a column a row does not name is empty."""
    schema = schema_of(table)
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)
