"""Findings of record rules: built by column where something is violated, written to Parquet as they come.

Belongs here: the columns of a finding and where each comes from, the writer. Does not belong here: what is violated
(``runner``), how values read (``wording``).

Only violating rows are gathered, check by check, in portions of bounded size; nothing here loops over records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue, Context, Form, RuleCheck
from phqc_pipeline.catalogue.model import ROOT_ITEMS
from phqc_pipeline.checks.assembling import Positions, assembled
from phqc_pipeline.checks.lake import INSTITUTION, RECORD_KEY, lake_schema, with_empty_columns
from phqc_pipeline.checks.masking import mask_misplaced_id
from phqc_pipeline.checks.schemas import Judgement, service_date_of
from phqc_pipeline.checks.wording import Text, Wording, columns_shown, what_is_shown

FINDING_SCHEMA: dict[str, pl.DataType] = {
    "institution_code": pl.String(),
    "form_id": pl.String(),
    "rule_id": pl.String(),
    "rule_version": pl.Int32(),
    "rule_fingerprint": pl.String(),
    "field": pl.String(),
    "subject_kind": pl.String(),
    "subject_id": pl.String(),
    "record_id": pl.String(),
    "archive_no": pl.String(),
    "doctor_name": pl.String(),
    "service_date": pl.Date(),
    "period": pl.String(),
    "dimension": pl.String(),
    "severity": pl.String(),
    "observed": pl.String(),
    "expected": pl.String(),
    "message": pl.String(),
    "suggestion": pl.String(),
    "root_item": pl.String(),
}
TEXTS = ("observed", "expected", "message", "suggestion")

_CELLS_AT_ONCE = 5_000_000  # gathered before findings are made of them: some 20 bytes each
_ROWS_AT_ONCE = 250_000  # findings written together: about 400 bytes each
_WITHOUT_CODE = {name: kind for name, kind in FINDING_SCHEMA.items() if name != "institution_code"}


@dataclass(frozen=True)
class Violations:
    """The rows (positions in the batch, ascending) on which one check is violated."""

    position: int  # of the check among the builder's judgements
    rows: Positions


@dataclass(frozen=True)
class _Gathered:
    """The violating rows of one batch, and by check (position) which of them violate it."""

    cells: pl.DataFrame
    rows: Mapping[int, Positions]


class FindingBuilder:
    """Turns violating rows of one form's batches into findings.

    ``columns`` are the lake columns it may need of a batch. Of every check only the cells it shows are gathered; they
    wait until enough rows have come together, for wording a few rows costs as much as wording thousands. Nothing is
    made ready for a check before it is violated.
    """

    def __init__(
        self,
        cat: Catalogue,
        form: Form,
        ctx: Context,
        judgements: Sequence[Judgement],
        missing_columns: frozenset[str] = frozenset(),
    ) -> None:
        self._cat = cat
        self._form = form
        self._ctx = ctx
        self._judgements = judgements
        self._missing_columns = missing_columns
        self._schema = lake_schema(form)
        self._keys = _keys(form)
        self._key_columns = frozenset(name for key in self._keys for name in key.meta.root_names())
        self._shown = [columns_shown(cat, judgement.check) for judgement in judgements]
        self.columns = self._key_columns.union(*self._shown)
        self._waiting: list[_Gathered] = []
        self._waiting_cells = 0

    def add(self, batch: pl.DataFrame, violations: Sequence[Violations]) -> Iterator[pl.DataFrame]:
        """Take the violating rows of a batch; yields findings (``_institution`` for ``institution_code``) when full."""
        if not violations:
            return
        shown = self._key_columns.union(*(self._shown[found.position] for found in violations))
        rows = np.unique(np.concatenate([found.rows for found in violations]))
        cells = batch.select(INSTITUTION, *(name for name in batch.columns if name in shown))
        cells = cells.select(pl.all().gather(rows))
        places = {found.position: np.searchsorted(rows, found.rows) for found in violations}
        self._waiting.append(_Gathered(cells, places))
        self._waiting_cells += cells.height * cells.width
        if self._waiting_cells >= _CELLS_AT_ONCE:
            yield self.drain()

    def drain(self) -> pl.DataFrame:
        """The findings of all rows still waiting."""
        waiting, self._waiting, self._waiting_cells = self._waiting, [], 0
        if not waiting:
            return pl.DataFrame(schema={INSTITUTION: pl.UInt32, **_WITHOUT_CODE})
        cells, rows = self._together(waiting)
        checks = [self._judgements[position].check for position in rows]
        known = what_is_shown(self._form, cells)
        made: dict[object, pl.Expr] = {}
        texts = [_texts(Wording(self._cat, check, self._ctx, self._missing_columns, known, made)) for check in checks]
        needed = {name for expr in made.values() for name in expr.meta.root_names()}
        whole = with_empty_columns(cells, {*needed, *self._key_columns}, self._schema)
        order = np.concatenate(list(rows.values()))
        written = assembled(whole, list(rows.values()), texts, TEXTS)
        which = np.repeat(np.arange(len(checks)), [len(found) for found in rows.values()])
        fixed = _constants(self._form, checks).select(pl.all().gather(which))
        keys = whole.select(INSTITUTION, *self._keys).select(pl.all().gather(order))
        return pl.concat([keys, fixed, written], how="horizontal").select(INSTITUTION, *_WITHOUT_CODE)

    def _together(self, waiting: Sequence[_Gathered]) -> tuple[pl.DataFrame, dict[int, Positions]]:
        """The cells of all batches (a column that a batch lacks is empty there), and every check's rows in them."""
        names = list(dict.fromkeys(name for part in waiting for name in part.cells.columns))
        found: dict[int, list[Positions]] = {}
        start = 0
        for part in waiting:
            for position, rows in part.rows.items():
                found.setdefault(position, []).append(rows + start)
            start += part.cells.height
        cells = pl.concat(with_empty_columns(part.cells, names, self._schema).select(names) for part in waiting)
        return cells.rechunk(), {position: np.concatenate(found[position]) for position in sorted(found)}


class FindingWriter:
    """Writes one form's findings as ``<form_id>.<n>.parquet``, a file whenever enough have come together."""

    def __init__(self, folder: Path, form_id: str, institutions: Sequence[str]) -> None:
        self._folder = folder
        self._form_id = form_id
        self._codes = pl.Series("institution_code", institutions, dtype=pl.String)
        self._waiting: list[pl.DataFrame] = []
        self._waiting_rows = 0
        self._files: list[Path] = []
        self.written = 0

    def add(self, findings: pl.DataFrame) -> None:
        """Findings as the builder makes them."""
        if findings.is_empty():
            return
        self._waiting.append(findings)
        self._waiting_rows += findings.height
        if self._waiting_rows >= _ROWS_AT_ONCE:
            self._flush()

    def withdraw(self, institutions: Collection[int]) -> None:
        """Take back every finding of these institutions (positions), as their records are to be judged again."""
        if not institutions:
            return
        self._flush()
        codes = [self._codes[position] for position in institutions]
        for path in self._files:
            kept = pl.read_parquet(path).filter(~pl.col("institution_code").is_in(codes))
            kept.write_parquet(path)
        self.written = sum(pl.scan_parquet(path).select(pl.len()).collect().item() for path in self._files)

    def close(self) -> None:
        self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        findings = pl.concat(self._waiting)
        code = self._codes.gather(findings[INSTITUTION])
        path = self._folder / f"{self._form_id}.{len(self._files)}.parquet"
        findings.select(code, *_WITHOUT_CODE).write_parquet(path)
        self._files.append(path)
        self.written += findings.height
        self._waiting, self._waiting_rows = [], 0


def _texts(wording: Wording) -> dict[str, Text]:
    return {
        "observed": wording.observed(),
        "expected": wording.expected(),
        "message": wording.message(),
        "suggestion": wording.suggestion(),
    }


def _constants(form: Form, checks: Sequence[RuleCheck]) -> pl.DataFrame:
    """One row a check: everything about its findings, but their texts, that is the same for every record."""
    rows = [
        {
            "form_id": form.form_id,
            "rule_id": check.rule.rule_id,
            "rule_version": check.rule.version,
            "rule_fingerprint": check.rule.fingerprint,
            "field": check.field,
            "subject_kind": check.rule.subject_kind,
            "period": "",  # no record rule counts over a period (contract, section 3)
            "dimension": check.rule.dimension,
            "severity": check.rule.severity,
            "root_item": check.rule.root or (check.field if check.field in ROOT_ITEMS else None),
        }
        for check in checks
    ]
    names = [name for name in FINDING_SCHEMA if name not in (*_KEY_NAMES, *TEXTS)]
    return pl.DataFrame(rows, schema={name: FINDING_SCHEMA[name] for name in names})


_KEY_NAMES = ("institution_code", "subject_id", "record_id", "archive_no", "doctor_name", "service_date")


def _keys(form: Form) -> list[pl.Expr]:
    """What says whose record it is, from the lake; a form without such a column has NULL."""
    record_id, archive_no, doctor_name = (
        pl.col(name) if form.has(name) else pl.lit(None, pl.String)
        for name in ("record_id", "archive_no", "doctor_name")
    )
    return [
        mask_misplaced_id(pl.col(RECORD_KEY)).alias("subject_id"),
        mask_misplaced_id(record_id).alias("record_id"),
        mask_misplaced_id(archive_no).alias("archive_no"),
        doctor_name.alias("doctor_name"),
        service_date_of(form).alias("service_date"),
    ]
