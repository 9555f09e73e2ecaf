"""What a name means: a column of the form, a parameter, a derived name, a per-field companion.

Belongs here: resolving names and expanding macros. Does not belong here: operators (``parse``), functions (``calls``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from phqc_pipeline.catalogue.expressions import nodes
from phqc_pipeline.catalogue.expressions.nodes import (
    CONTEXT_NAMES,
    NUMBERS,
    TYPE_TITLES,
    Call,
    Constant,
    ContextValue,
    Derived,
    Node,
    Type,
)
from phqc_pipeline.catalogue.expressions.syntax import ExpressionError, syntax_tree
from phqc_pipeline.catalogue.expressions.types import BAD, TypeChecker, Vocabulary, column_node
from phqc_pipeline.catalogue.faults import closest
from phqc_pipeline.catalogue.model import PER_FIELD_NAMES, Field, Form


class NameReader(TypeChecker):
    """Reads one expression; ``faults`` collects what is wrong. Methods named ``_read_x`` return a node or ``BAD``."""

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
        super().__init__(vocabulary)
        self.text = text
        self.form = form
        self.params = params
        self.field = field
        self.optional = optional
        self.expanding = expanding

    def read_root(self, expect: Type | None) -> Node:
        self._check_params()
        try:
            tree = syntax_tree(self.text)
        except ExpressionError as error:
            self.faults.extend(error.faults)
            return BAD
        return self.read_tree(tree, expect)

    def read_tree(self, tree: Any, expect: Type | None) -> Node:
        """The node of a whole tree, which must be of type ``expect`` (None: of any)."""
        node = self.read(tree)
        if expect == "bool":
            return self._judgement(node, tree)
        if expect is not None and node.type != "null" and node.type != expect and not {node.type, expect} <= NUMBERS:
            self._fault(f"结果应为{TYPE_TITLES[expect]}，实际是{TYPE_TITLES[node.type]}", "改写表达式")
        return node

    def read(self, tree: Any) -> Node:
        """The typed node of one piece of the tree."""
        raise NotImplementedError

    def _within(self, text: str, *expanding: str, optional: frozenset[str] = frozenset()) -> NameReader:
        """A reader for another text on the same form: that of the derived name ``expanding``, or a requirement's."""
        path = (*self.expanding, *expanding)
        return type(self)(text, self.form, self.vocabulary, {}, None, self.optional | optional, path)

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
        derived = self.vocabulary.derived[name]
        body = derived.expr
        inner = self._within(body, name, optional=derived.optional_columns)
        node = inner.read_root(None)
        for fault in inner.faults:
            self._fault(f"派生名 {name}（{body}）：{fault.problem}", fault.remedy)
        return Derived(name, node) if not inner.faults else BAD

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
        inner = self._within(field.required_when)
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
