"""All checks of one form on one batch, in one Polars ``select``; a check that fails is found and costs only itself.

Belongs here: the boolean flags of a set of checks, their fused evaluation, finding the culprit when it raises.
Does not belong here: where batches come from and what is done about a culprit (``runner``).

Polars computes an expression that many checks share (the usable reading of a column, a derived age) once, and runs
the checks on all cores; that is why they are evaluated together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import polars as pl

from phqc_pipeline.checks.findings import Violations
from phqc_pipeline.checks.lake import INSTITUTION
from phqc_pipeline.checks.results import JUDGED
from phqc_pipeline.checks.schemas import Judgement, ResultKey

#: A panic inside Polars is no ``Exception``, and is one check's fault like any other.
FAILURES = (Exception, pl.exceptions.PanicException)


class FusedError(Exception):
    """The fused select raised; which check is to blame is not known yet."""


class Evaluation:
    """A set of checks as boolean flags: ``v<i>`` check i is violated, ``a<i>`` it is applicable, ``w<k>`` the record
    lies in validity window k. ``table`` says for every check which flags count it (``results.counted_results``).
    """

    def __init__(self, judgements: Sequence[Judgement], without: frozenset[ResultKey] = frozenset()) -> None:
        self.judgements = [
            judgement for judgement in judgements if not judgement.failure and judgement.result_key not in without
        ]
        self.without = without
        self._flags: dict[str, pl.Expr] = {}
        self._flags_of: list[list[str]] = []
        rows = [self._counted(position, judgement) for position, judgement in enumerate(self.judgements)]
        columns = ("rule_id", "field", "checked", "applicable", "violated")
        self.table = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
        self.columns = frozenset(name for flag in self._flags.values() for name in flag.meta.root_names())

    def flags(self, batch: pl.DataFrame) -> pl.DataFrame:
        """``_institution`` and every flag, a row a record of the batch. FusedError when any check raises."""
        try:
            return _select(batch, self._flags)
        except FAILURES as error:
            raise FusedError(type(error).__name__) from error

    def flags_one_by_one(self, batch: pl.DataFrame) -> pl.DataFrame:
        """The same, each flag on its own: when all together raise and none alone does."""
        return pl.concat(
            [
                batch.select(INSTITUTION),
                *(_select(batch, {name: flag}).drop(INSTITUTION) for name, flag in self._flags.items()),
            ],
            how="horizontal",
        )

    def violations(self, flags: pl.DataFrame) -> list[Violations]:
        """The violated checks with their rows."""
        names = [f"v{position}" for position in range(len(self.judgements))]
        if not names:
            return []
        violated = flags.select(pl.col(names).any()).row(0)
        return [
            Violations(position, flags[names[position]].arg_true()) for position, found in enumerate(violated) if found
        ]

    def failing(self, batch: pl.DataFrame, suspects: Collection[ResultKey] | None = None) -> dict[ResultKey, str]:
        """The checks (of ``suspects``, else of all) that raise on these rows → why. Suppression plays no part."""
        suspected = [one for one in self.judgements if suspects is None or one.result_key in suspects]
        return _culprits(suspected, lambda flags: _select(batch, flags), told=False)

    def _counted(self, position: int, judgement: Judgement) -> tuple[str, str, str, str, str]:
        """Lay down the flags of one check; its rule, field, and the flags that count checked, applicable, violated."""
        violated = f"v{position}"
        self._flags[violated] = judgement.violation(self.without)
        checked = JUDGED if judgement.in_force is None else self._window(judgement)
        applicable = checked
        concerned = judgement.concerned()
        if judgement.applicable is not None and concerned is not None:
            applicable = f"a{position}"
            self._flags[applicable] = concerned
        return (*judgement.result_key, checked, applicable, violated)

    def _window(self, judgement: Judgement) -> str:
        rule = judgement.check.rule
        name = f"w{rule.valid_from or ''}..{rule.valid_to or ''}"
        if judgement.in_force is not None:
            self._flags.setdefault(name, judgement.in_force)
        return name


def failures_of(judgements: Sequence[Judgement], schema: Mapping[str, pl.DataType]) -> dict[ResultKey, str]:
    """Checks that cannot be evaluated on any data: not compiled, or refused by Polars for the lake's types."""
    failed = {
        judgement.result_key: f"规则无法编译：{judgement.failure}" for judgement in judgements if judgement.failure
    }
    lake = pl.LazyFrame(schema={INSTITUTION: pl.UInt32, **schema})
    sound = [judgement for judgement in judgements if judgement.result_key not in failed]
    return {
        **failed,
        **_culprits(sound, lambda flags: _check_types(_selected(lake, flags).collect_schema()), told=True),
    }


def _culprits(
    suspects: Sequence[Judgement], attempt: Callable[[Mapping[str, pl.Expr]], object], *, told: bool
) -> dict[ResultKey, str]:
    """Which of the suspects make ``attempt`` raise, found by halving. ``told``: the error's own words may be told."""
    if not suspects:
        return {}
    try:
        attempt(_own_flags(suspects))
    except FAILURES as error:
        if len(suspects) == 1:
            return {suspects[0].result_key: _reason(error, told)}
        middle = len(suspects) // 2
        return {
            **_culprits(suspects[:middle], attempt, told=told),
            **_culprits(suspects[middle:], attempt, told=told),
        }
    return {}


def _own_flags(judgements: Sequence[Judgement]) -> dict[str, pl.Expr]:
    flags: dict[str, pl.Expr] = {}
    for position, judgement in enumerate(judgements):
        flags[f"v{position}"] = judgement.own_violation()
        concerned = judgement.concerned()
        if concerned is not None:
            flags[f"a{position}"] = concerned
    return flags


def _select(batch: pl.DataFrame, flags: Mapping[str, pl.Expr]) -> pl.DataFrame:
    selected = _selected(batch.lazy(), flags).collect()
    _check_types(selected.schema)
    return selected


def _selected(lake: pl.LazyFrame, flags: Mapping[str, pl.Expr]) -> pl.LazyFrame:
    """The flags as one select; ``_institution`` goes first, so that a flag without columns gets a value a row."""
    return lake.select(INSTITUTION, *(flag.alias(name) for name, flag in flags.items()))


def _check_types(schema: pl.Schema) -> None:
    for name, kind in schema.items():
        if name != INSTITUTION and kind != pl.Boolean:
            raise TypeError(f"结果类型是 {kind}，应为真/假")


def _reason(error: BaseException, told: bool) -> str:
    """Why a check failed. Polars quotes offending values, so its words are told only where there were no data."""
    said = f"：{str(error).splitlines()[0]}" if told and str(error) else ""
    return f"规则计算出错（{type(error).__name__}{said}），请用 phqc rules test 复核该规则的表达式"
