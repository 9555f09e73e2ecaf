"""The mutation proof: is each record rule pinned down by its examples?

Belongs here: every mutant of a rule (``mutation_operators``) judged on the rule's own examples, and what survives.
A mutant is caught when for some example (applicable, violated) comes out otherwise than the rule itself says. Does not
belong here: whether the examples come out as written (``examples``), how the proof reads (``mutation_report``).

All mutants of a rule on one form are evaluated in one Polars ``select``; only what survives goes on to the next form
(of a generic rule) or field (of a per-field rule) that has examples.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from phqc_pipeline.catalogue.examples import EXAMPLE_CONTEXT, RAW_SUFFIX, Bench
from phqc_pipeline.catalogue.expressions import PolarsRenderer
from phqc_pipeline.catalogue.expressions.nodes import Call, Derived, Node, columns_touched, not_, walk
from phqc_pipeline.catalogue.expressions.syntax import syntax_tree
from phqc_pipeline.catalogue.model import Catalogue, Rule, RuleCheck
from phqc_pipeline.catalogue.mutation_operators import Change, Setting, changes, parameter_changes

_AT_ONCE = 200  # mutants of one select
_GIVEN = ("_has_", "_given_")
_Judgement = tuple[Node | None, Node]  # ``when`` and ``violated``


@dataclass(frozen=True)
class Mutant:
    """One change of a rule. ``part`` is the key changed (``when``, ``assert``, ``violated``, ``params``).

    ``wants`` says in Chinese which example would notice. ``str()`` is its name: in reports and, beside the rule, in
    ``equivalent_mutants``.
    """

    part: str
    before: str
    after: str
    wants: str
    turn: int = 1  # of several that read the same, which

    def __str__(self) -> str:
        turn = f"（第 {self.turn} 处）" if self.turn > 1 else ""
        changed = f"{self.before} → {self.after}" if self.after else f"去掉 {self.before}"
        return f"{self.part}: {changed}{turn}"


@dataclass(frozen=True)
class RuleProof:
    """What the examples of one rule version show. ``stale``: entries of ``equivalent_mutants`` that are none."""

    rule: Rule
    mutants: int
    survivors: tuple[Mutant, ...]
    equivalents: tuple[Mutant, ...]
    stale: tuple[str, ...]

    @property
    def caught(self) -> int:
        return self.mutants - len(self.survivors) - len(self.equivalents)

    @property
    def holds(self) -> bool:
        return not self.survivors and not self.stale


def prove(cat: Catalogue, rules: Iterable[Rule] | None = None) -> Iterator[RuleProof]:
    """The proof of every record rule (or of ``rules``), one after the other."""
    wanted = [rule for rule in (cat.rules if rules is None else rules) if rule.carrier == "pandera"]
    bench = Bench(cat)
    for rule in wanted:
        bench.add(rule)
    benches: dict[tuple[str, int], dict[int, _Stand]] = defaultdict(dict)
    for case in bench.cases:
        for check in case.checks:
            stand = benches[case.rule.key].setdefault(id(check), _Stand(check, []))
            stand.rows.append(case.row)
    frames = {form_id: bench.frame(form_id) for form_id in {case.form_id for case in bench.cases}}
    for rule in wanted:
        stands = sorted(benches[rule.key].values(), key=lambda stand: -len(stand.rows))
        yield _proof(cat, rule, stands, frames)


@dataclass(frozen=True, eq=False)
class _Stand:
    """One check of the rule, and the rows of its form's examples that are about it."""

    check: RuleCheck
    rows: list[int]


def _proof(cat: Catalogue, rule: Rule, stands: Sequence[_Stand], frames: Mapping[str, Any]) -> RuleProof:
    seen: dict[str, Mutant] = {}
    alive: dict[str, Mutant] = {}
    for position, stand in enumerate(stands):
        if position and not alive:
            break
        frame, given = frames[stand.check.form_id]
        made = _mutants(cat, rule, stand)
        if position:
            made = {mutant: judged for mutant, judged in made.items() if str(mutant) in alive}
        else:
            seen = alive = {str(mutant): mutant for mutant in made}
        caught = _caught(stand.check, list(made.values()), frame[stand.rows], given)
        gone = {str(mutant) for mutant, noticed in zip(made, caught, strict=True) if noticed}
        alive = {name: mutant for name, mutant in alive.items() if name not in gone}
    listed = {entry.mutant for entry in rule.equivalent_mutants}
    return RuleProof(
        rule=rule,
        mutants=len(seen),
        survivors=tuple(mutant for name, mutant in alive.items() if name not in listed),
        equivalents=tuple(mutant for name, mutant in alive.items() if name in listed),
        stale=tuple(sorted(listed - alive.keys())),
    )


def _mutants(cat: Catalogue, rule: Rule, stand: _Stand) -> dict[Mutant, _Judgement]:
    """Every mutant that compiles on the stand's form and differs from the rule, with its compiled judgement."""
    check = stand.check
    setting = _setting(cat, rule, check)
    judged = "violated" if rule.violated else "assert"
    texts = {"when": rule.when, judged: rule.violated or rule.assertion}
    trees = {part: syntax_tree(text) for part, text in texts.items() if text}
    original: _Judgement = (check.when.node if check.when else None, check.violated.node)
    found: dict[Mutant, _Judgement] = {}
    taken: Counter[tuple[str, str, str]] = Counter()

    def keep(part: str, change: Change, judgement: _Judgement | None) -> None:
        name = (part, change.before, change.after)
        taken[name] += 1
        if judgement is not None and judgement != original:
            found[Mutant(*name, change.wants, taken[name])] = judgement

    for part, tree in trees.items():
        for change in changes(tree, setting):
            node = setting.compiled(change.tree)
            if part == "when":
                keep(part, change, (node, original[1]) if node else None)
            else:
                judged_so = not_(node) if node and part == "assert" else node
                keep(part, change, (original[0], judged_so) if judged_so else None)
    if rule.when:
        wants = "不满足 when、其余都像问题的一条"
        keep("when", Change(" ".join(rule.when.split()), "", wants), (None, original[1]))
    for change in parameter_changes(list(trees.values()), setting):
        keep("params", change, _recompiled(trees, setting, change.params or {}))
    return found


def _setting(cat: Catalogue, rule: Rule, check: RuleCheck) -> Setting:
    form = cat.form(check.form_id)
    examples = (*rule.pass_examples, *rule.fail_examples)
    named = {name.removesuffix(RAW_SUFFIX) for example in examples for name in example.values}
    return Setting(
        form=form,
        vocabulary=cat,
        params=rule.params,
        named=frozenset(named | check.reads),
        field=form.field(check.field) if rule.per_field else None,
        optional=rule.optional_columns,
    )


def _recompiled(trees: Mapping[str, Any], setting: Setting, params: Mapping[str, Any]) -> _Judgement | None:
    nodes = {part: setting.compiled(tree, params) for part, tree in trees.items()}
    if None in nodes.values():
        return None
    judged = nodes.get("violated") or not_(nodes["assert"])  # type: ignore[arg-type]
    return nodes.get("when"), judged


def _caught(
    check: RuleCheck, judgements: Sequence[_Judgement], frame: pl.DataFrame, given: frozenset[str]
) -> list[bool]:
    """Of each mutant, whether some row tells it from the rule."""
    original: _Judgement = (check.when.node if check.when else None, check.violated.node)
    touched = {name for when, violated in (original, *judgements) for name in _columns(when, violated)}
    kept = (name for name in frame.columns if name.removesuffix(RAW_SUFFIX) in touched or name.startswith(_GIVEN))
    frame = frame.select(*kept, _row=pl.lit(0))
    renderer = _Renderer(given)
    frame = frame.with_columns(renderer.parts_of(original))
    found: list[bool] = []
    for start in range(0, len(judgements), _AT_ONCE):
        found += _differing(frame, renderer, original, judgements[start : start + _AT_ONCE])
    return found


def _differing(
    frame: pl.DataFrame, renderer: _Renderer, original: _Judgement, judgements: Sequence[_Judgement]
) -> list[bool]:
    """Of each mutant, whether (applicable, violated) is another than the original's on some row."""
    own = renderer.verdict(original)
    differ = [(renderer.verdict(judgement) != own).any().alias(str(at)) for at, judgement in enumerate(judgements)]
    try:
        return [bool(value) for value in frame.select(differ).row(0)]
    except pl.exceptions.PolarsError:
        if len(judgements) == 1:
            return [True]  # a mutant that cannot be evaluated does not go unnoticed
        return [flag for judgement in judgements for flag in _differing(frame, renderer, original, [judgement])]


class _Renderer(PolarsRenderer):
    """Renders mutants: what a mutant shares with the rule is a column computed once (``parts_of``)."""

    def __init__(self, given: frozenset[str]) -> None:
        super().__init__(EXAMPLE_CONTEXT, given=given)
        self._columns: dict[Node, str] = {}

    def parts_of(self, original: _Judgement) -> list[pl.Expr]:
        """A column for each operation in the rule's own judgement, which later renderings then read."""
        parts: set[Node] = {
            part for node in original if node is not None for part in walk(node) if isinstance(part, (Call, Derived))
        }
        columns: dict[Node, str] = {part: f"_part{at}" for at, part in enumerate(parts)}
        made = [self.render(part).alias(column) for part, column in columns.items()]
        self._done.clear()
        self._columns = columns
        return made

    def verdict(self, judgement: _Judgement) -> pl.Expr:
        """0 not applicable, 1 applicable, 3 applicable and violated."""
        when, violated = (pl.lit(True) if node is None else self.render(node).fill_null(False) for node in judgement)
        return when.cast(pl.Int8) * (1 + 2 * violated.cast(pl.Int8))

    def _rendered(self, node: Node) -> pl.Expr:
        column = self._columns.get(node)
        return super()._rendered(node) if column is None else pl.col(column)


def _columns(when: Node | None, violated: Node) -> frozenset[str]:
    return columns_touched(violated) | (columns_touched(when) if when is not None else frozenset())
