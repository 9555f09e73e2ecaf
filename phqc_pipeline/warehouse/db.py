"""DuckDB connections and SQL text, in one place.

Belongs here: how a connection is opened (memory, threads, temporary files, clock) and how Python values become SQL.
Does not belong here: any question asked of the data.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb

#: What DuckDB may hold of data; beyond it, it spills to disk. The budget of the whole process is 1.5 GB for one
#: institution, of which Python, dbt and Polars take about half.
MEMORY_LIMIT = "768MB"
TIME_ZONE = "Asia/Shanghai"


def memory_limit() -> str:
    """DuckDB's memory limit: ``PHQC_DUCKDB_MEMORY`` (such as ``2GB``), else 768 MB."""
    return os.environ.get("PHQC_DUCKDB_MEMORY") or MEMORY_LIMIT


def thread_count() -> int:
    """DuckDB's threads: ``PHQC_DUCKDB_THREADS``, else the machine's cores, at most 4 (each costs buffers)."""
    return int(os.environ.get("PHQC_DUCKDB_THREADS") or min(4, os.cpu_count() or 1))


@contextmanager
def open_duckdb(
    path: Path | None = None, *, scratch: Path | None = None, read_only: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the project's limits, closed on the way out: to the file ``path``, or in memory.

    ``scratch``: where DuckDB may spill; without it, beside the file (in memory: it may not spill to a strange place).
    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit(),
        "threads": thread_count(),
        "preserve_insertion_order": "false",
    }
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
        settings["temp_directory"] = str(scratch)
    connection = duckdb.connect(":memory:" if path is None else str(path), read_only=read_only, config=settings)
    try:
        yield connection
    finally:
        connection.close()


def literal(value: object) -> str:
    """A Python value as SQL text: quoted string, number, DATE, boolean, list or NULL."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, Path):
        return literal(str(value))
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    raise TypeError(f"no SQL text for {type(value).__name__}")


def identifier(name: str) -> str:
    """A table or column name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def columns_sql(names: Iterable[str], prefix: str = "") -> str:
    """``a, b`` or ``t."a", t."b"``: a select list."""
    dot = f"{prefix}." if prefix else ""
    return ", ".join(dot + identifier(name) for name in names)


def empty_select(columns: dict[str, str]) -> str:
    """A query of no rows with these columns and DuckDB types: stands where a file is not there yet."""
    listed = ", ".join(f"NULL::{kind} AS {identifier(name)}" for name, kind in columns.items())
    return f"SELECT {listed} WHERE FALSE"
