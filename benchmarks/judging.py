"""Record rules evaluated and nothing besides: current rows, every rule, the violating records with their keys.

What a night does further (texts of findings, results by rule and institution, subjects present) is left out, so that
what is left compares with those who do no more. The parts are the runner's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from phqc_pipeline.catalogue import Catalogue, Context, Form
from phqc_pipeline.checks.evaluation import Evaluation
from phqc_pipeline.checks.lake import RECORD_KEY, Piece, pack, read_ahead, with_empty_columns
from phqc_pipeline.checks.population import judged, replaced_rows, taking_part
from phqc_pipeline.checks.schemas import judgements_for
from phqc_pipeline.extracts import Delivery

BATCH_ROWS = 100_000

Batch = tuple[pl.DataFrame, pl.Series | None]  # rows, and which of them take part (None: all)


def evaluation_of(
    cat: Catalogue, ctx: Context, form: Form, missing: frozenset[str] = frozenset(), rules: Sequence[str] | None = None
) -> Evaluation:
    return Evaluation(form, ctx, judgements_for(cat, form.form_id, ctx, missing, rules), missing)


def batches_of(evaluation: Evaluation, deliveries: Sequence[Delivery]) -> Iterator[Batch]:
    """The deliveries' rows with the columns the evaluation needs, and which of them are current."""
    takes_part = judged(evaluation.form)
    asked = takes_part.meta.root_names()
    needed = {*evaluation.columns, *asked, RECORD_KEY}
    columns = [name for name in evaluation.schema if name in needed]
    pieces, ordinal = [], 0
    for place, delivery in enumerate(deliveries):
        for file in delivery.files:
            pieces.append(Piece(file.path, file.rows, 0, file.rows, place, ordinal))
            ordinal += file.rows
    replaced = replaced_rows(evaluation.form, pieces, evaluation.schema)
    for _, read in read_ahead(pack(pieces, BATCH_ROWS), columns, evaluation.schema):
        rows = read()
        yield rows, taking_part(with_empty_columns(rows, asked, evaluation.schema), replaced, takes_part)


def violations(evaluation: Evaluation, batch: Batch) -> Iterator[pl.DataFrame]:
    """``rule_id`` and ``_record_key`` of the batch's violations, check by check."""
    rows, part = batch
    keys = rows[RECORD_KEY]
    for found in evaluation.on(rows).judge(rows, part).violations:
        rule = evaluation.judgements[found.position].check.rule.rule_id
        yield pl.DataFrame(
            {"rule_id": pl.repeat(rule, len(found.rows), eager=True), RECORD_KEY: keys.gather(found.rows)}
        )
