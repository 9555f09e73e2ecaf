"""What the models of reports are handed as files: severe records, and every figure ever reported.

Belongs here: these files below HOME/warehouse/inputs. Does not belong here: vars (``report_vars``), the models.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.home import Home
from phqc_pipeline.warehouse.db import empty_select, literal, open_duckdb
from phqc_pipeline.warehouse.shapes import REPORTED_FIGURE

_SEVERE = {"form_id": "VARCHAR", "institution_code": "VARCHAR", "record_key": "VARCHAR"}
_VERSION = {
    "report_id": "VARCHAR",
    "delivered_by": "VARCHAR",
    "snapshot_date": "DATE",
    "file_id": "VARCHAR",
    **REPORTED_FIGURE,
}


def lay_severe_records(home: Home, findings: Path) -> None:
    """``inputs/severe_record.parquet``: form_id, institution_code, record_key of records with a severe finding.

    ``findings``: the folder of the record rules' findings; without it there are none.
    """
    files = sorted(findings.glob("*.parquet")) if findings.is_dir() else []
    query = empty_select(_SEVERE)
    if files:
        query = (
            "SELECT DISTINCT form_id, institution_code, subject_id AS record_key "
            f"FROM read_parquet({literal([str(path) for path in files])}, union_by_name = true) "
            "WHERE subject_kind = 'record' AND severity = '严重'"
        )
    _lay(home, "severe_record", query)


def lay_report_versions(home: Home, cat: Catalogue, files: pl.DataFrame | None) -> None:
    """``inputs/report_version.parquet``: every cell of every report file ever accepted. ``files``: the books."""
    query = empty_select(_VERSION)
    if files is not None and files.height:
        reports = files.filter(pl.col("form_id").is_in(list(cat.reports)) & (pl.col("status") == "accepted"))
        parts = [
            f"SELECT {literal(form_id)} AS report_id, {literal(code)} AS delivered_by, "
            f"{literal(day)} AS snapshot_date, {literal(file_id)} AS file_id, {_cells()} "
            f"FROM read_parquet({literal(str(path))})"
            for form_id, code, day, file_id in reports.select(
                "form_id", "institution_code", "snapshot_date", "file_id"
            ).iter_rows()
            if (path := home.lake / form_id / str(day) / code / f"{file_id}.parquet").is_file()
        ]
        query = " UNION ALL ".join(parts) or query
    _lay(home, "report_version", query)


def _cells() -> str:
    names = [name for name in _VERSION if name not in ("report_id", "delivered_by", "snapshot_date", "file_id")]
    return ", ".join(f"CAST({name} AS {_VERSION[name]}) AS {name}" for name in names)


def _lay(home: Home, name: str, query: str) -> None:
    inputs = home.warehouse / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    target = inputs / f"{name}.parquet"
    target.unlink(missing_ok=True)
    with open_duckdb(scratch=home.warehouse / "tmp") as connection:
        connection.execute(f"COPY ({query}) TO {literal(target)} (FORMAT parquet, COMPRESSION zstd)")
