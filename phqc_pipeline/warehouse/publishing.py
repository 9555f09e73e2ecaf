"""Publishing: a new DuckDB file of the contract's schemas alone, checked, then renamed over the old one.

Belongs here: copying, comments, the checks before the rename. Does not belong here: what the tables say.

The file is written in the storage format of DuckDB 1.0, because analysts' clients lag behind. A reader that has the old
file open keeps it; a night that fails publishes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from phqc_pipeline.home import Home
from phqc_pipeline.warehouse.db import identifier, literal, open_duckdb
from phqc_pipeline.warehouse.files import replace_file

#: The schemas analysts see (contract, section 3).
SCHEMAS = ("qc", "ingest", "records", "report", "indicator", "billing", "mart")
STORAGE_VERSION = "v1.0.0"


class PublishError(RuntimeError):
    """What was written is not what should have been; the old file stands."""


@dataclass(frozen=True)
class Published:
    """The published file: rows of each table (``qc.finding`` …) and its size in bytes."""

    path: Path
    rows: dict[str, int]
    size: int


def publish(home: Home) -> Published:
    """Replace ``published/phqc.duckdb`` by what the working file holds in the contract's schemas."""
    with replace_file(home.published_db) as aside:
        log = aside.with_name(aside.name + ".wal")
        log.unlink(missing_ok=True)  # of a publication that was killed: it would be replayed into the new file
        with open_duckdb(home.warehouse_db, scratch=home.warehouse / "tmp") as connection:
            names = _relations(connection)
            told = _descriptions(home)
            connection.execute(f"ATTACH {literal(aside)} AS pub (STORAGE_VERSION {literal(STORAGE_VERSION)})")
            connection.execute("BEGIN")  # one flush to disk, not one a comment
            for schema in SCHEMAS:
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS pub.{schema}")
            for schema, name in names:
                _copy(connection, schema, name, *told.get((schema, name), ("", {})))
            connection.execute("COMMIT")
            connection.execute("DETACH pub")
        rows = _check(aside, names)
        size = aside.stat().st_size
        if log.exists():
            raise PublishError(f"{log.name} 还在：新仓库文件没有写完")
    os.chmod(home.published_db, 0o644)
    return Published(home.published_db, rows, size)


def _relations(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Schema and name of every table and view to be published."""
    found = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() UNION ALL "
        "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"
    ).fetchall()
    return sorted((schema, name) for schema, name in found if schema in SCHEMAS)


def _descriptions(home: Home) -> dict[tuple[str, str], tuple[str, Mapping[str, str]]]:
    """What the dbt project says of each model: (schema, name) → its description and its columns'.

    dbt itself could put these into the database (``persist_docs``), and lists the columns of every view for every
    model to do so: half the time of a small night.
    """
    manifest = json.loads((home.dbt_work / "target" / "manifest.json").read_text(encoding="utf-8"))
    return {
        (node["schema"], node["alias"]): (
            node["description"],
            {name: column["description"] for name, column in node["columns"].items() if column["description"]},
        )
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
    }


def _copy(
    connection: duckdb.DuckDBPyConnection, schema: str, name: str, comment: str, columns: Mapping[str, str]
) -> None:
    """One table or view, as a table of the new file, with its comments."""
    source, target = f"{schema}.{identifier(name)}", f"pub.{schema}.{identifier(name)}"
    connection.execute(f"CREATE TABLE {target} AS SELECT * FROM {source}")
    if comment:
        connection.execute(f"COMMENT ON TABLE {target} IS {literal(comment)}")
    there = {row[0] for row in connection.execute(f"DESCRIBE {target}").fetchall()}
    for column, text in columns.items():
        if column in there:
            connection.execute(f"COMMENT ON COLUMN {target}.{identifier(column)} IS {literal(text)}")


def _check(path: Path, names: list[tuple[str, str]]) -> dict[str, int]:
    """Open the new file as a reader would: every table there and readable."""
    rows: dict[str, int] = {}
    with duckdb.connect(str(path), read_only=True) as reader:
        for schema, name in names:
            counted = reader.execute(f"SELECT count(*) FROM {schema}.{identifier(name)}").fetchone()
            assert counted is not None
            rows[f"{schema}.{name}"] = counted[0]
    for needed in ("qc.run", "qc.finding", "ingest.file"):
        if needed not in rows:
            raise PublishError(f"新仓库文件里没有 {needed}")
    if not rows["qc.run"]:
        raise PublishError("新仓库文件里没有任何一夜的运行")
    return rows
