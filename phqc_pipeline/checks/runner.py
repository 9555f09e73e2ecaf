"""The nightly evaluation of record rules: lake to findings, results and the subjects present.

Belongs here: going through forms, deliveries and batches; what happens when a file or a check fails.
Does not belong here: the expressions (``schemas``), their evaluation (``evaluation``), what is written (``findings``,
``results``, ``present``).

A check that raises costs only itself, and only where it raises: its institution gets ``error`` for it and is judged
again without it, so that the result never depends on which records happened to share a batch. A file that cannot be
read costs its institution's form.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from phqc_pipeline.catalogue import Catalogue, Context, Form
from phqc_pipeline.checks.evaluation import CompileError, Evaluation, FusedError
from phqc_pipeline.checks.findings import FINDING_SCHEMA, FindingBuilder, FindingWriter
from phqc_pipeline.checks.lake import (
    INSTITUTION,
    Batch,
    LakeError,
    Piece,
    pack,
    read_ahead,
    read_held,
    with_empty_columns,
)
from phqc_pipeline.checks.population import (
    columns_compared,
    in_sample,
    judged,
    replaced_here,
    replaced_rows,
    taking_part,
)
from phqc_pipeline.checks.present import PresentWriter
from phqc_pipeline.checks.results import (
    RESULT_SCHEMA,
    Tally,
    lacking_reasons,
    not_asked,
    not_received,
    unjudged_results,
)
from phqc_pipeline.checks.schemas import ResultKey, checks_of, judgements_for, not_evaluable

if TYPE_CHECKING:
    from phqc_pipeline.extracts import Delivery

# Polars keeps all cores busy within a batch, but not while findings are worded or files opened: two forms take turns.
_FORMS_AT_ONCE = 2

# A wide form's batch holds fewer rows. Of its columns a third holds anything: with what checks compute on the way, some
# 30 bytes a cell.
_CELLS_PER_BATCH = 40_000_000


@dataclass(frozen=True)
class RecordJudgement:
    """What a night's record rules came to. ``evaluations``: rule × record judgements made (checked, added up).

    ``errors``: one line a rule, form and institution that could not be judged for a fault of rule or file.
    """

    records_read: int
    records_judged: int
    evaluations: int
    findings: int
    results: int
    errors: tuple[str, ...] = ()


def judge_records(
    cat: Catalogue,
    deliveries: Sequence[Delivery],
    ctx: Context,
    out: Path,
    *,
    institutions: Collection[str] | None = None,
    forms: Collection[str] | None = None,
    rules: Collection[str] | Mapping[str, Collection[str]] | None = None,
    records_from: date | None = None,
    sample: Path | None = None,
    refused: Mapping[str, str] | None = None,
    batch_rows: int = 100_000,
    log: Callable[[str], None] | None = None,
) -> RecordJudgement:
    """Judge every current record of the deliveries in force by every record rule of its form.

    Writes ``out/findings/*.parquet``, ``out/results.parquet``, ``out/present/*.parquet`` (the columns are those of
    ``FINDING_SCHEMA``, ``RESULT_SCHEMA``, ``PRESENT_SCHEMA``). ``institutions``, ``forms``, ``rules`` narrow what is
    judged (None: those delivered, all, all; ``rules`` may be a form's own); an institution that never delivered one of
    ``forms`` is in the results as ``not_evaluable``. ``records_from`` leaves out records served earlier; ``sample``:
    Parquet of the only records to judge (institution_code, form_id, record_key). ``refused``: institution → why it may
    not be judged; every rule is ``not_evaluable`` there, for that reason. ``batch_rows`` bounds memory and never
    changes a result. Forms are judged two at a time.
    """
    refused = refused or {}
    expected = {entry.institution_code for entry in deliveries} if institutions is None else set(institutions)
    turned_away = {code: refused[code] for code in sorted(expected & refused.keys())}
    expected -= turned_away.keys()
    chosen = [entry for entry in deliveries if entry.institution_code in expected]
    for folder in ("findings", "present"):
        shutil.rmtree(out / folder, ignore_errors=True)
        (out / folder).mkdir(parents=True)
    night = _Night(cat, ctx, out, sorted(expected), rules, records_from, sample, batch_rows, turned_away)
    asked = list(cat.forms if forms is None else forms)
    delivered = {
        form_id: sorted((entry for entry in chosen if entry.form_id == form_id), key=lambda d: d.institution_code)
        for form_id in asked
    }
    with ThreadPoolExecutor(_FORMS_AT_ONCE, thread_name_prefix="record-rules") as pool:
        # The longest first, so that none is left to run alone at the end.
        begun = {
            form_id: pool.submit(_judge_form, night, cat.form(form_id), delivered[form_id])
            for form_id in sorted(asked, key=lambda form_id: -sum(map(_rows_of, delivered[form_id])))
        }
        done: list[_FormOutcome] = []
        for form_id in asked:
            done.append(begun[form_id].result())
            if log is not None and delivered[form_id]:
                log(done[-1].summary)
    pl.DataFrame(schema=FINDING_SCHEMA).write_parquet(out / "findings" / "_none.parquet")  # a night without findings
    results = pl.concat([pl.DataFrame(schema=RESULT_SCHEMA), *(outcome.results for outcome in done)])
    results.write_parquet(out / "results.parquet")
    return RecordJudgement(
        records_read=sum(outcome.read for outcome in done),
        records_judged=sum(outcome.judged for outcome in done),
        evaluations=int(results["checked"].sum()),
        findings=sum(outcome.findings for outcome in done),
        results=results.height,
        errors=_errors(results),
    )


@dataclass(frozen=True)
class _Night:
    """What is the same for every form."""

    cat: Catalogue
    ctx: Context
    out: Path
    institutions: Sequence[str]
    rules: Collection[str] | Mapping[str, Collection[str]] | None
    records_from: date | None
    sample: Path | None
    batch_rows: int
    refused: Mapping[str, str]

    def rules_on(self, form: Form) -> Collection[str] | None:
        """The ids to judge on a form; None: all."""
        return self.rules.get(form.form_id, ()) if isinstance(self.rules, Mapping) else self.rules

    def sampled(self, form: Form) -> pl.DataFrame | None:
        """institution_code and record_key of the form's records to judge; None: all."""
        if self.sample is None:
            return None
        drawn = pl.scan_parquet(self.sample, glob=False).filter(pl.col("form_id") == form.form_id)
        return drawn.select("institution_code", "record_key").collect()


@dataclass(frozen=True)
class _FormOutcome:
    form: Form
    results: pl.DataFrame
    read: int = 0
    judged: int = 0
    findings: int = 0

    @property
    def summary(self) -> str:
        checks = self.results.select("rule_id", "field").n_unique()
        records = f"判 {self.judged} 条记录（读入 {self.read} 行）× {checks} 项检查"
        return f"{self.form.title}：{records}，问题 {self.findings} 条"


def _judge_form(night: _Night, form: Form, deliveries: Sequence[Delivery]) -> _FormOutcome:
    """Deliveries that lack the same columns are judged together, however many institutions that is."""
    codes = [delivery.institution_code for delivery in deliveries]
    received = set(codes)
    absent = [code for code in night.institutions if code not in received]
    checks = checks_of(night.cat, form.form_id, night.rules_on(form))
    results = [not_received(form, absent, checks), not_asked(form, night.refused, checks)]
    run = _FormRun(
        night,
        form,
        deliveries,
        FindingWriter(night.out / "findings", form.form_id, codes),
        PresentWriter(night.out / "present", form, codes),
    )
    for missing, positions in run.alike().items():
        results.extend(_judge_alike(run, missing, positions))
    run.findings.close()
    run.present.close()
    read = sum(map(_rows_of, deliveries))
    return _FormOutcome(form, pl.concat(results), read, run.judged, run.findings.written)


@dataclass
class _FormRun:
    """One form's evaluation under way."""

    night: _Night
    form: Form
    deliveries: Sequence[Delivery]
    findings: FindingWriter
    present: PresentWriter
    judged: int = 0

    def alike(self) -> dict[frozenset[str], list[int]]:
        """Positions of the deliveries by the columns they lack."""
        alike: dict[frozenset[str], list[int]] = {}
        for position in range(len(self.deliveries)):
            alike.setdefault(self.missing(position), []).append(position)
        return alike

    def missing(self, position: int) -> frozenset[str]:
        """Columns to fill that the delivery lacks (0a.7, 0a.8); any other that is not there reads as empty, and so does
        a whole group that was left out."""
        return self.form.blocking(self.deliveries[position].missing_columns)

    def pieces(self, positions: Sequence[int]) -> list[Piece]:
        """Every file of the deliveries at ``positions`` as one piece, rows numbered through."""
        pieces: list[Piece] = []
        ordinal = 0
        for position in positions:
            for file in self.deliveries[position].files:
                pieces.append(Piece(file.path, file.rows, 0, file.rows, position, ordinal))
                ordinal += file.rows
        return pieces


@dataclass
class _Trouble:
    """What went wrong in a pass: by delivery (its position) the checks that raised, or why it cannot be read."""

    raised: dict[int, dict[ResultKey, str]] = field(default_factory=dict)
    unreadable: dict[int, str] = field(default_factory=dict)

    @property
    def positions(self) -> set[int]:
        return {*self.raised, *self.unreadable}

    def alike(self) -> list[tuple[list[int], dict[ResultKey, str]]]:
        """Readable deliveries on which the same checks raised, and those checks."""
        alike: dict[frozenset[ResultKey], list[int]] = {}
        for position, raised in self.raised.items():
            if position not in self.unreadable:
                alike.setdefault(frozenset(raised), []).append(position)
        return [(sorted(positions), self.raised[positions[0]]) for positions in alike.values()]


def _judge_alike(run: _FormRun, missing: frozenset[str], positions: Sequence[int]) -> Iterator[pl.DataFrame]:
    """Judge deliveries that lack the same columns; yields their results.

    Deliveries on which some check raised are judged again without it, until none raises.
    """
    form, night = run.form, run.night
    whose = {position: run.deliveries[position].institution_code for position in positions}
    judgements = judgements_for(night.cat, form.form_id, night.ctx, missing, night.rules_on(form))
    lacking = not_evaluable(checks_of(night.cat, form.form_id, night.rules_on(form)), missing)
    yield unjudged_results(form, list(whose.values()), lacking_reasons(form, lacking), "not_evaluable")

    waiting: list[tuple[list[int], dict[ResultKey, str]]] = [(list(positions), {})]
    first = True
    while waiting:
        asked, failed = waiting.pop()
        evaluation = Evaluation(form, night.ctx, judgements, missing, frozenset(failed))
        tally = Tally([judgement.result_key for judgement in evaluation.judgements])
        trouble = _pass(run, evaluation, asked, tally, first=first)
        first = False
        run.findings.withdraw(trouble.positions)
        sound = {position: whose[position] for position in asked if position not in trouble.positions}
        yield tally.results(form, sound)
        yield unjudged_results(form, list(sound.values()), failed, "error")
        for position, reason in trouble.unreadable.items():
            reasons = dict.fromkeys((judgement.result_key for judgement in judgements), reason)
            yield unjudged_results(form, [whose[position]], reasons, "error")
        waiting.extend((again, {**failed, **raised}) for again, raised in trouble.alike())


def _pass(run: _FormRun, evaluation: Evaluation, positions: Sequence[int], tally: Tally, *, first: bool) -> _Trouble:
    """Evaluate the checks on every judged record of the deliveries, batch by batch.

    Findings and counts of a delivery in trouble are incomplete, and the caller's to take back. ``first``: the subjects
    present and the records judged are noted, which a second pass must not repeat.
    """
    form, night = run.form, run.night
    builder = FindingBuilder(night.cat, form, night.ctx, evaluation.judgements, evaluation.missing_columns)
    takes_part = judged(form, night.records_from)
    if (drawn := night.sampled(form)) is not None:
        takes_part &= in_sample(drawn, [delivery.institution_code for delivery in run.deliveries])
    asked = (*run.present.columns, *columns_compared(form), *takes_part.meta.root_names())
    needed = {*evaluation.columns, *builder.columns, *asked}
    columns = [name for name in evaluation.schema if name in needed]
    trouble = _Trouble()
    batch_rows = max(1, min(night.batch_rows, _CELLS_PER_BATCH // len(columns)))
    batches, replaced = _readable(run, positions, evaluation.schema, batch_rows, trouble)
    for batch, read in read_ahead(batches, columns, evaluation.schema):
        for rows in _rows(batch, read, columns, evaluation.schema, trouble):
            here = replaced_here(form, rows, replaced, evaluation.schema)
            part = taking_part(
                with_empty_columns(rows, takes_part.meta.root_names(), evaluation.schema), here, takes_part
            )
            if first:
                run.present.add(with_empty_columns(rows, run.present.columns, evaluation.schema), part)
                run.judged += rows.height if part is None else int(part.sum())
            try:
                _judge_batch(run, evaluation, builder, rows, part, tally, trouble)
            except CompileError as error:  # it would fail on any data
                for position in positions:
                    trouble.raised.setdefault(position, {}).update(error.reasons)
    run.findings.add(builder.drain())
    return trouble


def _judge_batch(
    run: _FormRun,
    evaluation: Evaluation,
    builder: FindingBuilder,
    rows: pl.DataFrame,
    part: pl.Series | None,
    tally: Tally,
    trouble: _Trouble,
) -> None:
    """Count and write what one batch of records violates. ``part``: which rows take part (None: all)."""
    if trouble.positions:
        rows, part = _without(rows if part is None else rows.filter(part), trouble.positions), None
    if rows.is_empty():
        return
    undecided = evaluation.on(rows)
    try:
        judgement = undecided.judge(rows, part)
    except FusedError:
        rows = rows if part is None else rows.filter(part)
        suspects = undecided.failing(rows)
        for theirs in rows.partition_by(INSTITUTION, maintain_order=True):
            raised = undecided.failing(theirs, suspects) if suspects else {}
            if raised:
                trouble.raised.setdefault(theirs[INSTITUTION][0], {}).update(raised)
        rows = _without(rows, trouble.positions)
        if rows.is_empty():
            return
        judgement = undecided.judge_one_by_one(rows)
    tally.add(judgement.counts)
    for findings in builder.add(rows, judgement.violations):
        run.findings.add(findings)


def _readable(
    run: _FormRun, positions: Sequence[int], schema: dict[str, pl.DataType], batch_rows: int, trouble: _Trouble
) -> tuple[list[Batch], pl.Series]:
    """The batches to judge, and the replaced rows of deliveries that no one batch holds whole; such a delivery that
    cannot be read is noted and left out."""
    pieces = run.pieces(positions)
    batches = list(pack(pieces, batch_rows))
    owners = Counter(position for batch in batches for position in {piece.institution for piece in batch})
    cut = {position for position, times in owners.items() if times > 1}
    try:
        return batches, replaced_rows(run.form, [piece for piece in pieces if piece.institution in cut], schema)
    except LakeError:
        for position in cut:
            try:
                replaced_rows(run.form, run.pieces([position]), schema)
            except LakeError as error:
                trouble.unreadable[position] = str(error)
    left = [position for position in positions if position not in trouble.unreadable]
    return _readable(run, left, schema, batch_rows, trouble)


def _rows(
    batch: Batch,
    read: Callable[[], pl.DataFrame],
    columns: Sequence[str],
    schema: dict[str, pl.DataType],
    trouble: _Trouble,
) -> Iterator[pl.DataFrame]:
    """The batch's rows; when it cannot be read, delivery by delivery, without the unreadable ones."""
    try:
        yield read()
    except LakeError:
        for position in dict.fromkeys(piece.institution for piece in batch):
            try:
                yield read_held(tuple(piece for piece in batch if piece.institution == position), columns, schema)
            except LakeError as error:
                trouble.unreadable[position] = str(error)


def _without(records: pl.DataFrame, positions: Collection[int]) -> pl.DataFrame:
    return records.filter(~pl.col(INSTITUTION).is_in(list(positions))) if positions else records


def _rows_of(delivery: Delivery) -> int:
    return sum(file.rows for file in delivery.files)


def _errors(results: pl.DataFrame) -> tuple[str, ...]:
    failed = results.filter(pl.col("status") == "error")
    return tuple(
        f"{rule_id}{'/' + name if name else ''} {form_id} {institution}：{reason}"
        for institution, form_id, rule_id, name, reason in failed.select(
            "institution_code", "form_id", "rule_id", "field", "reason"
        ).iter_rows()
    )
