"""The typed tree a rule expression becomes, and the questions one can ask it.

Belongs here: the node types, small constructors that keep three-valued logic intact, and tree analysis (which columns
are read, whose emptiness counts). Does not belong here: SQL text (``parse``), engines (``render_polars``,
``render_duckdb``), Chinese (``render_chinese``).

Every name is resolved, every implied step (rounding before a comparison, a timestamp read as its date) stands in the
tree, so a renderer never decides anything. Nodes are frozen and hashable: equal sub-expressions are equal objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from phqc_pipeline.catalogue.model import CodeList, Field, GrowthTable

# ``int`` is a number known to be whole (no rounding needed before a comparison); both are DOUBLE in the engines.
# ``list`` is a multi-choice cell or a list of codes; ``null`` is a value known to be empty, of any type.
Type = Literal["bool", "int", "num", "text", "date", "ts", "list", "null"]
Value = bool | int | float | str | date | tuple[str, ...] | None

TYPE_TITLES: dict[str, str] = {
    "bool": "判断(真/假)",
    "int": "整数",
    "num": "数值",
    "text": "文本",
    "date": "日期",
    "ts": "日期时间",
    "list": "多选代码",
    "null": "空值",
}
NUMBERS: frozenset[Type] = frozenset({"int", "num"})
DATES: frozenset[Type] = frozenset({"date", "ts"})
DATE_UNITS = ("day", "month", "year")
TIME_UNITS = ("hour", "minute")  # on date-times only

# Context scalars: given with the evaluation, not with the record.
CONTEXT_NAMES: dict[str, str] = {"today": "快照日期", "period_start": "统计期首日", "period_end": "统计期末日"}


@dataclass(frozen=True)
class Constant:
    """A literal or parameter. A list holds texts only; a date is a ``date``."""

    value: Value
    type: Type


@dataclass(frozen=True)
class Column:
    """The usable reading of one field of the form: NULL where the cell is empty or unusable (ruling 0a.5)."""

    name: str
    type: Type
    field: Field = field(compare=False)


@dataclass(frozen=True)
class ListReference:
    """A code list named in an expression: ``in_list(x, 'CL_REGION')``."""

    list_id: str
    code_list: CodeList = field(compare=False)
    type: Type = "list"


@dataclass(frozen=True)
class GrowthReference:
    """The growth figures of one measure named in an expression: ``growth_z('weight_kg', …)``."""

    measure: str
    table: GrowthTable = field(compare=False)
    type: Type = "list"


@dataclass(frozen=True)
class ContextValue:
    """``today``, ``period_start`` or ``period_end``."""

    name: str
    type: Type = "date"


@dataclass(frozen=True)
class Derived:
    """A name of ``rules/derived.yaml`` with what it stands for, kept so that an example may give its value directly."""

    name: str
    body: Node

    @property
    def type(self) -> Type:
        return self.body.type


@dataclass(frozen=True)
class Call:
    """An operator or function applied to its arguments; ``op`` is a key of the operation tables of the renderers."""

    op: str
    args: tuple[Node, ...]
    type: Type


Node = Constant | Column | ListReference | GrowthReference | ContextValue | Derived | Call

TRUE = Constant(True, "bool")
FALSE = Constant(False, "bool")
UNKNOWN = Constant(None, "bool")

# Operations that look at the cell itself, not at its usable value: no unusable cell can make them NULL.
CELL_OPS = frozenset({"unreadable", "repaired", "raw", "typed", "delivered"})
# Operations that count fields of the form instead of reading them.
COUNTING_OPS = frozenset({"required_count", "required_missing_count"})


def all_of(*parts: Node) -> Node:
    """Kleene AND of boolean nodes, flattened, with constants folded away."""
    kept: list[Node] = []
    for part in parts:
        for piece in part.args if isinstance(part, Call) and part.op == "and" else (part,):
            if piece == FALSE:
                return FALSE
            if piece != TRUE and piece not in kept:
                kept.append(piece)
    return _joined("and", kept, TRUE)


def any_of(*parts: Node) -> Node:
    """Kleene OR of boolean nodes, flattened, with constants folded away."""
    kept: list[Node] = []
    for part in parts:
        for piece in part.args if isinstance(part, Call) and part.op == "or" else (part,):
            if piece == TRUE:
                return TRUE
            if piece != FALSE and piece not in kept:
                kept.append(piece)
    return _joined("or", kept, FALSE)


def not_(part: Node) -> Node:
    """Kleene NOT: the negation of NULL is NULL."""
    if isinstance(part, Constant):
        return Constant(None if part.value is None else not part.value, "bool")
    if isinstance(part, Call) and part.op == "not":
        return part.args[0]
    return Call("not", (part,), "bool")


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, bodies of derived names included."""
    yield node
    for child in children(node):
        yield from walk(child)


def children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Call):
        return node.args
    if isinstance(node, Derived):
        return (node.body,)
    return ()


def columns_read(node: Node) -> frozenset[str]:
    """Fields the expression reads, as ruling 0a.8 means it.

    Fields that are merely counted (``required_count()``) do not belong: a column the file lacks is left out of the
    count (0a.7), so it must not make the rule impossible to evaluate.
    """
    if isinstance(node, Call) and node.op in COUNTING_OPS:
        return frozenset()
    if isinstance(node, Column):
        return frozenset({node.name})
    return frozenset().union(*(columns_read(child) for child in children(node)))


def columns_touched(node: Node) -> frozenset[str]:
    """Every field whose lake columns (``x`` and ``x__raw``) the rendered expression may name.

    Beside a coded field with dated codes that is the service date, which decides whether a code was in force.
    """
    cells = [part for part in walk(node) if isinstance(part, Column)]
    dated = [cell.field.dated_codes.service_date for cell in cells if cell.field.dated_codes]
    return frozenset([*(cell.name for cell in cells), *dated])


def columns_emptied(node: Node, positive: bool = True) -> frozenset[str]:
    """Fields whose being empty can make ``node`` TRUE (``positive``) or FALSE: ``x is null`` on that side of NOT.

    ``coalesce(a, b) is null`` tests both; a test on a computed value (``age is null``) tests no field.
    """
    if isinstance(node, Derived):
        return columns_emptied(node.body, positive)
    if not isinstance(node, Call) or node.op in COUNTING_OPS:
        return frozenset()
    if node.op == "is_null":
        return _tested_fields(node.args[0]) if positive else frozenset()
    if node.op == "not":
        return columns_emptied(node.args[0], not positive)
    if node.op in ("and", "or"):
        return frozenset().union(*(columns_emptied(arg, positive) for arg in node.args))
    # Elsewhere (case, comparison of two judgements) either outcome may count.
    return frozenset().union(*(columns_emptied(arg, side) for arg in node.args for side in (True, False)))


def _tested_fields(node: Node) -> frozenset[str]:
    if isinstance(node, Column):
        return frozenset({node.name})
    if isinstance(node, Derived):
        return _tested_fields(node.body)
    if isinstance(node, Call) and node.op == "coalesce":
        return frozenset().union(*(_tested_fields(arg) for arg in node.args))
    return frozenset()


def is_empty(node: Node) -> bool:
    """Whether the node is known to be NULL whatever the record: a literal, or built of a column the form lacks."""
    return node.type == "null" or (isinstance(node, Constant) and node.value is None)


def _joined(op: str, kept: list[Node], neutral: Node) -> Node:
    if not kept:
        return neutral
    return kept[0] if len(kept) == 1 else Call(op, tuple(kept), "bool")
