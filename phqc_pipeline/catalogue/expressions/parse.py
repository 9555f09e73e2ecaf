"""From text to a typed tree: names resolved against a form, types checked, macros and parameters expanded.

Belongs here: what the language accepts and how it says what it does not. Every fault of an expression is collected,
with the closest known name. Does not belong here: computing anything (renderers), reading YAML (the loader).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Protocol

from sqlglot import exp

from phqc_pipeline.catalogue.expressions import nodes
from phqc_pipeline.catalogue.expressions.functions import FUNCTIONS, Function
from phqc_pipeline.catalogue.expressions.nodes import (
    CONTEXT_NAMES,
    DATES,
    NUMBERS,
    TYPE_TITLES,
    Call,
    Column,
    Constant,
    ContextValue,
    Derived,
    ListReference,
    Node,
    Type,
)
from phqc_pipeline.catalogue.expressions.patterns import PatternError, portable_regex
from phqc_pipeline.catalogue.expressions.syntax import (
    CALL_PREFIX,
    ExpressionError,
    ExpressionFault,
    shown,
    syntax_tree,
)
from phqc_pipeline.catalogue.faults import closest
from phqc_pipeline.catalogue.model import PER_FIELD_NAMES, CodeList, Field, Form
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

_BAD = Call("bad", (), "null")  # what a faulty piece becomes; fits every type, so one fault is reported once
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
_UNITS = ("day", "month", "year")
# What stays a plain reading of a cell or a constant when passed on, so needs no rounding before it is compared.
_PASSING = frozenset({"abs", "coalesce", "greatest", "least", "case", "neg"})
_EXACT = frozenset({"typed", "round", "round6", "list_attr", "to_number"})


class Vocabulary(Protocol):
    """The part of a catalogue that expressions need."""

    @property
    def codes(self) -> Mapping[str, CodeList]: ...

    @property
    def derived(self) -> Mapping[str, DerivedName]: ...


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
        """Fields whose lake columns (``x``, ``x__raw``) must be there to evaluate it; ``reads`` and the counted ones."""
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
    companions then mean that field. A name in ``optional`` that the form lacks reads as an empty cell. ``expect`` is the
    result's type; None accepts any. Raises ExpressionError with every fault.
    """
    reader = _Reader(text, form, vocabulary, params or {}, field, frozenset(optional))
    node = reader.read_root(expect)
    if reader.faults:
        raise ExpressionError(text, reader.faults)
    return Expression(text, node)


def negated(expression: Expression) -> Expression:
    """The expression that is TRUE where ``expression`` is FALSE: an ``assert`` as ``violated``."""
    return Expression(f"not ({expression.text})", nodes.not_(expression.node))


def names_used(text: str, vocabulary: Vocabulary, params: Iterable[str] = ()) -> frozenset[str]:
    """Names in ``text`` that only a form's columns can answer for, derived names expanded; without knowing a form.

    A generic rule is instantiated on the forms that have them all. Raises ExpressionError if the text does not parse.
    """
    known = {*params, *CONTEXT_NAMES, *PER_FIELD_NAMES}
    found: set[str] = set()
    pending, seen = [text], set()
    while pending:
        tree = syntax_tree(pending.pop())
        found |= {"birth_date" for call in tree.find_all(exp.Anonymous) if call.name.startswith(CALL_PREFIX + "age_")}
        for column in tree.find_all(exp.Column):
            name = column.name
            if name in known or name in seen:
                continue
            seen.add(name)
            if name in vocabulary.derived:
                pending.append(vocabulary.derived[name].expr)
            else:
                found.add(name)
    return frozenset(found)


class _Reader:
    """Reads one expression; ``faults`` collects what is wrong. Methods named ``_read_x`` return a node or ``_BAD``."""

    def __init__(
        self,
        text: str,
        form: Form,
        vocabulary: Vocabulary,
        params: Mapping[str, Any],
        field: Field | None,
        optional: frozenset[str],
        expanding: tuple[str, ...] = (),
    ) -> None:
        self.text = text
        self.form = form
        self.vocabulary = vocabulary
        self.params = params
        self.field = field
        self.optional = optional
        self.expanding = expanding
        self.faults: list[ExpressionFault] = []

    def read_root(self, expect: Type | None) -> Node:
        self._check_params()
        try:
            tree = syntax_tree(self.text)
        except ExpressionError as error:
            self.faults.extend(error.faults)
            return _BAD
        node = self.read(tree)
        if expect == "bool":
            return self._judgement(node, tree)
        if expect is not None and node.type != "null" and node.type != expect and not {node.type, expect} <= NUMBERS:
            self._fault(f"结果应为{TYPE_TITLES[expect]}，实际是{TYPE_TITLES[node.type]}", "改写表达式")
        return node

    # --- names -------------------------------------------------------------------------------------------------

    def _check_params(self) -> None:
        for name in self.params:
            if self.form.has(name) or name in self.vocabulary.derived or name in CONTEXT_NAMES:
                self._fault(f"参数 {name} 与表单 {self.form.form_id} 的字段或派生名重名", "给参数另起一个名字")

    def _read_name(self, name: str) -> Node:
        if name in PER_FIELD_NAMES and not self.form.has(name):
            return self._read_per_field(name)
        if self.form.has(name):
            return column_node(self.form.field(name))
        if name in self.params:
            return self._constant(self.params[name], f"参数 {name}")
        if name in CONTEXT_NAMES:
            return ContextValue(name)
        if name in self.vocabulary.derived:
            return self._read_derived(name)
        if name in self.optional:
            return Constant(None, "null")
        return self._unknown_name(name)

    def _unknown_name(self, name: str) -> Node:
        by_title = {header: column.name for column in self.form.fields for header in column.headers}
        known = [*by_title, *self.params, *CONTEXT_NAMES, *self.vocabulary.derived]
        near = closest(name, known)
        remedy = f"改为 {by_title.get(near, near)}" if near else "用 rules/forms/ 里的英文列名、派生名或规则的 params"
        return self._fault(f"表单 {self.form.form_id} 没有字段 {name}，也没有这个派生名或参数", remedy)

    def _read_derived(self, name: str) -> Node:
        if name in self.expanding:
            return self._fault(
                f"派生名 {name} 绕回自己：{' → '.join((*self.expanding, name))}", "改 rules/derived.yaml"
            )
        body = self.vocabulary.derived[name].expr
        inner = _Reader(body, self.form, self.vocabulary, {}, None, self.optional, (*self.expanding, name))
        node = inner.read_root(None)
        for fault in inner.faults:
            self._fault(f"派生名 {name}（{body}）：{fault.problem}", fault.remedy)
        return Derived(name, node) if not inner.faults else _BAD

    def _read_per_field(self, name: str) -> Node:
        field = self.field
        if field is None:
            return self._fault(f"{name} 只能用在按字段展开的规则里", "给规则写 per_field，或改用具体字段名")
        if name == "value":
            return column_node(field)
        if name == "required_now":
            return self._required_now(field)
        if name == "other_chosen":
            return self._other_chosen(field)
        low, high = field.hard or (None, None)
        soft_low, soft_high = field.soft or (None, None)
        given: dict[str, Any] = {
            "hard_min": low,
            "hard_max": high,
            "soft_min": soft_low,
            "soft_max": soft_high,
            "scale": 0 if field.kind == "int" else field.scale,
            "other_code": field.other_of.code if field.other_of else None,
            "exclusive_codes": list(field.exclusive) or None,
        }
        return self._constant(given[name], name)

    def _required_now(self, field: Field) -> Node:
        """The condition under which the field must be filled, as a judgement on this record."""
        if field.required == "always":
            return nodes.TRUE
        if field.required == "never" or field.required_when is None:
            return nodes.FALSE
        inner = _Reader(field.required_when, self.form, self.vocabulary, {}, None, frozenset(), self.expanding)
        node = inner.read_root("bool")
        for fault in inner.faults:
            self._fault(f"字段 {field.name} 的必填条件（{field.required_when}）：{fault.problem}", fault.remedy)
        return node

    def _other_chosen(self, field: Field) -> Node:
        if field.other_of is None:
            return nodes.FALSE
        if not self.form.has(field.other_of.field):
            return self._unknown_name(field.other_of.field)
        choice, code = column_node(self.form.field(field.other_of.field)), Constant(field.other_of.code, "text")
        return Call("has", (choice, code), "bool") if choice.type == "list" else self._compared("eq", choice, code)

    def _constant(self, value: Any, where: str) -> Node:
        if value is None:
            return Constant(None, "null")
        if isinstance(value, bool):
            return Constant(value, "bool")
        if isinstance(value, int):
            return Constant(value, "int")
        if isinstance(value, float):
            return Constant(int(value), "int") if value.is_integer() else Constant(value, "num")
        if isinstance(value, str):
            return Constant(str(value), "text")
        if isinstance(value, date) and not isinstance(value, datetime):
            return Constant(value, "date")
        if isinstance(value, (list, tuple)) and value and all(isinstance(item, str) for item in value):
            return Constant(tuple(str(item) for item in value), "list")
        return self._fault(f"{where} 的值 {value!r} 不能用在这里", "参数只能是数、文本、日期、真假，或文本列表")

    # --- operators ---------------------------------------------------------------------------------------------

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
        return Call("has", (members, value), "bool")

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
        node = Call("like", (text, pattern), "bool")
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
        return Call("case", tuple(args), _common_type(results))

    def _read_neg(self, tree: Any) -> Node:
        value = self._number(self.read(tree.this), tree)
        if isinstance(value, Constant) and isinstance(value.value, (int, float)):
            return replace(value, value=-value.value)
        return Call("neg", (value,), value.type)

    def _read_concat(self, tree: Any) -> Node:
        sides = [self.read(tree.left), self.read(tree.right)]
        if any(side.type not in ("text", "null") for side in sides):
            return self._fault(f"|| 只连接文本：{shown(tree)}", "两边都用文本")
        return Call("concat", tuple(sides), "text")

    def _read_cast(self, tree: Any) -> Node:
        target = tree.args["to"].this.name.lower()
        value = self.read(tree.this)
        if target in ("int", "bigint", "smallint", "tinyint") and value.type in ("text", "int", "num", "null"):
            return Call("to_int" if value.type == "text" else "truncate", (value,), "int")
        if target in ("double", "float", "decimal") and value.type in ("text", "int", "num", "null"):
            return Call("to_number", (value,), "num") if value.type == "text" else value
        if target == "date" and isinstance(value, Constant) and value.type == "text":
            return self._date_constant(str(value.value))
        if target == "date" and value.type in ("date", "ts", "null"):
            return as_date(value)
        return self._fault(f"不支持的转换：{shown(tree)}", "只能把文本转成 int、double，把日期时间转成 date")

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
        whole = op != "div" and left.type != "num" and right.type != "num"
        return Call(op, (left, right), "int" if whole else "num")

    def _read_shift(self, op: str, tree: Any) -> Node:
        interval = tree.right
        base = self.read(tree.left)
        unit = str(interval.args["unit"].name if interval.args.get("unit") else "").lower().rstrip("s")
        amount = self.read(interval.this) if interval.this is not None else _BAD
        if isinstance(amount, Constant) and amount.type == "text" and str(amount.value).lstrip("-").isdigit():
            amount = Constant(int(str(amount.value)), "int")
        if unit not in _UNITS or op not in ("add", "sub") or not isinstance(amount, Constant) or amount.type != "int":
            return self._fault(f"推算日期的写法不对：{shown(tree)}", "写成 日期 + interval 30 day（day、month、year）")
        if base.type not in DATES and base.type != "null":
            return self._fault(f"interval 左边要是日期：{shown(tree)}", "左边换成日期字段")
        count = int(amount.value) * (1 if op == "add" else -1)  # type: ignore[arg-type]
        return Call(f"shift_{unit}", (base, Constant(count, "int")), base.type)

    def _read_interval(self, tree: Any) -> Node:
        return self._fault(f"interval 只能写在日期的加减号右边：{shown(tree)}", "写成 日期 - interval 1 year")

    # --- functions ---------------------------------------------------------------------------------------------

    def _read_call(self, tree: Any) -> Node:
        name = tree.name.lower()
        name = name[len(CALL_PREFIX) :] if name.startswith(CALL_PREFIX) else name
        function = FUNCTIONS.get(name)
        if function is None:
            near = closest(name, FUNCTIONS)
            remedy = f"改为 {near}" if near else "只能用语言说明里列出的函数"
            return self._fault(f"没有函数 {name}", remedy)
        if not function.takes(len(tree.expressions)):
            return self._fault(
                f"{name} 的参数个数不对（写了 {len(tree.expressions)} 个）：{shown(tree)}", f"写成 {function.signature}"
            )
        arguments = [self.read(item) for item in tree.expressions]
        if not all(self._accepts(function, position, node, tree) for position, node in enumerate(arguments)):
            return _BAD
        if _BAD in arguments:
            return _BAD
        build = _BUILDERS.get(name)
        if build is not None:
            return build(self, arguments, tree)
        if function.result is None:
            arguments = self._unified(arguments, tree)
        return Call(name, tuple(arguments), function.result or _common_type(arguments))

    def _accepts(self, function: Function, position: int, node: Node, tree: Any) -> bool:
        parameter = function.parameter(position)
        if node == _BAD:
            return True
        if parameter.column and not (isinstance(node, Column) or (isinstance(node, Constant) and node.value is None)):
            self._fault(f"{function.name} 里只能写字段名：{shown(tree)}", f"写成 {function.signature}")
            return False
        if parameter.constant and not isinstance(node, Constant):
            self._fault(
                f"{function.name} 的“{parameter.label}”要写固定值或参数：{shown(tree)}", f"写成 {function.signature}"
            )
            return False
        if node.type not in parameter.types and node.type != "null":
            self._fault(
                f"{function.name} 的“{parameter.label}”不能是{TYPE_TITLES[node.type]}：{shown(tree)}",
                f"写成 {function.signature}",
            )
            return False
        return True

    def _build_missing(self, arguments: list[Node], tree: Any) -> Node:
        return is_null(arguments[0])

    def _build_cell(self, arguments: list[Node], tree: Any) -> Node:
        name = tree.name.lower()[len(CALL_PREFIX) :]
        cell = arguments[0]
        if not isinstance(cell, Column):  # a column the form lacks: an empty cell
            return nodes.FALSE if name == "unreadable" else Constant(None, "null")
        if name == "unreadable" and cell.type == "text" and cell.field.kind == "text":
            return nodes.FALSE
        return Call(name, (cell,), {"unreadable": "bool", "raw": "text"}.get(name, cell.type))  # type: ignore[arg-type]

    def _build_required(self, arguments: list[Node], tree: Any) -> Node:
        only_missing = tree.name.lower().endswith("missing_count")
        counted = []
        for field in self.form.fields:
            due = self._required_now(field)
            if due != nodes.FALSE:
                cell = column_node(field)
                missing = is_null(cell) if only_missing else nodes.TRUE
                counted.append(nodes.all_of(Call("delivered", (cell,), "bool"), due, missing))
        return Call("tally", tuple(counted), "int")

    def _build_round(self, arguments: list[Node], tree: Any) -> Node:
        places = arguments[1] if len(arguments) > 1 else Constant(0, "int")
        if not (isinstance(places, Constant) and isinstance(places.value, int) and 0 <= places.value <= 6):
            return self._fault(f"round 的小数位数是 0 到 6：{shown(tree)}", "改小数位数")
        return Call("round", (arguments[0], places), "num" if places.value else "int")

    def _build_substr(self, arguments: list[Node], tree: Any) -> Node:
        least = (1, 0)
        for bound, given in zip(least, arguments[1:], strict=False):
            if not (isinstance(given, Constant) and isinstance(given.value, int) and given.value >= bound):
                return self._fault(f"substr 的起始位从 1 起，长度不能为负：{shown(tree)}", "改起始位或长度")
        return Call("substr", tuple(arguments), "text")

    def _build_regexp(self, arguments: list[Node], tree: Any) -> Node:
        pattern = str(arguments[1].value) if isinstance(arguments[1], Constant) else ""
        try:
            translated = portable_regex(pattern)
        except PatternError as error:
            return self._fault(f"正则 {pattern} 不能用：{error}", "改用两种引擎都懂的写法，见语言说明“正则”一节")
        return Call("regexp", (arguments[0], Constant(translated, "text")), "bool")

    def _build_list_function(self, arguments: list[Node], tree: Any) -> Node:
        name = tree.name.lower()[len(CALL_PREFIX) :]
        list_id = str(arguments[1].value) if isinstance(arguments[1], Constant) else ""
        code_list = self.vocabulary.codes.get(list_id)
        if code_list is None:
            near = closest(list_id, self.vocabulary.codes)
            return self._fault(f"没有代码表 {list_id}", f"改为 {near}" if near else "先在 rules/codes/ 里写这张代码表")
        reference = ListReference(list_id, code_list)
        if name != "list_attr":
            return Call(name, (arguments[0], reference), "bool")
        return self._list_attr(arguments, reference)

    def _list_attr(self, arguments: list[Node], reference: ListReference) -> Node:
        attribute = arguments[2]
        name = str(attribute.value) if isinstance(attribute, Constant) else ""
        known = {key for code in reference.code_list.codes for key in code.attrs}
        if name not in known:
            near = closest(name, known)
            return self._fault(
                f"代码表 {reference.list_id} 的条目没有属性 {name}",
                f"改为 {near}" if near else "在代码表的 attrs 里补上",
            )
        values = [code.attrs[name] for code in reference.code_list.codes if code.attrs.get(name) is not None]
        types = {self._constant(value, f"属性 {name}").type for value in values}
        result: Type = "num" if types <= NUMBERS else next(iter(types)) if len(types) == 1 else "null"
        if result not in ("num", "text", "date"):
            return self._fault(f"代码表 {reference.list_id} 的属性 {name} 有的是数、有的不是", "改成同一种值")
        return Call("list_attr", (arguments[0], reference, attribute), result)

    def _build_date(self, arguments: list[Node], tree: Any) -> Node:
        return as_date(arguments[0])

    def _build_date_diff(self, arguments: list[Node], tree: Any) -> Node:
        unit = str(arguments[0].value).lower() if isinstance(arguments[0], Constant) else ""
        if unit not in _UNITS:
            return self._fault(f"date_diff 的单位是 'day'、'month' 或 'year'：{shown(tree)}", "改单位")
        return Call(f"date_diff_{unit}", (as_date(arguments[1]), as_date(arguments[2])), "int")

    def _build_age(self, arguments: list[Node], tree: Any) -> Node:
        name = tree.name.lower()[len(CALL_PREFIX) :]
        return Call(name, (as_date(self._read_name("birth_date")), as_date(arguments[0])), "int")

    def _build_service_date(self, arguments: list[Node], tree: Any) -> Node:
        return as_date(self._read_name(self.form.service_date))

    def _build_yyyymmdd(self, arguments: list[Node], tree: Any) -> Node:
        return Call("yyyymmdd", (as_date(arguments[0]),), "text")

    def _build_contains_any(self, arguments: list[Node], tree: Any) -> Node:
        for code in arguments[1].value if isinstance(arguments[1], Constant) else ():  # type: ignore[union-attr]
            self._check_codes(arguments[0], Constant(code, "text"))
        return Call("contains_any", tuple(arguments), "bool")

    def _build_only(self, arguments: list[Node], tree: Any) -> Node:
        self._check_codes(arguments[0], arguments[1])
        code = arguments[1]
        return Call("same_codes", (arguments[0], Constant((str(code.value),), "list")), "bool")  # type: ignore[union-attr]

    # --- types -------------------------------------------------------------------------------------------------

    def _compared(self, op: str, left: Node, right: Node, tree: Any | None = None) -> Node:
        """A comparison with the steps the language implies: text as a date, a timestamp as its date, six decimals."""
        if "null" in (left.type, right.type):
            return nodes.UNKNOWN
        left, right = self._dated(left, right), self._dated(right, left)
        if _BAD in (left, right):
            return nodes.UNKNOWN
        types = {left.type, right.type}
        place = f"：{shown(tree)}" if tree is not None else ""
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
            return Constant(date.fromisoformat(text), "date") if len(text) == 10 else self._not_a_date(text)
        except ValueError:
            return self._not_a_date(text)

    def _not_a_date(self, text: str) -> Node:
        return self._fault(f"'{text}' 不是日期", "写成 '2009-01-01'")

    def _check_codes(self, cell: Node, given: Node) -> None:
        """A constant compared with a coded column must be one of its codes."""
        if not (isinstance(cell, Column) and cell.field.kind in ("code", "multi") and isinstance(given, Constant)):
            return
        code_list = self.vocabulary.codes.get(cell.field.codes or "")
        if code_list is None or given.value in code_list.by_code:
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
        return [_BAD for _ in values]

    def _fault(self, problem: str, remedy: str, instead: Node = _BAD) -> Node:
        self.faults.append(ExpressionFault(problem, remedy))
        return instead


def column_node(field: Field) -> Column:
    """The usable reading of a field."""
    return Column(field.name, COLUMN_TYPES[field.kind], field)


def is_null(node: Node) -> Node:
    """``x is null``: NULL (not TRUE) where a cell read by ``x`` is unusable."""
    if isinstance(node, Constant):
        return nodes.TRUE if node.value is None else nodes.FALSE
    if isinstance(node, ContextValue) or node == _BAD:
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


def _common_type(values: list[Node]) -> Type:
    types = {value.type for value in values} - {"null"}
    if types == {"int", "num"}:
        return "num"
    return next(iter(types)) if types else "null"


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

_BUILDERS: dict[str, Callable[[_Reader, list[Node], Any], Node]] = {
    "missing": _Reader._build_missing,
    "unreadable": _Reader._build_cell,
    "raw": _Reader._build_cell,
    "typed": _Reader._build_cell,
    "required_count": _Reader._build_required,
    "required_missing_count": _Reader._build_required,
    "round": _Reader._build_round,
    "substr": _Reader._build_substr,
    "regexp": _Reader._build_regexp,
    "in_list": _Reader._build_list_function,
    "list_attr": _Reader._build_list_function,
    "mentions_any": _Reader._build_list_function,
    "date": _Reader._build_date,
    "yyyymmdd": _Reader._build_yyyymmdd,
    "date_diff": _Reader._build_date_diff,
    "age_at": _Reader._build_age,
    "age_months_at": _Reader._build_age,
    "service_date": _Reader._build_service_date,
    "contains_any": _Reader._build_contains_any,
    "only": _Reader._build_only,
}
