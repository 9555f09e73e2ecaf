"""Which subjects took part in quality control tonight, so that a vanished one's findings can be retired.

Belongs here: the subjects that judged records make present (the record, its person, its household).
Does not belong here: what follows from absence (``warehouse.life``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from phqc_pipeline.catalogue import Form
from phqc_pipeline.checks.lake import INSTITUTION, RECORD_KEY
from phqc_pipeline.checks.masking import mask_misplaced_id

PRESENT_SCHEMA: dict[str, pl.DataType] = {
    "institution_code": pl.String(),
    "form_id": pl.String(),
    "subject_kind": pl.String(),
    "subject_id": pl.String(),
}
#: Subject kind → the column that holds its id.
SUBJECTS = {"record": RECORD_KEY, "person": "archive_no", "household": "household_id"}

_ROWS_IN_MEMORY = 500_000  # subjects of one kind kept before they go to disk: about 40 bytes each


class PresentWriter:
    """Collects the subjects of one form's judged records and writes ``<form_id>.parquet``: each subject once.

    Memory holds a bounded number of subjects until ``close`` makes each unique.
    """

    def __init__(self, folder: Path, form: Form, institutions: Sequence[str]) -> None:
        self._path = folder / f"{form.form_id}.parquet"
        self._form = form
        self._codes = pl.Series("institution_code", institutions, dtype=pl.String)
        self._subjects = {kind: name for kind, name in SUBJECTS.items() if kind == "record" or form.has(name)}
        self._waiting: dict[str, list[pl.DataFrame]] = {kind: [] for kind in self._subjects}
        self._parts: dict[str, list[Path]] = {kind: [] for kind in self._subjects}

    @property
    def columns(self) -> frozenset[str]:
        """The lake columns it needs of a batch."""
        return frozenset(self._subjects.values())

    def add(self, batch: pl.DataFrame, judged: pl.Series | None) -> None:
        """The rows of one batch; ``judged`` says which of them are (None: all)."""
        for kind, column in self._subjects.items():
            subjects = batch.select(INSTITUTION, mask_misplaced_id(pl.col(column)).alias("subject_id"))
            subjects = subjects if judged is None else subjects.filter(judged)
            if kind != "record":  # records are unique already
                subjects = subjects.drop_nulls().unique()
            self._keep(kind, subjects)

    def close(self) -> None:
        """Write the file."""
        kinds = [self._written(kind) for kind in self._subjects]
        pl.concat(kinds).sink_parquet(self._path, compression="lz4", statistics=False)
        for part in (part for parts in self._parts.values() for part in parts):
            part.unlink()

    def _keep(self, kind: str, subjects: pl.DataFrame) -> None:
        waiting = self._waiting[kind]
        waiting.append(subjects)
        if sum(frame.height for frame in waiting) >= _ROWS_IN_MEMORY:
            part = self._path.with_suffix(f".{kind}{len(self._parts[kind])}")
            pl.concat(waiting).write_parquet(part, compression="uncompressed", statistics=False)
            self._parts[kind].append(part)
            waiting.clear()

    def _written(self, kind: str) -> pl.LazyFrame:
        nobody = pl.LazyFrame(schema={INSTITUTION: pl.UInt32, "subject_id": pl.String})
        parts = [pl.scan_parquet(part, glob=False) for part in self._parts[kind]]
        subjects = pl.concat([nobody, *parts, *(frame.lazy() for frame in self._waiting[kind])])
        if kind != "record":
            subjects = subjects.unique()
        return subjects.select(
            pl.lit(self._codes).gather(INSTITUTION).alias("institution_code"),
            pl.lit(self._form.form_id).alias("form_id"),
            pl.lit(kind).alias("subject_kind"),
            "subject_id",
        )
