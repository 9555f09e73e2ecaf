"""Small wrong turns of one expression: what a slip of the pen could have made of it.

Belongs here: the changes themselves, as pure functions over the expression's syntax tree, in the rule's own words.
Does not belong here: whether an example notices (``mutation``).

A change is one slip at one place: an operator beside the right one, a limit one step off, a conjunct forgotten, a field
mistaken for its neighbour, a code dropped. Derived names and what the form says of a field (``hard_min``,
``required_now``) are taken as they are: they are not the rule's. Changes that cannot compile are dropped later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import islice
from typing import Any

from sqlglot import exp

from phqc_pipeline.catalogue.expressions.functions import FUNCTIONS
from phqc_pipeline.catalogue.expressions.nodes import DATES, NUMBERS, Column, Node
from phqc_pipeline.catalogue.expressions.parse import compile_tree, names_used
from phqc_pipeline.catalogue.expressions.syntax import CALL_PREFIX, ExpressionError, shown
from phqc_pipeline.catalogue.expressions.types import Vocabulary
from phqc_pipeline.catalogue.model import Field, Form

SPARE = "（另一字段）"  # a field of the same kind that no example fills: which one makes no difference
_COMPARISONS = (exp.LT, exp.LTE, exp.GT, exp.GTE, exp.EQ, exp.NEQ)
_EQUALITIES = (exp.EQ, exp.NEQ)
_ARITHMETIC = {exp.Add: exp.Sub, exp.Sub: exp.Add, exp.Mul: exp.Div, exp.Div: exp.Mul}
_ANSWERS = (exp.Is, exp.In, exp.Like, exp.Between)
_UNWRAPPED = frozenset({"abs", "floor", "round", "upper", "lower", "trim", "date"})
_LISTED = frozenset({"coalesce", "greatest", "least", "count_true", "concat"})
_TWINS = {"greatest": "least", "least": "greatest"}
_OTHER_TEXT = "~"
_NEIGHBOURS = 2  # a slip takes the field before or after, seldom one far away; all would be the square of their number


@dataclass(frozen=True, eq=False)
class Setting:
    """Where an expression stands: its form, the rule's parameters, and the fields a writer could mistake one for.

    ``named`` are the columns that the rule's expressions or examples name: each may be taken for another of its kind.
    ``field``: of a per-field rule, the field; ``optional``: columns that the form may lack.
    """

    form: Form
    vocabulary: Vocabulary
    params: Mapping[str, Any]
    named: frozenset[str]
    field: Field | None = None
    optional: frozenset[str] = frozenset()

    @cached_property
    def derived_types(self) -> dict[str, str]:
        """The derived names that the form has the columns for, in their order, with their types."""
        known = self.form.by_name.keys()
        able = [name for name in self.vocabulary.derived if names_used(name, self.vocabulary) <= known]
        nodes = {name: self.compiled(exp.column(name), any_type=True) for name in able}
        return {name: node.type for name, node in nodes.items() if node is not None}

    def compiled(self, tree: Any, params: Mapping[str, Any] | None = None, *, any_type: bool = False) -> Node | None:
        """The typed node of a tree; None if it makes no sense here."""
        try:
            return compile_tree(
                tree,
                self.form,
                self.vocabulary,
                self.params if params is None else params,
                field=self.field,
                optional=self.optional,
                expect=None if any_type else "bool",
            )
        except ExpressionError:
            return None


@dataclass(frozen=True, eq=False)
class Change:
    """``before`` stands in the expression, ``after`` (empty: nothing) instead; ``wants`` says which example notices.

    ``tree`` is the whole expression, changed; of a parameter's change it is None and ``params`` is set.
    """

    before: str
    after: str
    wants: str
    tree: Any = None
    params: Mapping[str, Any] | None = None


def changes(tree: Any, setting: Setting) -> Iterator[Change]:
    """Every change of one expression."""
    for position, node in enumerate(tree.dfs()):
        for kind, vary in _VARIATIONS:
            if isinstance(node, kind):
                for variant in vary(node, setting):
                    before = said(node) if variant.before is None else variant.before
                    after = said(variant.tree) if variant.after is None else variant.after
                    yield Change(before, after, variant.wants, _with(tree, position, variant.tree))


def parameter_changes(trees: list[Any], setting: Setting) -> Iterator[Change]:
    """Every change of a parameter that one of ``trees`` reads: a limit one step off, a code dropped from a list."""
    for name, value in setting.params.items():
        sites = [node for tree in trees for node in tree.find_all(exp.Column) if node.name == name]
        if not sites or setting.form.has(name):
            continue
        for after, wants in _other_values(name, value, sites, setting):
            yield Change(f"{name} = {_plain(value)}", _plain(after), wants, params={**setting.params, name: after})


def said(tree: Any) -> str:
    """A piece of the tree as the author might have written it, whole."""
    return str(tree.sql(dialect="duckdb", normalize_functions=False)).replace(CALL_PREFIX, "")


def _with(tree: Any, position: int, replacement: Any) -> Any:
    """A copy of the tree with its ``position``-th node replaced."""
    copied = tree.copy()
    target = next(islice(copied.dfs(), position, None))
    if target is copied:
        return replacement
    target.replace(replacement)
    return copied


@dataclass(frozen=True, eq=False)
class Variant:
    """What may stand instead of one node; ``before`` and ``after`` where the trees themselves would say too much."""

    tree: Any
    wants: str
    before: str | None = None
    after: str | None = None


Variants = Iterator[Variant]


def _comparison(node: Any, setting: Setting) -> Variants:
    left, right = node.this, node.expression
    typed = (setting.compiled(left, any_type=True), setting.compiled(right, any_type=True))
    ordered = any(side is not None and side.type in NUMBERS | DATES for side in typed)
    wants = f"{shown(left)} 小于、等于、大于 {shown(right)}" if ordered else f"{shown(node)} 成立、不成立"
    for other in _COMPARISONS if ordered else _EQUALITIES:
        if not isinstance(node, other):
            yield Variant(other(this=left.copy(), expression=right.copy()), f"{wants} 各要一条，别的条件都满足")


def _connective(node: Any, setting: Setting) -> Variants:
    word, other, otherwise = ("AND", exp.Or, "OR") if isinstance(node, exp.And) else ("OR", exp.And, "AND")
    left, right = node.left, node.right
    swapped = other(this=left.copy(), expression=right.copy())
    wants = f"{shown(left)} 与 {shown(right)} 只有一个成立"
    yield Variant(swapped, wants, f"{word} {said(right)}", f"{otherwise} {said(right)}")
    alone = "不成立" if word == "AND" else "成立"
    yield Variant(left.copy(), f"只有 {shown(right)} {alone}，别的条件不变", said(right), "")
    if type(left) is not type(node):
        yield Variant(right.copy(), f"只有 {shown(left)} {alone}，别的条件不变", said(left), "")


def _not(node: Any, setting: Setting) -> Variants:
    yield Variant(node.this.copy(), f"{shown(node)} 成立和不成立各要一条，别的条件都满足")


def _answer(node: Any, setting: Setting) -> Variants:
    if not isinstance(node.parent, exp.Not):
        yield Variant(exp.Not(this=node.copy()), f"{shown(node)} 成立和不成立各要一条，别的条件都满足")
    if isinstance(node, exp.In):
        yield from _fewer(node, f"{said(node.this)} IN")


def _array(node: Any, setting: Setting) -> Variants:
    yield from _fewer(node, "")


def _fewer(node: Any, head: str) -> Variants:
    """A list without one of its members."""
    for index, member in enumerate(node.expressions if len(node.expressions) > 1 else ()):
        copied = node.copy()
        copied.set("expressions", [one.copy() for place, one in enumerate(node.expressions) if place != index])
        yield Variant(copied, f"只有 {shown(member)} 才有的结果，别的条件都满足", f"{head} {said(member)}".strip(), "")


def _column(node: Any, setting: Setting) -> Variants:
    """A neighbour of the same kind; of all the fields that no example fills, one stands for the rest."""
    if not setting.form.has(node.name):
        if node.name in setting.vocabulary.derived and node.name in setting.derived_types:
            yield from _derived_name(node, setting)
        return
    own = setting.form.field(node.name)
    alike = [field.name for field in setting.form.fields if field.kind == own.kind]
    named = [name for name in alike if name in setting.named or name == own.name]
    here = named.index(own.name) if own.name in named else 0
    for other in named[max(here - _NEIGHBOURS, 0) : here + _NEIGHBOURS + 1]:
        if other != own.name:
            yield Variant(exp.column(other), f"{own.name} 与 {other} 取值不同，结果也因此不同")
    spare = next((name for name in alike if name not in named), None)
    if spare:
        yield Variant(exp.column(spare), f"填了 {own.name} 的，结果因它不同", after=SPARE)


def _derived_name(node: Any, setting: Setting) -> Variants:
    """A derived name beside it of the same type: age today for age on the day."""
    types = setting.derived_types
    alike = [name for name, kind in types.items() if kind == types[node.name]]
    here = alike.index(node.name)
    for other in alike[max(here - _NEIGHBOURS, 0) : here + _NEIGHBOURS + 1]:
        if other != node.name:
            yield Variant(exp.column(other), f"{node.name} 与 {other} 取值不同，结果也因此不同")


def _literal(node: Any, setting: Setting) -> Variants:
    parent = node.parent
    if isinstance(parent, exp.Neg) or _is_structural(node):
        return
    if isinstance(parent, exp.Interval):
        for amount in (int(node.this) - 1, int(node.this) + 1):
            yield Variant(exp.Literal.string(str(amount)), f"恰在 {node.this} {parent.unit} 的界上和差一步")
    elif node.is_string:
        for text in _other_texts(str(node.this), [node], setting):
            yield Variant(exp.Literal.string(text), f"取值为 '{node.this}'，别的条件都满足")
    else:
        yield from _off_by_a_step(float(node.this), node, setting)


def _negative(node: Any, setting: Setting) -> Variants:
    if isinstance(node.this, exp.Literal):
        yield from _off_by_a_step(-float(node.this.this), node, setting)


def _off_by_a_step(value: float, node: Any, setting: Setting) -> Variants:
    for number in _steps(value, _step(value, [node], setting)):
        literal = exp.Literal.number(_plain(abs(number)))
        wants = f"取值恰为 {_plain(value)} 和 {_plain(number)}"
        yield Variant(exp.Neg(this=literal) if number < 0 else literal, wants)


def _case(node: Any, setting: Setting) -> Variants:
    branches = node.args["ifs"]
    for index, branch in enumerate(branches):
        copied: Any = node.args.get("default") or exp.Null()
        if len(branches) > 1:
            copied = node.copy()
            copied.set("ifs", [one.copy() for place, one in enumerate(branches) if place != index])
        dropped = f"WHEN {said(branch.this)} THEN {said(branch.args['true'])}"
        yield Variant(copied.copy(), f"{shown(branch.this)} 成立，结果因此不同", dropped, "")


def _arithmetic(node: Any, setting: Setting) -> Variants:
    other = _ARITHMETIC[type(node)]
    yield Variant(other(this=node.this.copy(), expression=node.expression.copy()), f"{shown(node)} 的值决定结果")


def _call(node: Any, setting: Setting) -> Variants:
    name = str(node.name).removeprefix(CALL_PREFIX)
    arguments = node.expressions
    function = FUNCTIONS.get(name)
    if function is not None and function.result == "bool" and not isinstance(node.parent, exp.Not):
        yield Variant(exp.Not(this=node.copy()), f"{shown(node)} 成立和不成立各要一条，别的条件都满足")
    if name in _UNWRAPPED:
        yield Variant(arguments[0].copy(), f"{name} 起作用的一条，如负数、小数、大小写")
    if name in _LISTED:
        yield from _fewer(node, name)
    if name in _TWINS:
        twin = exp.Anonymous(this=CALL_PREFIX + _TWINS[name], expressions=[one.copy() for one in arguments])
        yield Variant(twin, f"{shown(node)} 的几个值大小不同，结果也因此不同")
    if name == "date_diff":
        turned = exp.Anonymous(this=node.this, expressions=[arguments[at].copy() for at in (0, 2, 1)])
        yield Variant(turned, f"{shown(arguments[1])} 早于和晚于 {shown(arguments[2])} 各要一条")
    if name == "only":
        chosen = exp.In(this=arguments[1].copy(), field=arguments[0].copy())
        yield Variant(chosen, f"{shown(arguments[0])} 除 {shown(arguments[1])} 外还选了别的")
    if name == "regexp" and isinstance(arguments[1], exp.Literal):
        for pattern in _looser_patterns(str(arguments[1].this)):
            looser = exp.Anonymous(this=node.this, expressions=[arguments[0].copy(), exp.Literal.string(pattern)])
            yield Variant(looser, "整段不符而其中一段符合正则，首、尾各要一条")


_VARIATIONS: tuple[tuple[Any, Callable[[Any, Setting], Variants]], ...] = (
    (_COMPARISONS, _comparison),
    ((exp.And, exp.Or), _connective),
    (exp.Not, _not),
    (_ANSWERS, _answer),
    (exp.Array, _array),
    (exp.Column, _column),
    (exp.Literal, _literal),
    (exp.Neg, _negative),
    (exp.Case, _case),
    (tuple(_ARITHMETIC), _arithmetic),
    (exp.Anonymous, _call),
)


def _is_structural(node: Any) -> bool:
    """Whether a literal says how, not what: a unit, the name of a code list, a pattern, a number of decimals."""
    parent = node.parent
    if isinstance(parent, exp.Like) and parent.expression is node:
        return True
    if isinstance(parent, (exp.In, exp.Array)):
        return len(parent.expressions) > 1  # dropping members shows as much
    if not isinstance(parent, exp.Anonymous):
        return False
    name = str(parent.name).removeprefix(CALL_PREFIX)
    return name not in ("only", "substr") and FUNCTIONS[name].parameter(node.index or 0).constant


def _other_values(name: str, value: Any, sites: list[Any], setting: Setting) -> Iterator[tuple[Any, str]]:
    if isinstance(value, list):
        if len(value) > 1:
            for index, member in enumerate(value):
                yield [*value[:index], *value[index + 1 :]], f"取值为 {member}，别的条件都满足"
        elif isinstance(value[0], str):
            yield from (([text], f"取值为 {value[0]}") for text in _other_texts(value[0], sites, setting))
    elif isinstance(value, bool):
        yield not value, f"{name} 起作用的一条"
    elif isinstance(value, (int, float)):
        for number in _steps(value, _step(value, sites, setting)):
            yield number, f"取值恰为 {_plain(value)} 和 {_plain(number)}"
    elif isinstance(value, date):
        for days in (-1, 1):
            yield value + timedelta(days=days), f"日期恰为 {value} 和差一天"
    else:
        yield from ((text, f"取值为 '{value}'") for text in _other_texts(value, sites, setting))


def _steps(value: float, step: float) -> list[float]:
    return [_tidy(value - step), _tidy(value + step)]


def _step(value: float, sites: list[Any], setting: Setting) -> float:
    """One step of a limit: what the field beside it can change by, else one of the limit's own last decimal."""
    for site in sites:
        for beside in _beside(site):
            node = setting.compiled(beside, any_type=True)
            if isinstance(node, Column) and node.field.kind == "dec":
                return float(10 ** -(node.field.scale or 0))
    _, _, decimals = _plain(value).partition(".")
    return float(10 ** -len(decimals))


def _beside(site: Any) -> list[Any]:
    """What a value is compared with: the other side of a comparison, the tested side of between, in or only."""
    parent = site.parent
    while isinstance(parent, exp.Paren):
        site, parent = parent, parent.parent
    if isinstance(parent, _COMPARISONS):
        return [parent.this if parent.expression is site else parent.expression]
    if isinstance(parent, exp.In):
        return [parent.this if parent.this is not site else parent.args["field"]]
    if isinstance(parent, exp.Between):
        return [parent.this]
    if isinstance(parent, (exp.Anonymous, exp.Array)):
        return [parent.expressions[0]] if isinstance(parent, exp.Anonymous) else _beside(parent)
    return []


def _other_texts(text: str, sites: list[Any], setting: Setting) -> list[str]:
    """Another code of the list beside it; a day earlier and later beside a date; else some other text."""
    for site in sites:
        for beside in _beside(site):
            node = setting.compiled(beside, any_type=True)
            if node is not None and node.type in DATES and re.fullmatch(r"\d{4}-\d\d-\d\d", text):
                return [(date.fromisoformat(text) + timedelta(days=days)).isoformat() for days in (-1, 1)]
            code_list = setting.vocabulary.codes.get(node.field.codes or "") if isinstance(node, Column) else None
            if code_list is not None and text in code_list.by_code:
                codes = list(code_list.by_code)
                return [codes[codes.index(text) - 1]] if len(codes) > 1 else []
    return [_OTHER_TEXT]


def _looser_patterns(pattern: str) -> Iterator[str]:
    if pattern.startswith("^"):
        yield pattern[1:]
    if pattern.endswith("$"):
        yield pattern[:-1]


def _tidy(value: float) -> float:
    value = round(value, 6)
    return int(value) if float(value).is_integer() else value


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_plain, value)) + "]"
    return str(_tidy(value)) if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
