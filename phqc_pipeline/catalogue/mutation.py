"""The mutation proof: is each record rule pinned down by its examples?

Belongs here: every mutant of a rule (``mutation_operators``) judged on the rule's own examples, and what survives.
A mutant is caught when for some example (applicable, violated) comes out otherwise than the rule itself says. Does not
belong here: whether the examples come out as written (``examples``), how the proof reads (``mutation_report``).

All mutants of a rule on one form are evaluated in one Polars ``select``; only what survives goes on to the next form
(of a generic rule) or field (of a per-field rule) that has examples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import polars as pl

from phqc_pipeline.catalogue.examples import EXAMPLE_CONTEXT, Bench
from phqc_pipeline.catalogue.expressions import PolarsRenderer, nodes
from phqc_pipeline.catalogue.expressions.cells import RAW_SUFFIX
from phqc_pipeline.catalogue.expressions.nodes import Node, columns_touched, not_
from phqc_pipeline.catalogue.expressions.syntax import syntax_tree
from phqc_pipeline.catalogue.model import Catalogue, Derived, Rule, RuleCheck
from phqc_pipeline.catalogue.mutation_operators import Change, Setting, changes, parameter_changes, said

_AT_ONCE = 200  # mutants of one select
_GIVEN = ("_has_", "_given_")
_Judgement = tuple[Node | None, Node]  # ``when`` and ``violated``


@dataclass(frozen=True)
class Mutant:
    """One change of a rule. ``part`` is the key changed (``when``, ``assert``, ``violated``, ``params``; ``expr``).

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
class Proof:
    """What the examples show of one rule version or derived name. ``stale``: listed as equivalent, yet it is not."""

    subject: Rule | Derived
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


def prove(cat: Catalogue, rules: Iterable[Rule] | None = None) -> Iterator[Proof]:
    """The proof of every record rule (or of ``rules``), one after the other."""
    wanted = [rule for rule in (cat.rules if rules is None else rules) if rule.carrier == "pandera"]
    evidence = _Evidence(cat, wanted)
    for rule in wanted:
        yield _proof(rule, evidence.of(rule), partial(_mutants, cat))


def prove_derived(cat: Catalogue, names: Iterable[str] | None = None) -> Iterator[Proof]:
    """The proof of every derived name (or of ``names``) that record rules judge by: their examples are its examples."""
    evidence = _Evidence(cat, [rule for rule in cat.rules if rule.carrier == "pandera"])
    for name in cat.derived if names is None else names:
        stands = [stand for stand in evidence.stands if name in stand.derived_names]
        if stands:
            yield _proof(cat.derived[name], stands, partial(_derived_mutants, cat, cat.derived[name]))


@dataclass(frozen=True, eq=False)
class _Stand:
    """One check of a rule with the examples that are about it: rows of its form's frame of examples."""

    check: RuleCheck
    rows: list[int]
    frame: pl.DataFrame
    given: frozenset[str]

    @property
    def original(self) -> _Judgement:
        return (self.check.when.node if self.check.when else None, self.check.violated.node)

    @cached_property
    def derived_names(self) -> frozenset[str]:
        parts = (part for node in self.original if node is not None for part in nodes.walk(node))
        return frozenset(part.name for part in parts if isinstance(part, nodes.Derived))


class _Evidence:
    """The examples of rules, laid out on their forms."""

    def __init__(self, cat: Catalogue, rules: Sequence[Rule]) -> None:
        bench = Bench(cat)
        for rule in rules:
            bench.add(rule)
        frames = {form_id: bench.frame(form_id) for form_id in {case.form_id for case in bench.cases}}
        found: dict[int, _Stand] = {}
        for case in bench.cases:
            for check in case.checks:
                stand = found.setdefault(id(check), _Stand(check, [], *frames[case.form_id]))
                stand.rows.append(case.row)
        self.stands = sorted(found.values(), key=lambda stand: -len(stand.rows))

    def of(self, rule: Rule) -> list[_Stand]:
        """The rule's stands, those with most examples first."""
        return [stand for stand in self.stands if stand.check.rule is rule]


def _proof(
    subject: Rule | Derived, stands: Sequence[_Stand], make: Callable[[_Stand], dict[Mutant, _Judgement]]
) -> Proof:
    """Mutants are those of the first stand; each further stand need only judge those still alive."""
    seen: dict[str, Mutant] = {}
    alive: dict[str, Mutant] = {}
    for position, stand in enumerate(stands):
        if position and not alive:
            break
        made = make(stand)
        if position:
            made = {mutant: judged for mutant, judged in made.items() if str(mutant) in alive}
        else:
            seen = alive = {str(mutant): mutant for mutant in made}
        caught = _caught(stand, [judged for judged in made.values() if judged != stand.original])
        differing = [mutant for mutant, judged in made.items() if judged != stand.original]
        gone = {str(mutant) for mutant, noticed in zip(differing, caught, strict=True) if noticed}
        alive = {name: mutant for name, mutant in alive.items() if name not in gone}
    listed = {entry.mutant for entry in subject.equivalent_mutants}
    return Proof(
        subject=subject,
        mutants=len(seen),
        survivors=tuple(mutant for name, mutant in alive.items() if name not in listed),
        equivalents=tuple(mutant for name, mutant in alive.items() if name in listed),
        stale=tuple(sorted(listed - alive.keys())),
    )


def _mutants(cat: Catalogue, stand: _Stand) -> dict[Mutant, _Judgement]:
    """Every mutant of the stand's rule that compiles on its form and differs from it, with its compiled judgement."""
    rule = stand.check.rule
    setting = _setting(cat, rule, stand.check)
    trees = _trees(rule)
    original = stand.original
    found = _Collection()
    for part, tree in trees.items():
        for change in changes(tree, setting):
            node = setting.compiled(change.tree)
            judgement: _Judgement | None = None
            if node is None:
                pass
            elif part == "when":
                judgement = (node, original[1])
            else:
                judgement = (original[0], not_(node) if part == "assert" else node)
            found.add(part, change, None if judgement == original else judgement)
    if rule.when:
        dropped = Change(" ".join(rule.when.split()), "", "不满足 when、其余都像问题的一条")
        found.add("when", dropped, (None, original[1]))
    for change in parameter_changes(list(trees.values()), setting):
        judgement = _recompiled(trees, setting, change.params)
        found.add("params", change, None if judgement == original else judgement)
    return found.mutants


def _derived_mutants(cat: Catalogue, derived: Derived, stand: _Stand) -> dict[Mutant, _Judgement]:
    """Every mutant of the derived name, with the judgement of the stand's rule by it."""
    rule = stand.check.rule
    trees = _trees(rule)
    setting = _setting(cat, rule, stand.check)
    found = _Collection()
    for change in changes(syntax_tree(derived.expr), replace(setting, params={}, field=None)):
        mutant = replace(derived, expr=said(change.tree))
        altered = replace(setting, vocabulary=replace(cat, derived={**cat.derived, derived.name: mutant}))
        found.add("expr", change, _recompiled(trees, altered, None))
    return found.mutants


class _Collection:
    """Mutants by name; of several that read the same each has its turn, whether it compiles or not."""

    def __init__(self) -> None:
        self.mutants: dict[Mutant, _Judgement] = {}
        self._taken: Counter[tuple[str, str, str]] = Counter()

    def add(self, part: str, change: Change, judgement: _Judgement | None) -> None:
        name = (part, change.before, change.after)
        self._taken[name] += 1
        if judgement is not None:
            self.mutants[Mutant(*name, change.wants, self._taken[name])] = judgement


def _trees(rule: Rule) -> dict[str, Any]:
    """The syntax trees of a rule's expressions under the keys of its entry."""
    texts = {"when": rule.when, "assert": rule.assertion, "violated": rule.violated}
    return {part: syntax_tree(text) for part, text in texts.items() if text}


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


def _recompiled(trees: Mapping[str, Any], setting: Setting, params: Mapping[str, Any] | None) -> _Judgement | None:
    compiled = {part: setting.compiled(tree, params) for part, tree in trees.items()}
    if None in compiled.values():
        return None
    judged = compiled.get("violated") or not_(compiled["assert"])  # type: ignore[arg-type]
    return compiled.get("when"), judged


def _caught(stand: _Stand, judgements: Sequence[_Judgement]) -> list[bool]:
    """Of each mutant, whether some row tells it from the rule."""
    original = stand.original
    touched = {name for when, violated in (original, *judgements) for name in _columns(when, violated)}
    names = stand.frame.columns
    kept = [name for name in names if name.removesuffix(RAW_SUFFIX) in touched or name.startswith(_GIVEN)]
    frame = stand.frame.select(*kept, _row=pl.lit(0))[stand.rows]
    renderer = _Renderer(stand.given)
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
        parts = {part for node in original if node is not None for part in _operations(node)}
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


def _operations(node: Node) -> Iterator[Node]:
    """The node and every operation below it; not what ``required_count()`` counts, hundreds of cells."""
    if isinstance(node, (nodes.Call, nodes.Derived)):
        yield node
        if not (isinstance(node, nodes.Call) and node.op in nodes.COUNTING_OPS):
            for child in nodes.children(node):
                yield from _operations(child)


def _columns(when: Node | None, violated: Node) -> frozenset[str]:
    return columns_touched(violated) | (columns_touched(when) if when is not None else frozenset())
