"""How types meet: what may be compared or combined, and the steps the language implies.

Belongs here: text as a date beside a date, a timestamp as its date, rounding before a comparison, codes checked against
their list. Does not belong here: resolving names (``names``), reading syntax (``parse``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Protocol

from phqc_pipeline.catalogue.expressions import nodes
from phqc_pipeline.catalogue.expressions.nodes import (
    DATES,
    NUMBERS,
    TYPE_TITLES,
    Call,
    Column,
    Constant,
    ContextValue,
    Derived,
    Node,
    Type,
)
from phqc_pipeline.catalogue.expressions.syntax import ExpressionFault, shown
from phqc_pipeline.catalogue.model import CodeList, Field, GrowthTable
from phqc_pipeline.catalogue.model import Derived as DerivedName

COLUMN_TYPES: dict[str, Type] = {
    "text": "text",
    "code": "text",
    "int": "int",
    "dec": "num",
    "date": "date",
    "ym": "date",
    "dt": "ts",
    "multi": "list",
}

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")  # newer Pythons' fromisoformat takes more than this
BAD = Call("bad", (), "null")  # what a faulty piece becomes; fits every type, so one fault is reported once
# What merely passes its arguments on: computed if one of them is.
_PASSING = frozenset({"abs", "coalesce", "greatest", "least", "case", "neg"})
_EXACT = frozenset({"typed", "round", "round6", "list_attr", "to_number", "growth_z"})


class Vocabulary(Protocol):
    """The part of a catalogue that expressions need."""

    @property
    def codes(self) -> Mapping[str, CodeList]: ...

    @property
    def derived(self) -> Mapping[str, DerivedName]: ...

    @property
    def growth(self) -> Mapping[str, GrowthTable]: ...


class TypeChecker:
    """Builds comparisons and common types; ``faults`` collects what does not fit."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.faults: list[ExpressionFault] = []

    def _compared(self, op: str, left: Node, right: Node, tree: Any | None = None) -> Node:
        """A comparison with the steps the language implies: text as a date, a timestamp as its date, six decimals."""
        if "null" in (left.type, right.type):
            return nodes.UNKNOWN
        left, right = self._dated(left, right), self._dated(right, left)
        if BAD in (left, right):
            return nodes.UNKNOWN
        types = {left.type, right.type}
        if types <= NUMBERS:
            return Call(op, (rounded(left), rounded(right)), "bool")
        if types <= DATES:
            if len(types) == 2:
                left, right = as_date(left), as_date(right)
            return Call(op, (left, right), "bool")
        if types == {"text"}:
            self._check_codes(left, right)
            self._check_codes(right, left)
            return Call(op, (left, right), "bool")
        place = f"：{shown(tree)}" if tree is not None else ""
        if types == {"list"}:
            return self._compared_lists(op, left, right, place)
        if types == {"bool"} and op in ("eq", "ne"):
            return Call(op, (left, right), "bool")
        return self._mismatch(left, right, place)

    def _compared_lists(self, op: str, left: Node, right: Node, place: str) -> Node:
        if isinstance(left, Constant):
            left, right = right, left
        if op not in ("eq", "ne") or not isinstance(right, Constant) or isinstance(left, Constant):
            return self._fault(f"多选字段只能与固定的代码列表比相等{place}", "写成 x_codes = ['1']")
        for code in right.value:  # type: ignore[union-attr]
            self._check_codes(left, Constant(code, "text"))
        node = Call("same_codes", (left, right), "bool")
        return node if op == "eq" else nodes.not_(node)

    def _mismatch(self, left: Node, right: Node, place: str) -> Node:
        remedy = "两边用同一种类型"
        if "list" in (left.type, right.type):
            remedy = "判断含某项用 '2' in x_codes；只选一项用 x_codes = ['1']"
        elif {left.type, right.type} & NUMBERS and "text" in (left.type, right.type):
            number_in_quotes = any(isinstance(side, Constant) and side.type == "text" for side in (left, right))
            remedy = "数字不要加引号" if number_in_quotes else "代码要加引号，如 '1'；文本里的数先 cast(x as int)"
        return self._fault(f"{TYPE_TITLES[left.type]}不能与{TYPE_TITLES[right.type]}比较{place}", remedy)

    def _dated(self, node: Node, other: Node) -> Node:
        """A text constant beside a date is a date written as text."""
        if isinstance(node, Constant) and node.type == "text" and other.type in DATES:
            return self._date_constant(str(node.value))
        return node

    def _date_constant(self, text: str) -> Node:
        try:
            return Constant(date.fromisoformat(text), "date") if _ISO_DATE.fullmatch(text) else self._not_a_date(text)
        except ValueError:
            return self._not_a_date(text)

    def _not_a_date(self, text: str) -> Node:
        return self._fault(f"'{text}' 不是日期", "写成 '2009-01-01'")

    def _check_codes(self, cell: Node, given: Node) -> None:
        """A constant compared with a coded column must be one of its codes."""
        if not (isinstance(cell, Column) and cell.field.kind in ("code", "multi") and isinstance(given, Constant)):
            return
        code_list = self.vocabulary.codes.get(cell.field.codes or "")
        if code_list is None or given.value is None or given.value in code_list.by_code:
            return
        meant = code_list.spellings.get(str(given.value))
        listed = "、".join(f"{entry.code} {entry.name}" for entry in code_list.codes[:12])
        remedy = f"改为 '{meant}'" if meant else f"可用的代码：{listed}{'…' if len(code_list.codes) > 12 else ''}"
        self._fault(f"字段 {cell.name} 的代码表 {code_list.list_id} 里没有 '{given.value}'", remedy)

    def _judgement(self, node: Node, tree: Any) -> Node:
        if node.type == "null":
            return nodes.UNKNOWN
        if node.type != "bool":
            return self._fault(
                f"这里要一个条件，{shown(tree)} 是{TYPE_TITLES[node.type]}", "写成比较，如 x = '1'", nodes.UNKNOWN
            )
        return node

    def _number(self, node: Node, tree: Any) -> Node:
        if node.type in NUMBERS or node.type == "null":
            return node
        remedy = "文本里的数先 cast(x as int)" if node.type == "text" else "只对数值做加减乘除"
        return self._fault(f"{TYPE_TITLES[node.type]}不能参加计算：{shown(tree)}", remedy)

    def _unified(self, values: list[Node], tree: Any) -> list[Node]:
        """Values brought to one common type: whole and decimal numbers mix, a timestamp beside a date is its date."""
        dated = [other for other in values if other.type in DATES]
        if dated:
            values = [self._dated(value, dated[0]) for value in values]
        types = {value.type for value in values} - {"null"}
        if types == DATES:
            return [as_date(value) for value in values]
        if len(types) <= 1 or types <= NUMBERS:
            return values
        titles = "、".join(sorted(TYPE_TITLES[kind] for kind in types))
        self._fault(f"各个值的类型不同（{titles}）：{shown(tree)}", "各分支、各参数用同一种类型")
        return [BAD for _ in values]

    def _fault(self, problem: str, remedy: str, instead: Node = BAD) -> Node:
        self.faults.append(ExpressionFault(problem, remedy))
        return instead


def column_node(field: Field) -> Column:
    """The usable reading of a field."""
    return Column(field.name, COLUMN_TYPES[field.kind], field)


def is_null(node: Node) -> Node:
    """``x is null``: NULL (not TRUE) where a cell read by ``x`` is unusable."""
    if isinstance(node, Constant):
        return nodes.TRUE if node.value is None else nodes.FALSE
    if isinstance(node, ContextValue) or node == BAD:
        return nodes.FALSE
    return Call("is_null", (node,), "bool")


def as_date(node: Node) -> Node:
    return Call("date", (node,), "date") if node.type == "ts" else node


def rounded(node: Node) -> Node:
    """The node rounded to six decimals if it is a computed decimal (ruling 0a.15)."""
    return Call("round6", (node,), "num") if node.type == "num" and _is_computed(node) else node


def _is_computed(node: Node) -> bool:
    if isinstance(node, Derived):
        return _is_computed(node.body)
    if not isinstance(node, Call) or node.op in _EXACT:
        return False
    if node.op in _PASSING:
        values = [*node.args[1::2], node.args[-1]] if node.op == "case" else node.args
        return any(_is_computed(value) for value in values)
    return node.type == "num"


def common_type(values: list[Node]) -> Type:
    types = {value.type for value in values} - {"null"}
    if types == {"int", "num"}:
        return "num"
    return next(iter(types)) if types else "null"
