"""From text to a typed tree: the public face of compiling an expression, and its operators.

Belongs here: what ``Expression`` is, and what each operator becomes. Every fault of an expression is collected, with
the closest known name. Does not belong here: names (``names``), functions (``calls``), types (``types``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlglot import exp

from phqc_pipeline.catalogue.expressions import nodes
from phqc_pipeline.catalogue.expressions.calls import CallReader
from phqc_pipeline.catalogue.expressions.nodes import (
    CONTEXT_NAMES,
    DATE_UNITS,
    DATES,
    TIME_UNITS,
    Call,
    Constant,
    Node,
    Type,
)
from phqc_pipeline.catalogue.expressions.syntax import CALL_PREFIX, ExpressionError, shown, syntax_tree
from phqc_pipeline.catalogue.expressions.types import BAD, Vocabulary, as_date, common_type, is_null
from phqc_pipeline.catalogue.model import PER_FIELD_NAMES, Field, Form

_COMPARISONS: dict[type[Any], str] = {
    exp.EQ: "eq",
    exp.NEQ: "ne",
    exp.LT: "lt",
    exp.LTE: "le",
    exp.GT: "gt",
    exp.GTE: "ge",
}
_ARITHMETIC: dict[type[Any], str] = {
    exp.Add: "add",
    exp.Sub: "sub",
    exp.Mul: "mul",
    exp.Div: "div",
    exp.Mod: "mod",
}

_CAST_TYPES: dict[str, Type] = {
    **dict.fromkeys(("int", "bigint", "smallint", "tinyint"), "int"),  # type: ignore[dict-item]
    **dict.fromkeys(("double", "float", "decimal"), "num"),  # type: ignore[dict-item]
    **dict.fromkeys(("text", "varchar"), "text"),  # type: ignore[dict-item]
    "date": "date",
}
_UNIT_TITLES = {"hour": "小时", "minute": "分钟"}


@dataclass(frozen=True)
class Expression:
    """A compiled expression: its text as written and its typed tree."""

    text: str
    node: Node

    @property
    def type(self) -> Type:
        return self.node.type

    @property
    def reads(self) -> frozenset[str]:
        """Fields of the form the expression reads (those it merely counts, ``required_count()``, left out)."""
        return nodes.columns_read(self.node)

    @property
    def touches(self) -> frozenset[str]:
        """Fields whose lake columns (``x``, ``x__raw``) evaluating it may name: ``reads`` and the counted ones."""
        return nodes.columns_touched(self.node)

    @property
    def empties(self) -> frozenset[str]:
        """Fields whose being empty can make the expression TRUE."""
        return nodes.columns_emptied(self.node)


def parse_expression(
    text: str,
    form: Form,
    vocabulary: Vocabulary,
    params: Mapping[str, Any] | None = None,
    *,
    field: Field | None = None,
    optional: Iterable[str] = (),
    expect: Type | None = "bool",
) -> Expression:
    """Compile ``text`` against ``form``.

    ``params`` are the rule's parameters (scalars or lists). ``field`` is given for a per-field rule: ``value`` and its
    companions then mean that field. A name in ``optional`` that the form lacks reads as an empty cell. ``expect`` is
    the result's type; None accepts any. Raises ExpressionError with every fault.
    """
    reader = _Reader(text, form, vocabulary, params or {}, field, frozenset(optional))
    node = reader.read_root(expect)
    if reader.faults:
        raise ExpressionError(text, reader.faults)
    return Expression(text, node)


def compile_tree(
    tree: Any,
    form: Form,
    vocabulary: Vocabulary,
    params: Mapping[str, Any] | None = None,
    *,
    field: Field | None = None,
    optional: Iterable[str] = (),
    expect: Type | None = "bool",
) -> Node:
    """The same for a syntax tree that stands in no text: a mutant, or a part of an expression."""
    reader = _Reader("", form, vocabulary, params or {}, field, frozenset(optional))
    node = reader.read_tree(tree, expect)
    if reader.faults:
        raise ExpressionError(shown(tree), reader.faults)
    return node


def negated(expression: Expression) -> Expression:
    """The expression that is TRUE where ``expression`` is FALSE: an ``assert`` as ``violated``."""
    return Expression(f"not ({expression.text})", nodes.not_(expression.node))


def names_used(text: str, vocabulary: Vocabulary, params: Iterable[str] = ()) -> frozenset[str]:
    """Names in ``text`` that only a form's columns can answer for, derived names expanded (what these can do without
    left out); without knowing a form.

    A generic rule is instantiated on the forms that have them all. Raises ExpressionError if the text does not parse.
    """
    known = {*params, *CONTEXT_NAMES, *PER_FIELD_NAMES}
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    pending: list[tuple[str, frozenset[str]]] = [(text, frozenset())]
    while pending:
        written, optional = pending.pop()
        tree = syntax_tree(written)
        found |= {"birth_date" for call in tree.find_all(exp.Anonymous) if call.name.startswith(CALL_PREFIX + "age_")}
        for name in {column.name for column in tree.find_all(exp.Column)} - known - optional:
            derived = vocabulary.derived.get(name)
            if derived is None:
                found.add(name)
            elif (name, optional) not in seen:
                seen.add((name, optional))
                pending.append((derived.expr, optional | derived.optional_columns))
    return frozenset(found)


class _Reader(CallReader):
    """Reads one expression: a tree of operators over names and calls."""

    def read(self, tree: Any) -> Node:
        """The typed node of one piece of the tree."""
        kind = type(tree)
        if kind in _COMPARISONS:
            return self._read_comparison(tree)
        if kind in _ARITHMETIC:
            return self._read_arithmetic(tree)
        reader = _READERS.get(kind)
        if reader is None:
            return self._fault(f"不支持的写法：{shown(tree)}", "只用语言说明里的运算符和函数")
        return reader(self, tree)

    def _read_paren(self, tree: Any) -> Node:
        return self.read(tree.this)

    def _read_column(self, tree: Any) -> Node:
        if tree.args.get("table") is not None:
            return self._fault(f"不支持带表名的列：{shown(tree)}", "只写列名")
        return self._read_name(tree.name)

    def _read_literal(self, tree: Any) -> Node:
        if tree.is_string:
            return Constant(tree.this, "text")
        return self._constant(float(tree.this), "数字")

    def _read_boolean(self, tree: Any) -> Node:
        return nodes.TRUE if tree.this else nodes.FALSE

    def _read_null(self, tree: Any) -> Node:
        return Constant(None, "null")

    def _read_array(self, tree: Any) -> Node:
        values = [self.read(item) for item in tree.expressions]
        if values and all(isinstance(value, Constant) and value.type == "text" for value in values):
            return Constant(tuple(str(value.value) for value in values), "list")  # type: ignore[union-attr]
        return self._fault(f"方括号里只能是一个以上文本代码：{shown(tree)}", "写成 ['1', '2']")

    def _read_connective(self, tree: Any) -> Node:
        parts = [self._judgement(self.read(side), side) for side in (tree.left, tree.right)]
        return nodes.all_of(*parts) if isinstance(tree, exp.And) else nodes.any_of(*parts)

    def _read_not(self, tree: Any) -> Node:
        return nodes.not_(self._judgement(self.read(tree.this), tree.this))

    def _read_is(self, tree: Any) -> Node:
        if not isinstance(tree.expression, exp.Null):
            return self._fault(f"is 后面只能是 null 或 not null：{shown(tree)}", "条件本身就是真假，直接写它或 not 它")
        return is_null(self.read(tree.this))

    def _read_comparison(self, tree: Any) -> Node:
        if isinstance(tree.left, exp.Null) or isinstance(tree.right, exp.Null):
            return self._fault(f"与 NULL 比较永远不成立：{shown(tree)}", "改用 is null 或 is not null")
        return self._compared(_COMPARISONS[type(tree)], self.read(tree.left), self.read(tree.right), tree)

    def _read_between(self, tree: Any) -> Node:
        value = self.read(tree.this)
        low = self._compared("ge", value, self.read(tree.args["low"]), tree)
        return nodes.all_of(low, self._compared("le", value, self.read(tree.args["high"]), tree))

    def _read_in(self, tree: Any) -> Node:
        if tree.args.get("query") is not None:
            return self._fault(f"不支持子查询：{shown(tree)}", "要看别的记录或别的表的规则由 dbt 承担")
        value = self.read(tree.this)
        items = [tree.args["field"]] if tree.args.get("field") is not None else list(tree.expressions)
        if not items or any(isinstance(item, exp.Null) for item in items):
            return self._fault(f"in 的列表里要有值，且不能有 NULL：{shown(tree)}", "逐个写出允许的值")
        read = [self._read_member(item) for item in items]
        if len(read) == 1 and not isinstance(read[0], list) and read[0].type == "list":
            return self._in_list_node(value, read[0], tree)
        flat = [piece for member in read for piece in (member if isinstance(member, list) else [member])]
        return self._in_values(value, flat, tree)

    def _read_member(self, item: Any) -> Node | list[Node]:
        """One member of an ``in``; a parameter that is a list stands for its values."""
        if isinstance(item, exp.Column) and isinstance(self.params.get(item.name), (list, tuple)):
            return [self._constant(value, f"参数 {item.name}") for value in self.params[item.name]]
        return self.read(item.this if isinstance(item, exp.Paren) else item)

    def _in_list_node(self, value: Node, members: Node, tree: Any) -> Node:
        if isinstance(members, Constant):
            return self._in_values(value, [Constant(code, "text") for code in members.value], tree)  # type: ignore[union-attr]
        if value.type not in ("text", "null"):
            return self._fault(f"in 多选字段的左边应是文本代码：{shown(tree)}", "写成 '2' in x_codes")
        self._check_codes(members, value)
        return nodes.UNKNOWN if nodes.is_empty(value) else Call("has", (members, value), "bool")

    def _in_values(self, value: Node, members: list[Node], tree: Any) -> Node:
        if value.type == "list":
            return self._fault(f"多选字段不能写在 in 的左边：{shown(tree)}", "用 contains_any(字段, ['1', '2'])")
        compared = [self._compared("eq", value, member, tree) for member in members]
        if all(isinstance(part, Call) and part.op == "eq" and isinstance(part.args[1], Constant) for part in compared):
            sides = [part.args for part in compared if isinstance(part, Call)]
            if len({side[0] for side in sides}) == 1 and len(sides) > 1:
                return Call("in", (sides[0][0], *(side[1] for side in sides)), "bool")
        return nodes.any_of(*compared)

    def _read_like(self, tree: Any) -> Node:
        text, pattern = self.read(tree.this), self.read(tree.expression)
        if text.type not in ("text", "null") or not (isinstance(pattern, Constant) and pattern.type == "text"):
            return self._fault(f"like 左边是文本，右边是固定的文本样式：{shown(tree)}", "写成 x like '%样式%'")
        node = nodes.UNKNOWN if nodes.is_empty(text) else Call("like", (text, pattern), "bool")
        return nodes.not_(node) if tree.args.get("negate") else node

    def _read_case(self, tree: Any) -> Node:
        if tree.this is not None:
            return self._fault(f"不支持 case 后面直接跟值：{shown(tree)}", "写成 case when 条件 then 值 … end")
        args: list[Node] = []
        for branch in tree.args["ifs"]:
            args += [self._judgement(self.read(branch.this), branch.this), self.read(branch.args["true"])]
        args.append(self.read(tree.args["default"]) if tree.args.get("default") else Constant(None, "null"))
        results = self._unified([*args[1::2], args[-1]] if len(args) % 2 else args, tree)
        for position, result in zip([*range(1, len(args) - 1, 2), len(args) - 1], results, strict=True):
            args[position] = result
        return Call("case", tuple(args), common_type(results))

    def _read_neg(self, tree: Any) -> Node:
        value = self._number(self.read(tree.this), tree)
        if isinstance(value, Constant) and isinstance(value.value, (int, float)):
            return replace(value, value=-value.value)
        return value if nodes.is_empty(value) else Call("neg", (value,), value.type)

    def _read_concat(self, tree: Any) -> Node:
        sides = [self.read(tree.left), self.read(tree.right)]
        if any(side.type not in ("text", "null") for side in sides):
            return self._fault(f"|| 只连接文本：{shown(tree)}", "两边都用文本")
        return Constant(None, "text") if any(map(nodes.is_empty, sides)) else Call("concat", tuple(sides), "text")

    def _read_cast(self, tree: Any) -> Node:
        target = tree.args["to"].this.name.lower()
        value = self.read(tree.this)
        if value == BAD:
            return BAD
        if nodes.is_empty(value) and target in _CAST_TYPES:
            return Constant(None, _CAST_TYPES[target])
        kind = _CAST_TYPES.get(target)
        if kind == "int" and value.type in ("text", "int", "num"):
            return Call("to_int" if value.type == "text" else "truncate", (value,), "int")
        if kind == "num" and value.type in ("text", "int", "num"):
            return Call("to_number", (value,), "num") if value.type == "text" else value
        if kind == "date" and isinstance(value, Constant) and value.type == "text":
            return self._date_constant(str(value.value))
        if kind == "date" and value.type in ("date", "ts"):
            return as_date(value)
        if kind == "text" and value.type in ("text", "int"):
            return value if value.type == "text" else Call("to_text", (value,), "text")
        remedy = "能把文本转成 int、double，整数转成 text（小数先 round(x)），日期时间转成 date"
        return self._fault(f"不支持的转换：{shown(tree)}", remedy)

    def _read_arithmetic(self, tree: Any) -> Node:
        op = _ARITHMETIC[type(tree)]
        if isinstance(tree.right, exp.Interval):
            return self._read_shift(op, tree)
        left, right = self.read(tree.left), self.read(tree.right)
        if left.type in DATES or right.type in DATES:
            remedy = "相差天数用 date_diff('day', 起, 止)；推算日期用 日期 + interval 30 day"
            return self._fault(f"日期不能直接加减：{shown(tree)}", remedy)
        if op == "add" and "text" in (left.type, right.type):
            return self._fault(f"文本不能相加：{shown(tree)}", "连接文本用 concat(…)；数字代码先 cast(… as int)")
        left, right = self._number(left, tree), self._number(right, tree)
        if nodes.is_empty(left) or nodes.is_empty(right):
            return BAD if BAD in (left, right) else Constant(None, "num")
        whole = op != "div" and left.type != "num" and right.type != "num"
        return Call(op, (left, right), "int" if whole else "num")

    def _read_shift(self, op: str, tree: Any) -> Node:
        interval = tree.right
        base = self.read(tree.left)
        unit = str(interval.args["unit"].name if interval.args.get("unit") else "").lower().rstrip("s")
        amount = self.read(interval.this) if interval.this is not None else BAD
        if isinstance(amount, Constant) and amount.type == "text" and str(amount.value).lstrip("-").isdigit():
            amount = Constant(int(str(amount.value)), "int")
        if (
            unit not in (*DATE_UNITS, *TIME_UNITS)
            or op not in ("add", "sub")
            or not isinstance(amount, Constant)
            or amount.type != "int"
        ):
            remedy = "写成 日期 + interval 30 day（day、month、year；日期时间还可以用 hour、minute）"
            return self._fault(f"推算日期的写法不对：{shown(tree)}", remedy)
        if base.type not in DATES and base.type != "null":
            return self._fault(f"interval 左边要是日期：{shown(tree)}", "左边换成日期字段")
        if unit in TIME_UNITS and base.type == "date":
            remedy = "左边换成日期时间（dt）的字段，或改用 day"
            return self._fault(f"日期没有时刻，不能加减{_UNIT_TITLES[unit]}：{shown(tree)}", remedy)
        if nodes.is_empty(base):
            return base
        count = int(amount.value) * (1 if op == "add" else -1)  # type: ignore[arg-type]
        return Call(f"shift_{unit}", (base, Constant(count, "int")), base.type)

    def _read_interval(self, tree: Any) -> Node:
        return self._fault(f"interval 只能写在日期的加减号右边：{shown(tree)}", "写成 日期 - interval 1 year")


_READERS: dict[type[Any], Callable[[_Reader, Any], Node]] = {
    exp.Paren: _Reader._read_paren,
    exp.Column: _Reader._read_column,
    exp.Literal: _Reader._read_literal,
    exp.Boolean: _Reader._read_boolean,
    exp.Null: _Reader._read_null,
    exp.Array: _Reader._read_array,
    exp.And: _Reader._read_connective,
    exp.Or: _Reader._read_connective,
    exp.Not: _Reader._read_not,
    exp.Is: _Reader._read_is,
    exp.Between: _Reader._read_between,
    exp.In: _Reader._read_in,
    exp.Like: _Reader._read_like,
    exp.Case: _Reader._read_case,
    exp.Neg: _Reader._read_neg,
    exp.DPipe: _Reader._read_concat,
    exp.Cast: _Reader._read_cast,
    exp.TryCast: _Reader._read_cast,
    exp.Interval: _Reader._read_interval,
    exp.Anonymous: _Reader._read_call,
}
