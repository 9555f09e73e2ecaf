"""Function calls: arity and types checked against the list of functions, special forms built.

Belongs here: what a call becomes in the tree. Does not belong here: the list itself (``functions``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from phqc_pipeline.catalogue.expressions import nodes
from phqc_pipeline.catalogue.expressions.functions import FUNCTIONS, Function
from phqc_pipeline.catalogue.expressions.names import NameReader
from phqc_pipeline.catalogue.expressions.nodes import (
    DATE_UNITS,
    DATES,
    NUMBERS,
    TYPE_TITLES,
    Call,
    Column,
    Constant,
    GrowthReference,
    ListReference,
    Node,
    Type,
)
from phqc_pipeline.catalogue.expressions.patterns import PatternError, portable_regex
from phqc_pipeline.catalogue.expressions.syntax import CALL_PREFIX, shown
from phqc_pipeline.catalogue.expressions.types import BAD, as_date, column_node, common_type, is_null
from phqc_pipeline.catalogue.faults import closest


class CallReader(NameReader):
    """Reads function calls; methods named ``_build_x`` make the node of one function or a family of them."""

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
        arguments = [
            self._as_parameter(function, position, self.read(item)) for position, item in enumerate(tree.expressions)
        ]
        if not all(self._accepts(function, position, node, tree) for position, node in enumerate(arguments)):
            return BAD
        if BAD in arguments:
            return BAD
        return self._folded(name, arguments, self._built(function, arguments, tree))

    def _built(self, function: Function, arguments: list[Node], tree: Any) -> Node:
        build = _BUILDERS.get(function.name)
        if build is not None:
            return build(self, arguments, tree)
        if function.result is None:
            arguments = self._unified(arguments, tree)
        return Call(function.name, tuple(arguments), function.result or common_type(arguments))

    def _folded(self, name: str, arguments: list[Node], node: Node) -> Node:
        """NULL outright where an argument is a column the form lacks: an engine need not know a NULL's type."""
        empty = [nodes.is_empty(argument) for argument in arguments]
        hopeless = all(empty) if name in _TAKE_NULL else any(empty)
        return Constant(None, node.type) if hopeless and isinstance(node, Call) and node != BAD else node

    def _as_parameter(self, function: Function, position: int, node: Node) -> Node:
        """A text constant where only a date fits is a date written as text."""
        types = function.parameter(position).types if function.parameters else frozenset()
        if types & DATES and "text" not in types and isinstance(node, Constant) and node.type == "text":
            return self._date_constant(str(node.value))
        return node

    def _accepts(self, function: Function, position: int, node: Node, tree: Any) -> bool:
        parameter = function.parameter(position)
        if node == BAD:
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
            return nodes.FALSE if name in ("unreadable", "repaired") else Constant(None, "null")
        if name in ("unreadable", "repaired") and cell.type == "text" and cell.field.kind == "text":
            return nodes.FALSE
        return Call(name, (cell,), {"unreadable": "bool", "repaired": "bool", "raw": "text"}.get(name, cell.type))  # type: ignore[arg-type]

    def _build_required(self, arguments: list[Node], tree: Any) -> Node:
        only_missing = tree.name.lower().endswith("missing_count")
        counted = []
        for field in self.form.fields:
            due = self._required_now(field)
            if due != nodes.FALSE:
                cell = column_node(field)
                missing = is_null(cell) if only_missing else nodes.TRUE
                counted.append(nodes.all_of(Call("delivered", (cell,), "bool"), due, missing))
        return Call("required_missing_count" if only_missing else "required_count", tuple(counted), "int")

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

    def _build_growth_z(self, arguments: list[Node], tree: Any) -> Node:
        measure = str(arguments[0].value) if isinstance(arguments[0], Constant) else ""
        table = self.vocabulary.growth.get(measure)
        if table is None:
            near = closest(measure, self.vocabulary.growth)
            listed = "、".join(self.vocabulary.growth)
            remedy = (
                f"改为 {near}" if near else f"可用的指标：{listed}" if listed else "先在 rules/growth/ 里放上数值表"
            )
            return self._fault(f"growth 里没有指标 {measure} 的生长数值", remedy)
        _, value, sex, birth, day = arguments
        if any(nodes.is_empty(argument) for argument in (value, sex, birth, day)):
            return Constant(None, "num")
        return Call("growth_z", (GrowthReference(measure, table), value, sex, as_date(birth), as_date(day)), "num")

    def _build_date(self, arguments: list[Node], tree: Any) -> Node:
        return as_date(arguments[0])

    def _build_date_diff(self, arguments: list[Node], tree: Any) -> Node:
        unit = str(arguments[0].value).lower() if isinstance(arguments[0], Constant) else ""
        if unit not in DATE_UNITS:
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


# Functions with a value although an argument is NULL; those on a cell see to it themselves.
_TAKE_NULL = frozenset({"coalesce", "greatest", "least"})
_BUILDERS: dict[str, Callable[[CallReader, list[Node], Any], Node]] = {
    "missing": CallReader._build_missing,
    "unreadable": CallReader._build_cell,
    "repaired": CallReader._build_cell,
    "raw": CallReader._build_cell,
    "typed": CallReader._build_cell,
    "required_count": CallReader._build_required,
    "required_missing_count": CallReader._build_required,
    "round": CallReader._build_round,
    "substr": CallReader._build_substr,
    "regexp": CallReader._build_regexp,
    "in_list": CallReader._build_list_function,
    "list_attr": CallReader._build_list_function,
    "mentions_any": CallReader._build_list_function,
    "date": CallReader._build_date,
    "growth_z": CallReader._build_growth_z,
    "yyyymmdd": CallReader._build_yyyymmdd,
    "date_diff": CallReader._build_date_diff,
    "age_at": CallReader._build_age,
    "age_months_at": CallReader._build_age,
    "service_date": CallReader._build_service_date,
    "contains_any": CallReader._build_contains_any,
    "only": CallReader._build_only,
}
