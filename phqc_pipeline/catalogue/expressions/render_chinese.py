"""A typed tree as a Chinese sentence, for ``rules show`` and the rule handbook.

Belongs here: how a condition reads to a person: fields by their titles, codes with their names.
Does not belong here: anything an engine computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from phqc_pipeline.catalogue.expressions.nodes import (
    CONTEXT_NAMES,
    Call,
    Column,
    Constant,
    ContextValue,
    Derived,
    GrowthReference,
    ListReference,
    Node,
)
from phqc_pipeline.catalogue.expressions.types import Vocabulary

_SIGNS = {
    "or": (" 或 ", 1),
    "and": (" 且 ", 2),
    "eq": (" = ", 4),
    "ne": (" ≠ ", 4),
    "lt": (" < ", 4),
    "le": (" ≤ ", 4),
    "gt": (" > ", 4),
    "ge": (" ≥ ", 4),
    "add": (" + ", 5),
    "sub": (" − ", 5),
    "concat": (" 接 ", 5),
    "mul": (" × ", 6),
    "div": (" ÷ ", 6),
    "mod": (" 除余 ", 6),
}
_STATEMENT = 4  # how tightly ``收缩压 未填`` binds: like a comparison
_ATOM = 9
_UNITS = {"day": "天", "month": "个月", "year": "年", "hour": "小时", "minute": "分钟"}


class ChineseRenderer:
    """Renders trees as Chinese; ``vocabulary`` gives the titles of derived names and the names of codes."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def render(self, node: Node) -> str:
        """The sentence for ``node``, without a full stop."""
        return self._rendered(node)[0]

    def _rendered(self, node: Node) -> tuple[str, int]:
        if isinstance(node, Constant):
            return _constant(node), _ATOM
        if isinstance(node, Column):
            return node.field.title, _ATOM
        if isinstance(node, ContextValue):
            return CONTEXT_NAMES[node.name], _ATOM
        if isinstance(node, Derived):
            found = self.vocabulary.derived.get(node.name)
            return (found.title if found else node.name), _ATOM
        if isinstance(node, GrowthReference):
            return node.measure, _ATOM
        if isinstance(node, ListReference):
            return f"“{node.code_list.title}”", _ATOM
        if node.op in _SIGNS:
            return self._infix(node)
        if node.op in ("round6", "date"):  # implied steps a reader need not see
            return self._rendered(node.args[0])
        if node.op in _PHRASES:
            return _PHRASES[node.op](*self._parts(node)), _STATEMENT if node.type == "bool" else _ATOM
        special = _SPECIAL.get(node.op)
        if special is not None:
            return special(self, node)
        return f"{node.op}({'，'.join(self.render(argument) for argument in node.args)})", _ATOM

    def _infix(self, node: Call) -> tuple[str, int]:
        sign, binds = _SIGNS[node.op]
        # 且 within 或 is put in brackets too: few readers know which binds tighter.
        least = 3 if node.op == "or" else binds if node.op in ("and", "add", "mul") else binds + 1
        first = binds if node.op in ("sub", "div") else least
        parts = [self._wrapped(part, least if place else first) for place, part in enumerate(node.args)]
        if node.op in ("eq", "ne", "lt", "le", "gt", "ge"):
            parts = [
                self._named(part, node.args[1 - place], text)
                for place, (part, text) in enumerate(zip(node.args, parts, strict=True))
            ]
        return sign.join(parts), binds

    def _parts(self, node: Call) -> list[str]:
        return [self._wrapped(part, 5) for part in node.args]

    def _wrapped(self, node: Node, least: int) -> str:
        text, binds = self._rendered(node)
        return text if binds >= least else f"（{text}）"

    def _named(self, node: Node, other: Node, text: str) -> str:
        """A code with its name, when ``node`` is a constant beside a coded field."""
        if not (isinstance(node, Constant) and isinstance(other, Column) and other.field.codes):
            return text
        code_list = self.vocabulary.codes.get(other.field.codes)
        entry = code_list.by_code.get(str(node.value)) if code_list else None
        return f"{entry.code}（{entry.name}）" if entry else text

    def _codes(self, node: Call, codes: tuple[str, ...]) -> str:
        return "、".join(self._named(Constant(code, "text"), node.args[0], _quoted(code)) for code in codes)

    def _not(self, node: Call) -> tuple[str, int]:
        inner = node.args[0]
        if isinstance(inner, Call) and inner.op in _NEGATED:
            subject = self._wrapped(inner.args[0], 5)
            return _NEGATED[inner.op](subject, self._object(inner)), _STATEMENT
        return f"并非（{self.render(inner)}）", 3

    def _statement(self, node: Call) -> tuple[str, int]:
        return _AFFIRMED[node.op](self._wrapped(node.args[0], 5), self._object(node)), _STATEMENT

    def _object(self, node: Call) -> str:
        """What a statement says of its subject: codes with names, members, a pattern."""
        if node.op == "in":
            members = node.args[1:]
            return "、".join(self._named(member, node.args[0], self.render(member)) for member in members)
        if node.op in ("has", "same_codes", "contains_any"):
            given = node.args[1]
            if isinstance(given, Constant):
                return self._codes(node, given.value if isinstance(given.value, tuple) else (str(given.value),))
        return self.render(node.args[1]) if len(node.args) > 1 else ""

    def _case(self, node: Call) -> tuple[str, int]:
        parts = [self.render(argument) for argument in node.args]
        branches = [f"{parts[at]}时取 {parts[at + 1]}" for at in range(0, len(parts) - 1, 2)]
        otherwise = (
            [] if isinstance(node.args[-1], Constant) and node.args[-1].value is None else [f"否则取 {parts[-1]}"]
        )
        return f"〔{'，'.join(branches + otherwise)}〕", _ATOM

    def _shift(self, node: Call) -> tuple[str, int]:
        count = node.args[1].value if isinstance(node.args[1], Constant) else 0
        amount = int(count) if isinstance(count, (int, float)) else 0
        unit = _UNITS[node.op.removeprefix("shift_")]
        return f"{self._wrapped(node.args[0], 5)} {'后' if amount >= 0 else '前'} {abs(amount)} {unit}", 5

    def _counted(self, node: Call) -> tuple[str, int]:
        return {"required_count": "应填字段数", "required_missing_count": "应填而未填的字段数"}[node.op], _ATOM


def _quoted(text: str) -> str:
    return f"“{text}”"


def _constant(node: Constant) -> str:
    value = node.value
    if value is None:
        return "空"
    if isinstance(value, bool):
        return "真" if value else "假"
    if isinstance(value, (int, float)):
        return str(int(value) if float(value).is_integer() else value)
    if isinstance(value, tuple):
        return "、".join(_quoted(item) for item in value)
    return value.isoformat() if isinstance(value, date) else _quoted(value)


_AFFIRMED: dict[str, Callable[[str, str], str]] = {
    "is_null": lambda subject, _: f"{subject} 未填",
    "in": lambda subject, members: f"{subject} 是 {members} 之一",
    "has": lambda subject, code: f"{subject} 选了 {code}",
    "same_codes": lambda subject, codes: f"{subject} 只选了 {codes}",
    "contains_any": lambda subject, codes: f"{subject} 选了 {codes} 中任一项",
    "like": lambda subject, pattern: f"{subject} 形如 {pattern}",
    "regexp": lambda subject, pattern: f"{subject} 符合正则 {pattern}",
    "contains": lambda subject, piece: f"{subject} 含 {piece}",
    "starts_with": lambda subject, start: f"{subject} 以 {start} 开头",
    "in_list": lambda subject, codes: f"{subject} 在代码表{codes}里",
    "mentions_any": lambda subject, codes: f"{subject} 提到{codes}中的条目",
    "unreadable": lambda subject, _: f"{subject} 无法识别",
    "has_time": lambda subject, _: f"{subject} 写有时刻",
    "id_checksum_ok": lambda subject, _: f"{subject} 校验位正确",
}

_NEGATED: dict[str, Callable[[str, str], str]] = {
    "is_null": lambda subject, _: f"{subject} 已填",
    "in": lambda subject, members: f"{subject} 不是 {members} 中任一个",
    "has": lambda subject, code: f"{subject} 未选 {code}",
    "same_codes": lambda subject, codes: f"{subject} 不是只选 {codes}",
    "contains_any": lambda subject, codes: f"{subject} 未选 {codes} 中任一项",
    "like": lambda subject, pattern: f"{subject} 不形如 {pattern}",
    "regexp": lambda subject, pattern: f"{subject} 不符合正则 {pattern}",
    "contains": lambda subject, piece: f"{subject} 不含 {piece}",
    "starts_with": lambda subject, start: f"{subject} 不以 {start} 开头",
    "in_list": lambda subject, codes: f"{subject} 不在代码表{codes}里",
    "mentions_any": lambda subject, codes: f"{subject} 未提到{codes}中的条目",
    "unreadable": lambda subject, _: f"{subject} 可以识别",
    "has_time": lambda subject, _: f"{subject} 没有写时刻",
    "id_checksum_ok": lambda subject, _: f"{subject} 校验位不正确",
}

_PHRASES: Mapping[str, Callable[..., str]] = {
    "neg": lambda value: f"−{value}",
    "repaired": lambda cell: f"{cell}的写法已自动换算",
    "raw": lambda cell: f"{cell}的原文",
    "typed": lambda cell: f"{cell}的原值",
    "cardinality": lambda cell: f"{cell}的项数",
    "length": lambda text: f"{text}的字数",
    "substr": lambda text, start, length="末尾": f"{text}的第 {start} 位起 {length} 位",
    "upper": lambda text: f"{text}的大写",
    "lower": lambda text: f"{text}的小写",
    "trim": lambda text: f"{text}去首尾空白",
    "decimal_places": lambda text: f"{text}的小数位数",
    "to_int": lambda text: f"{text}的数值",
    "to_number": lambda text: f"{text}的数值",
    "to_text": lambda number: f"{number}写成文字",
    "truncate": lambda value: f"{value}的整数部分",
    "abs": lambda value: f"|{value}|",
    "floor": lambda value: f"{value}向下取整",
    "round": lambda value, places: f"{value}取 {places} 位小数",
    "coalesce": lambda *values: f"（{'、'.join(values)}）中第一个有值的",
    "greatest": lambda *values: f"（{'、'.join(values)}）中最大的",
    "least": lambda *values: f"（{'、'.join(values)}）中最小的",
    "count_true": lambda *values: f"（{'；'.join(values)}）中成立的条数",
    "list_attr": lambda text, codes, name: f"{text}在{codes}中的{name}",
    "year": lambda day: f"{day}的年份",
    "month": lambda day: f"{day}的月份",
    "day": lambda day: f"{day}的日",
    "weekday": lambda day: f"{day}的星期",
    "yyyymmdd": lambda day: f"{day}写成8位数字",
    "date_diff_day": lambda first, last: f"{first}到{last}的天数",
    "date_diff_month": lambda first, last: f"{first}到{last}跨过的月数",
    "date_diff_year": lambda first, last: f"{first}到{last}跨过的年数",
    "growth_z": lambda _, value, sex, birth, day: f"{value}的 Z 值（按{sex}和{birth}到{day}的年龄）",
    "age_at": lambda _, day: f"{day}时的周岁",
    "age_months_at": lambda _, day: f"{day}时的满月龄",
    "id_birth_date": lambda number: f"{number}中的出生日期",
    "id_sex_code": lambda number: f"{number}中的性别",
}

_SPECIAL: dict[str, Callable[[ChineseRenderer, Call], tuple[str, int]]] = {
    "not": ChineseRenderer._not,
    "case": ChineseRenderer._case,
    "shift_day": ChineseRenderer._shift,
    "shift_month": ChineseRenderer._shift,
    "shift_year": ChineseRenderer._shift,
    "shift_hour": ChineseRenderer._shift,
    "shift_minute": ChineseRenderer._shift,
    "required_count": ChineseRenderer._counted,
    "required_missing_count": ChineseRenderer._counted,
    **dict.fromkeys(_AFFIRMED, ChineseRenderer._statement),
}

OPERATIONS = frozenset(_SPECIAL) | frozenset(_PHRASES) | frozenset(_SIGNS) | {"round6", "date"}
