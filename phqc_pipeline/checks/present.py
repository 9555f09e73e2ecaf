"""Which subjects took part in quality control tonight, so that a vanished one's findings can be retired.

Belongs here: the subjects that judged records make present (the record, its person, its household), their hash.
Does not belong here: what follows from absence (``warehouse.life``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl

from phqc_pipeline.catalogue import Form
from phqc_pipeline.checks.lake import INSTITUTION, RECORD_KEY

PRESENT_SCHEMA: dict[str, pl.DataType] = {
    "institution_code": pl.String(),
    "form_id": pl.String(),
    "subject_kind": pl.String(),
    "subject_id_hash": pl.UInt64(),
}
#: Subject kind → the column that holds its id.
SUBJECTS = {"record": RECORD_KEY, "person": "archive_no", "household": "household_id"}


class PresentWriter:
    """Collects the subjects of one form's judged records and writes ``<form_id>.parquet``: each subject once.

    The hash is DuckDB's ``md5_number_lower``, so that whoever folds the nights can compute it too. Batches are kept on
    disk until ``close`` makes each subject unique; memory holds one batch.
    """

    def __init__(self, folder: Path, form: Form, institutions: Sequence[str]) -> None:
        self._path = folder / f"{form.form_id}.parquet"
        self._form = form
        self._codes = pl.DataFrame(
            {INSTITUTION: range(len(institutions)), "institution_code": list(institutions)},
            schema={INSTITUTION: pl.UInt32, "institution_code": pl.String},
        )
        self._subjects = {kind: name for kind, name in SUBJECTS.items() if kind == "record" or form.has(name)}
        self._parts: dict[str, list[Path]] = {kind: [] for kind in self._subjects}

    @property
    def columns(self) -> frozenset[str]:
        """The lake columns it needs of a batch."""
        return frozenset(self._subjects.values())

    def add(self, judged: pl.DataFrame) -> None:
        """The judged rows of one batch."""
        if judged.is_empty():
            return
        for kind, column in self._subjects.items():
            subjects = judged.select(INSTITUTION, pl.col(column).alias("subject_id"))
            if kind != "record":  # records are unique already
                subjects = subjects.drop_nulls().unique()
            part = self._path.with_suffix(f".{kind}{len(self._parts[kind])}")
            subjects.write_parquet(part, compression="uncompressed", statistics=False)
            self._parts[kind].append(part)

    def close(self) -> None:
        with duckdb.connect() as db:
            db.execute("SET preserve_insertion_order = false")
            db.register("institution", self._codes.to_arrow())
            db.execute(self._query())
        for part in (part for parts in self._parts.values() for part in parts):
            part.unlink()

    def _query(self) -> str:
        kinds = [
            f"SELECT {_quoted(kind)} AS subject_kind, {INSTITUTION}, subject_id FROM "
            + (f"(SELECT DISTINCT {INSTITUTION}, subject_id FROM {files})" if kind != "record" else files)
            for kind, parts in self._parts.items()
            if parts and (files := f"read_parquet([{', '.join(map(_quoted, parts))}])")
        ]
        nobody = f"SELECT '' AS subject_kind, 0 AS {INSTITUTION}, '' AS subject_id WHERE false"
        return (
            f"COPY (SELECT institution_code, {_quoted(self._form.form_id)} AS form_id, subject_kind,"
            f" md5_number_lower(subject_id) AS subject_id_hash"
            f" FROM ({' UNION ALL '.join(kinds or [nobody])}) JOIN institution USING ({INSTITUTION}))"
            f" TO {_quoted(self._path)} (FORMAT parquet)"
        )


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
