"""All checks of one form on one batch: most are settled by facts about its columns, the rest in one Polars ``select``.

Belongs here: which checks a batch leaves undecided, their fused evaluation, the counts, finding the culprit when it
raises. Does not belong here: where batches come from and what is done about a culprit (``runner``).

A check that no row of the batch can violate is not evaluated there (``Outcomes``), and of the others no more than what
is undecided. Polars computes an expression that many checks share once, and runs the checks on all cores; that is why
they are evaluated together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Context, Form
from phqc_pipeline.catalogue.expressions import Outcomes, PlainRenderer, nodes
from phqc_pipeline.catalogue.expressions.cells import RAW_SUFFIX
from phqc_pipeline.catalogue.expressions.nodes import Call, Derived, Node
from phqc_pipeline.catalogue.expressions.render_plain import WRITTEN_OUT
from phqc_pipeline.checks.facts import TextJudgements, column_facts
from phqc_pipeline.checks.findings import Violations
from phqc_pipeline.checks.lake import INSTITUTION, lake_schema, with_empty_columns
from phqc_pipeline.checks.schemas import Judgement, ResultKey

#: A panic inside Polars is no ``Exception``, and is one check's fault like any other.
FAILURES = (Exception, pl.exceptions.PanicException)

Counts = np.ndarray  # int64, a row a check: checked, applicable, violated


class FusedError(Exception):
    """The fused select raised; which check is to blame is not known yet."""


class CompileError(Exception):
    """Checks that cannot be evaluated on any data. ``reasons``: the checks and why."""

    def __init__(self, reasons: Mapping[ResultKey, str]) -> None:
        super().__init__(f"{len(reasons)} checks")
        self.reasons = dict(reasons)


@dataclass
class Judged:
    """What a batch came to: by institution (position) the counts, and the violated checks with their rows."""

    counts: dict[int, Counts] = field(default_factory=dict)
    violations: list[Violations] = field(default_factory=list)


class Evaluation:
    """A set of checks of one form, ready for any number of batches. ``columns``: the lake columns it may need."""

    def __init__(
        self,
        form: Form,
        ctx: Context,
        judgements: Sequence[Judgement],
        missing_columns: frozenset[str] = frozenset(),
        without: frozenset[ResultKey] = frozenset(),
    ) -> None:
        self.form = form
        self.ctx = ctx
        self.missing_columns = missing_columns
        self.judgements = [judgement for judgement in judgements if judgement.result_key not in without]
        places = {id(judgement.check): place for place, judgement in enumerate(self.judgements)}
        #: For every check the positions of those that suppress it; one that cannot be judged suppresses nothing.
        self.suppressors = [
            [places[id(other.check)] for other in judgement.suppressors if id(other.check) in places]
            for judgement in self.judgements
        ]
        self.schema = lake_schema(form)
        self.columns = _lake_columns(judgement.own for judgement in self.judgements)
        self._texts = TextJudgements(form, ctx, missing_columns, [judgement.own for judgement in self.judgements])
        self.shared = _shared(judgement.own for judgement in self.judgements)
        self._renderers: dict[frozenset[str], PlainRenderer] = {}

    def on(self, batch: pl.DataFrame) -> Undecided:
        """What the batch leaves undecided. CompileError when that cannot be compiled."""
        facts = column_facts(batch)
        known = Outcomes(facts, self.ctx, self.missing_columns)
        settled = self._texts.settled(batch, facts, known)
        return Undecided(self, Outcomes(facts, self.ctx, self.missing_columns, settled))

    def renderer(self, plain: frozenset[str]) -> PlainRenderer:
        """Renders for batches in which exactly the fields ``plain`` hold no irregular cell; the last is remembered."""
        if plain not in self._renderers:
            self._renderers.clear()  # they hold every expression made
            self._renderers[plain] = PlainRenderer(self.ctx, self.missing_columns, plain, self.shared)
        return self._renderers[plain]

    def derived(self, names: Collection[str], plain: frozenset[str]) -> list[pl.Expr]:
        """Of the columns ``names`` those that hold a shared derived name, as they are computed."""
        alone = PlainRenderer(self.ctx, self.missing_columns, plain)
        return [alone.render(node).alias(name) for node, name in self.shared.items() if name in names]


class Undecided:
    """What is to be computed on the rows of one batch, and what is known without.

    ``flags``: boolean columns; ``counted``: for every check what says whom it is asked of, whom it concerns, and who
    violates it (suppression aside): a flag's name, or True (every row) or False (none).
    """

    def __init__(self, evaluation: Evaluation, outcomes: Outcomes) -> None:
        self._evaluation = evaluation
        self._outcomes = outcomes
        self._plain = frozenset(field.name for field in evaluation.form.fields if outcomes.is_plain(field))
        self._names: dict[Node, str] = {}
        self._cuts: dict[int, Node] = {}
        self._reasons: dict[ResultKey, str] = {}
        self._own: dict[ResultKey, list[str]] = {}  # the flags each check stands behind
        self.flags: dict[str, pl.Expr] = {}
        self.counted = [self._check(place) for place in range(len(evaluation.judgements))]
        if self._reasons:
            raise CompileError(self._reasons)

    def judge(self, batch: pl.DataFrame, takes_part: pl.Series | None = None) -> Judged:
        """Counts and violations among the rows that take part (None: all). FusedError when any check raises."""
        try:
            flags = self._computed(batch, self.flags)
        except FAILURES as error:
            raise FusedError(type(error).__name__) from error
        return self._judged(batch, flags, takes_part)

    def judge_one_by_one(self, batch: pl.DataFrame) -> Judged:
        """The same, each flag on its own: when all together raise and none alone does."""
        flags = {name: self._computed(batch, {name: flag})[name] for name, flag in self.flags.items()}
        return self._judged(batch, pl.DataFrame(flags), None)

    def failing(self, batch: pl.DataFrame, suspects: Collection[ResultKey] | None = None) -> dict[ResultKey, str]:
        """The checks (of ``suspects``, else of all) that raise on these rows → why. Suppression plays no part."""
        asked = [key for key in self._own if suspects is None or key in suspects]
        return self._culprits(asked, batch)

    # --- laying down ------------------------------------------------------------------------------------------

    def _check(self, place: int) -> tuple[str | bool, str | bool, str | bool]:
        judgement = self._evaluation.judgements[place]
        checked = True if judgement.in_force is None else self._condition(judgement, judgement.in_force)
        applicable = checked
        if judgement.concerned is not None and judgement.concerned is not judgement.in_force:
            applicable = self._condition(judgement, judgement.concerned)
        return checked, applicable, self._violated(place)

    def _violated(self, place: int) -> str | bool:
        judgement = self._evaluation.judgements[place]
        cut = self._cut(judgement.own)
        if cut in (nodes.TRUE, nodes.FALSE):
            return cut == nodes.TRUE
        return self._flag(f"v{place}", self._expression(judgement, cut), judgement)

    def _condition(self, judgement: Judgement, node: Node) -> str | bool:
        """Whom a check concerns: known of all rows, or a flag that equal conditions share."""
        cut = self._cut(node)
        if cut in (nodes.TRUE, nodes.FALSE):
            return cut == nodes.TRUE
        name = self._names.setdefault(cut, f"a{len(self._names)}")
        if name in self.flags:
            self._own.setdefault(judgement.result_key, []).append(name)
            return name
        return self._flag(name, self._expression(judgement, cut, judged=False), judgement)

    def _cut(self, node: Node) -> Node:
        found = self._cuts.get(id(node))
        if found is None:
            found = self._cuts[id(node)] = self._outcomes.cut(node)
        return found

    def _expression(self, judgement: Judgement, node: Node, *, judged: bool = True) -> pl.Expr:
        try:
            renderer = self._evaluation.renderer(self._plain)
            return judgement.compiled(node, renderer) if judged else renderer.render(node).fill_null(False)
        except Exception as error:  # one rule that does not compile must cost only itself
            self._reasons[judgement.result_key] = f"规则无法编译：{type(error).__name__}: {error}"
            return pl.lit(False)

    def _flag(self, name: str, flag: pl.Expr, judgement: Judgement) -> str:
        self.flags[name] = flag
        self._own.setdefault(judgement.result_key, []).append(name)
        return name

    # --- evaluating -------------------------------------------------------------------------------------------

    def _computed(self, batch: pl.DataFrame, flags: Mapping[str, pl.Expr]) -> pl.DataFrame:
        """The flags; ``_institution`` goes first, so that a flag without columns gets a value a row."""
        needed = {name for flag in flags.values() for name in flag.meta.root_names()}
        derived = self._evaluation.derived(needed, self._plain)
        needed.update(name for one in derived for name in one.meta.root_names())
        rows = with_empty_columns(batch, needed, self._evaluation.schema).lazy().with_columns(derived)
        selected = rows.select(INSTITUTION, *(flag.alias(name) for name, flag in flags.items())).collect()
        for name, kind in selected.schema.items():
            if name != INSTITUTION and kind != pl.Boolean:
                raise TypeError(f"结果类型是 {kind}，应为真/假")
        return selected

    def _judged(self, batch: pl.DataFrame, flags: pl.DataFrame, takes_part: pl.Series | None) -> Judged:
        owners = _stretches(batch[INSTITUTION])
        starts = [start for _, start in owners]
        if takes_part is not None:
            flags = flags.with_columns(pl.col(pl.Boolean) & takes_part)
        found = flags.select(pl.col(pl.Boolean).sum()).row(0, named=True) if self.flags else {}
        everyone = pl.repeat(True, batch.height, eager=True) if takes_part is None else takes_part
        none = np.zeros(len(owners), np.int64)
        totals: dict[str | bool, Counts] = {True: _sums(everyone, starts), False: none}
        for name in {name for checked, applicable, _ in self.counted for name in (checked, applicable)}:
            if isinstance(name, str):
                totals[name] = _sums(flags[name], starts) if len(owners) > 1 and found[name] else none + found[name]
        judged = Judged()
        violated: dict[int, Counts] = {}
        for place, (_, _, own) in enumerate(self.counted):
            if own is True or (own and found[own]):
                rows = np.flatnonzero(self._unsuppressed(place, flags, everyone).to_numpy())
                if len(rows):
                    judged.violations.append(Violations(place, rows))
                    violated[place] = _by_owner(rows, starts)
        table = [
            [totals[checked], totals[applicable], violated.get(place, none)]
            for place, (checked, applicable, _) in enumerate(self.counted)
        ]
        counts = np.array(table, np.int64).reshape(len(table), 3, len(owners))
        judged.counts = {institution: counts[:, :, place] for place, (institution, _) in enumerate(owners)}
        return judged

    def _unsuppressed(self, place: int, flags: pl.DataFrame, everyone: pl.Series) -> pl.Series:
        """The rows that violate a check and no suppressing one."""
        own = self.counted[place][2]
        violated = flags[own] if isinstance(own, str) else everyone
        for suppressor in self._evaluation.suppressors[place]:
            other = self.counted[suppressor][2]
            if other is not False:
                violated = violated & ~(flags[other] if isinstance(other, str) else everyone)
        return violated

    def _culprits(self, suspects: Sequence[ResultKey], batch: pl.DataFrame) -> dict[ResultKey, str]:
        """Which of the suspects raise, found by halving. Polars quotes offending values, so its words are not told."""
        if not suspects:
            return {}
        asked = {name: self.flags[name] for key in suspects for name in self._own[key]}
        try:
            self._computed(batch, asked)
        except FAILURES as error:
            if len(suspects) == 1:
                return {suspects[0]: _reason(error)}
            middle = len(suspects) // 2
            return {**self._culprits(suspects[:middle], batch), **self._culprits(suspects[middle:], batch)}
        return {}


def _shared(judgements: Iterable[Node]) -> dict[Node, str]:
    """Derived names (age …) and dear operations that are read more than once, and the column each is computed in first.

    Polars finds common parts by itself, but computes a ``when … then`` anew wherever it stands.
    """
    found = Counter(part for judgement in judgements for part in nodes.walk(judgement) if _is_dear(part))
    often = [part for part, times in found.items() if times > 1 and nodes.columns_touched(part)]
    return {part: f"_derived_{place}" for place, part in enumerate(often)}


def _is_dear(part: Node) -> bool:
    if isinstance(part, Derived):
        return isinstance(part.body, Call) and part.type != "bool"
    return isinstance(part, Call) and part.op in WRITTEN_OUT


def _lake_columns(judgements: Iterable[Node]) -> frozenset[str]:
    """The lake columns that judgements read: ``x`` and ``x__raw`` of every field."""
    fields = frozenset[str]().union(*(nodes.columns_touched(judgement) for judgement in judgements))
    return fields | {name + RAW_SUFFIX for name in fields}


def _stretches(institutions: pl.Series) -> list[tuple[int, int]]:
    """Whose the rows are, and where theirs begin: rows come institution by institution."""
    owners = institutions.to_numpy()
    starts = np.flatnonzero(np.diff(owners, prepend=owners[:1] + 1))
    return [(int(owners[start]), int(start)) for start in starts]


def _sums(flag: pl.Series, starts: Sequence[int]) -> Counts:
    """How often the flag is TRUE in each stretch."""
    if len(starts) == 1:
        return np.array([flag.sum()], np.int64)
    return np.add.reduceat(flag.to_numpy(), starts, dtype=np.int64)


def _by_owner(rows: np.ndarray, starts: Sequence[int]) -> np.ndarray:
    """How many of the rows (ascending positions) each stretch has."""
    if len(starts) == 1:
        return np.array([len(rows)], np.int64)
    return np.diff(np.searchsorted(rows, starts), append=len(rows))


def _reason(error: BaseException) -> str:
    return f"规则计算出错（{type(error).__name__}），请用 phqc rules test 复核该规则的表达式"
