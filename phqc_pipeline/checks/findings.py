"""Findings of record rules: built by column where something is violated, written to Parquet as they come.

Belongs here: the columns of a finding and where each comes from, the writer. Does not belong here: what is violated
(``runner``), how values read (``wording``).

Only violating rows are gathered, check by check, in portions of bounded size; nothing here loops over records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from phqc_pipeline.catalogue import Catalogue, Context, Form
from phqc_pipeline.catalogue.model import ROOT_ITEMS
from phqc_pipeline.checks.lake import INSTITUTION, RECORD_KEY
from phqc_pipeline.checks.masking import mask_misplaced_id
from phqc_pipeline.checks.schemas import Judgement, service_date_of
from phqc_pipeline.checks.wording import Text, Wording

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

_ROWS_AT_ONCE = 250_000  # findings built together: about 400 bytes each
_CHECK = "_check"
_WITHOUT_CODE = {name: kind for name, kind in FINDING_SCHEMA.items() if name != "institution_code"}


@dataclass(frozen=True)
class Violations:
    """The rows (positions in the batch, ascending) on which one check is violated."""

    position: int  # of the check among the builder's judgements
    rows: pl.Series


class FindingBuilder:
    """Turns violating rows of one form's batches into findings.

    ``columns`` are the lake columns it needs of a batch. Of every check only the cells it shows are gathered; they
    wait until enough rows have come together, for wording a few rows costs as much as wording thousands. What does not
    depend on the record (rule, severity, texts without placeholders) is laid down once.
    """

    def __init__(
        self,
        cat: Catalogue,
        form: Form,
        ctx: Context,
        judgements: Sequence[Judgement],
        missing_columns: frozenset[str] = frozenset(),
    ) -> None:
        texts = [_texts(Wording(cat, judgement.check, ctx, missing_columns)) for judgement in judgements]
        self._constants = _constants(form, judgements, texts)
        keys = _keys(form)
        self._written = [
            [pl.col(INSTITUTION), *keys, *(_as_expression(text).alias(name) for name, text in found.items())]
            for found in texts
        ]
        self._columns_of = [
            sorted({name for expression in written for name in expression.meta.root_names()})
            for written in self._written
        ]
        self.columns = frozenset(name for found in self._columns_of for name in found) - {INSTITUTION}
        self._waiting: dict[int, list[pl.DataFrame]] = {}
        self._waiting_rows = 0

    def add(self, batch: pl.DataFrame, violations: Sequence[Violations]) -> Iterator[pl.DataFrame]:
        """Take the violating rows of a batch; yields findings (``_institution`` for ``institution_code``) when full."""
        for found in violations:
            rows = batch.select(self._columns_of[found.position])[found.rows]
            self._waiting.setdefault(found.position, []).append(rows)
            self._waiting_rows += rows.height
            if self._waiting_rows >= _ROWS_AT_ONCE:
                yield self.drain()

    def drain(self) -> pl.DataFrame:
        """The findings of all rows still waiting."""
        written = [
            pl.concat(rows).select(*self._written[position], pl.lit(position, pl.UInt32).alias(_CHECK))
            for position, rows in sorted(self._waiting.items())
        ]
        self._waiting, self._waiting_rows = {}, 0
        if not written:
            return pl.DataFrame(schema={INSTITUTION: pl.UInt32, **_WITHOUT_CODE})
        findings = pl.concat(written)
        constants = self._constants[findings[_CHECK]]
        filled = [pl.coalesce(findings[name], constants[name]).alias(name) for name in TEXTS]
        whole = pl.concat([findings.drop(*TEXTS, _CHECK), constants.drop(TEXTS)], how="horizontal")
        return whole.with_columns(filled).select(INSTITUTION, *_WITHOUT_CODE)


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


def _as_expression(text: Text) -> pl.Expr:
    """NULL for a text that is the same for every record: that comes from the constants."""
    return text if isinstance(text, pl.Expr) else pl.lit(None, pl.String)


def _constants(form: Form, judgements: Sequence[Judgement], texts: Sequence[dict[str, Text]]) -> pl.DataFrame:
    """One row a check: everything about its findings that is the same for every record."""
    rows = []
    for judgement, found in zip(judgements, texts, strict=True):
        rule, field = judgement.check.rule, judgement.check.field
        fixed = {name: text if isinstance(text, str) else None for name, text in found.items()}
        rows.append(
            {
                "form_id": form.form_id,
                "rule_id": rule.rule_id,
                "rule_version": rule.version,
                "rule_fingerprint": rule.fingerprint,
                "field": field,
                "subject_kind": rule.subject_kind,
                "period": "",  # no record rule counts over a period (contract, section 3)
                "dimension": rule.dimension,
                "severity": rule.severity,
                **fixed,
                "root_item": rule.root or (field if field in ROOT_ITEMS else None),
            }
        )
    names = [name for name in FINDING_SCHEMA if name not in _KEY_NAMES]
    return pl.DataFrame(rows, schema={name: FINDING_SCHEMA[name] for name in names})


_KEY_NAMES = ("institution_code", "subject_id", "record_id", "archive_no", "doctor_name", "service_date")


def _keys(form: Form) -> list[pl.Expr]:
    """What says whose record it is, from the lake; a form without such a column has NULL."""
    record_id, archive_no, doctor_name = (
        pl.col(name) if form.has(name) else pl.lit(None, pl.String)
        for name in ("record_id", "archive_no", "doctor_name")
    )
    return [
        pl.col(RECORD_KEY).alias("subject_id"),
        record_id.alias("record_id"),
        mask_misplaced_id(archive_no).alias("archive_no"),
        doctor_name.alias("doctor_name"),
        service_date_of(form).alias("service_date"),
    ]
