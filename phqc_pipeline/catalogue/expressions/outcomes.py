"""What an expression can come to on the rows at hand, told from facts about their columns alone.

Belongs here: ranges of values through every operation (abstract interpretation), and cutting an expression down to what
the facts leave undecided. Does not belong here: gathering the facts (``checks.facts``), evaluating on rows.

Whatever is told may be wider than the truth and never narrower: "never TRUE" is certain, "may be TRUE" is not. An
operation not known here may come to anything. Most cells of a delivery are in order, so most checks are settled without
looking at a single row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from phqc_pipeline.catalogue.expressions import nodes
from phqc_pipeline.catalogue.expressions.cells import RAW_SUFFIX
from phqc_pipeline.catalogue.expressions.nodes import (
    COUNTING_OPS,
    Call,
    Column,
    Constant,
    ContextValue,
    Derived,
    Node,
)
from phqc_pipeline.catalogue.model import Context, Field

#: The three truths as bits; what a judgement may come to is their sum.
MAY_BE_TRUE, MAY_BE_FALSE, MAY_BE_NULL = 1, 2, 4
ANYTHING = MAY_BE_TRUE | MAY_BE_FALSE | MAY_BE_NULL

Bound = float | date | datetime | None


@dataclass(frozen=True)
class ColumnFacts:
    """What is known of one lake column (``x`` or ``x__raw``) on the rows at hand.

    ``holds``: some row has a value; ``lacks``: some row has none. ``low``, ``high``: no number, date or time lies
    outside (None: not known). Of a multi-choice column: ``codes``, every code in any cell, and ``most``, the number of
    codes in the fullest cell.
    """

    holds: bool = True
    lacks: bool = True
    low: Bound = None
    high: Bound = None
    codes: frozenset[str] | None = None
    most: int | None = None


EMPTY_COLUMN = ColumnFacts(holds=False)


class Extent(NamedTuple):
    """What a value may be: NULL, something, and then within which bounds (None: not known)."""

    null: bool = True
    some: bool = True
    low: Any = None
    high: Any = None


class Outcomes:
    """What the expressions of one form may come to. Facts name lake columns; a column they do not name is empty.

    ``settled`` gives what judgements on a single column were found to come to on every value it has (by ``id``).
    Expressions must outlive the object.
    """

    def __init__(
        self,
        facts: Mapping[str, ColumnFacts],
        context: Context,
        missing_columns: frozenset[str] = frozenset(),
        settled: Mapping[int, int] | None = None,
    ) -> None:
        self.context = context
        self.missing_columns = missing_columns
        self._facts = facts
        self._truths: dict[int, int] = dict(settled or {})
        self._extents: dict[int, Extent] = {}

    def truth(self, node: Node) -> int:
        """What a judgement may come to: a sum of ``MAY_BE_TRUE``, ``MAY_BE_FALSE``, ``MAY_BE_NULL``."""
        found = self._truths.get(id(node))
        if found is None:
            found = self._truths[id(node)] = self._truth(node)
        return found

    def extent(self, node: Node) -> Extent:
        """What a value may be."""
        found = self._extents.get(id(node))
        if found is None:
            found = self._extents[id(node)] = self._extent(node)
        return found

    def cut(self, node: Node) -> Node:
        """A judgement that is TRUE on exactly the rows on which ``node`` is; elsewhere it is FALSE or NULL."""
        return self._cut(node, MAY_BE_TRUE, nodes.FALSE, nodes.TRUE)

    def is_plain(self, field: Field) -> bool:
        """Whether no cell of the field is irregular: what stands in the column is what was delivered, and usable."""
        return not (field.dated_codes or self._of(field.name + RAW_SUFFIX).holds or self._leaves_range(field))

    # --- judgements --------------------------------------------------------------------------------------------

    def _truth(self, node: Node) -> int:
        if isinstance(node, Constant):
            return _truth_of(node.value) if node.type in ("bool", "null") else ANYTHING
        if isinstance(node, Derived):
            return self.truth(node.body)
        if not isinstance(node, Call):
            return ANYTHING
        if node.op in _CONNECTIVES:
            return _CONNECTIVES[node.op]([self.truth(part) for part in node.args])
        special = _TRUTHS.get(node.op)
        if special is not None:
            return special(self, node)
        if node.op in _STRICT_JUDGEMENTS:
            return self._strict(node.args)
        return ANYTHING

    def _strict(self, args: Iterable[Node], known: int = MAY_BE_TRUE | MAY_BE_FALSE) -> int:
        """NULL where an argument is NULL, else what is ``known``."""
        extents = [self.extent(argument) for argument in args]
        if not all(extent.some for extent in extents):
            return MAY_BE_NULL
        return known | (MAY_BE_NULL if any(extent.null for extent in extents) else 0)

    def _compared(self, node: Call) -> int:
        if "bool" in (node.args[0].type, node.args[1].type):
            return ANYTHING
        left, right = self.extent(node.args[0]), self.extent(node.args[1])
        if not (left.some and right.some):
            return MAY_BE_NULL
        null = MAY_BE_NULL if left.null or right.null else 0
        return null | _COMPARISONS[node.op](left, right)

    def _in(self, node: Call) -> int:
        value = self.extent(node.args[0])
        members = [member.value for member in node.args[1:] if isinstance(member, Constant)]
        known = MAY_BE_TRUE | MAY_BE_FALSE
        if len(members) < len(node.args) - 1 or None in members:
            return ANYTHING
        if node.args[0].type in ("int", "num", "date") and not any(_within(value, member) for member in members):
            known = MAY_BE_FALSE
        return self._strict([node.args[0]], known)

    def _is_null(self, node: Call) -> int:
        tested = node.args[0]
        if isinstance(tested, Column):
            return self._cell_is_null(tested.field)
        extent = self.extent(tested)
        null = MAY_BE_TRUE | (MAY_BE_NULL if self._may_hide(tested) else 0)
        return (null if extent.null else 0) | (MAY_BE_FALSE if extent.some else 0)

    def _cell_is_null(self, field: Field) -> int:
        cell, raw = self._of(field.name), self._of(field.name + RAW_SUFFIX)
        if field.kind == "text":
            return (MAY_BE_TRUE if cell.lacks else 0) | (MAY_BE_FALSE if cell.holds else 0)
        worded = cell.lacks and raw.holds
        found = MAY_BE_TRUE if cell.lacks and raw.lacks else 0
        if worded or self._leaves_range(field) or (field.dated_codes and cell.holds):
            found |= MAY_BE_NULL
        if cell.holds or (worded and field.text_values):
            found |= MAY_BE_FALSE
        return found

    def _may_hide(self, node: Node) -> bool:
        """Whether some cell below may hold what the value does not show."""
        return any(isinstance(part, Column) and not self.is_plain(part.field) for part in nodes.walk(node))

    def _unreadable(self, node: Call) -> int:
        field = _cell(node).field
        cell, raw = self._of(field.name), self._of(field.name + RAW_SUFFIX)
        if field.kind == "text":
            return MAY_BE_FALSE
        may_be = (cell.lacks and raw.holds) or (field.dated_codes and cell.holds)
        return MAY_BE_FALSE | (MAY_BE_TRUE if may_be else 0)

    def _delivered(self, node: Call) -> int:
        return MAY_BE_FALSE if _cell(node).name in self.missing_columns else MAY_BE_TRUE

    def _has(self, node: Call) -> int:
        return self._chosen(node, [node.args[1]])

    def _contains_any(self, node: Call) -> int:
        listed = node.args[1]
        wanted = listed.value if isinstance(listed, Constant) and isinstance(listed.value, tuple) else (None,)
        return self._chosen(node, [Constant(code, "text") for code in wanted])

    def _chosen(self, node: Call, wanted: list[Node]) -> int:
        cell = node.args[0]
        codes = self._of(cell.name).codes if isinstance(cell, Column) else None
        known = MAY_BE_TRUE | MAY_BE_FALSE
        if codes is not None and all(isinstance(code, Constant) and code.value not in codes for code in wanted):
            known = MAY_BE_FALSE
        return self._strict([cell], known)

    def _chosen_truth(self, node: Call) -> int:
        """A judgement put together by CASE or COALESCE: any of its branches."""
        branches = [*node.args[1::2], node.args[-1]] if node.op == "case" else list(node.args)
        found = 0
        for branch in branches:
            found |= self.truth(branch)
        return found

    # --- values ------------------------------------------------------------------------------------------------

    def _extent(self, node: Node) -> Extent:
        if isinstance(node, Constant):
            return _exactly(node.value)
        if isinstance(node, Column):
            return self._cell_extent(node.field)
        if isinstance(node, ContextValue):
            return _exactly(getattr(self.context, node.name))
        if isinstance(node, Derived):
            return self.extent(node.body)
        if not isinstance(node, Call):
            return Extent()
        special = _EXTENTS.get(node.op)
        if special is not None:
            return special(self, node)
        if node.op in _STRICT_VALUES:
            return Extent(True, all(self.extent(argument).some for argument in node.args))
        return Extent()

    def _cell_extent(self, field: Field) -> Extent:
        """The usable reading."""
        cell = self._of(field.name)
        low, high = cell.low, cell.high
        if field.is_numeric and field.hard is not None:
            low, high = _tighter(max, low, field.hard[0]), _tighter(min, high, field.hard[1])
        some = cell.holds and not (low is not None and high is not None and low > high)  # type: ignore[operator]
        null = cell.lacks or self._leaves_range(field) or bool(field.dated_codes)
        return Extent(null, some, low, high)

    def _typed(self, node: Call) -> Extent:
        cell = self._of(_cell(node).name)
        return Extent(cell.lacks, cell.holds, cell.low, cell.high)

    def _raw(self, node: Call) -> Extent:
        field = _cell(node).field
        raw = self._of(field.name + RAW_SUFFIX)
        if field.kind != "text":
            return Extent(raw.lacks, raw.holds)
        cell = self._of(field.name)
        return Extent(raw.lacks and cell.lacks, raw.holds or cell.holds)

    def _cardinality(self, node: Call) -> Extent:
        chosen = self.extent(node.args[0])
        most = self._of(node.args[0].name).most if isinstance(node.args[0], Column) else None
        return Extent(chosen.null, chosen.some, 0.0, None if most is None else float(most))

    def _counted(self, node: Call) -> Extent:
        truths = [self.truth(part) for part in node.args]
        certain = sum(truth == MAY_BE_TRUE for truth in truths)
        return Extent(False, True, float(certain), float(sum(bool(truth & MAY_BE_TRUE) for truth in truths)))

    def _arithmetic(self, node: Call) -> Extent:
        extents = [self.extent(argument) for argument in node.args]
        null, some = any(one.null for one in extents), all(one.some for one in extents)
        if node.op == "div" and _within(extents[1], 0.0):
            return Extent(True, some)
        bounds = [bound for one in extents for bound in (one.low, one.high)]
        if not some or not all(isinstance(bound, float) and math.isfinite(bound) for bound in bounds):
            return Extent(null, some)
        low, high = _ARITHMETIC[node.op](*((one.low, one.high) for one in extents))
        # Rounding to nearest keeps order, so bounds computed like the values hold for them.
        return Extent(null, some, low, high) if math.isfinite(low) and math.isfinite(high) else Extent(null, some)

    def _rounded(self, node: Call) -> Extent:
        value = self.extent(node.args[0])
        if not (isinstance(value.low, float) and isinstance(value.high, float)):
            return Extent(value.null, value.some)
        return Extent(value.null, value.some, _widened(value.low, -1), _widened(value.high, 1))

    def _first_of(self, node: Call) -> Extent:
        """COALESCE: the first argument that is not NULL."""
        found = []
        for argument in node.args:
            found.append(self.extent(argument))
            if not found[-1].null:
                break
        return _hull(found, null=all(one.null for one in found))

    def _any_of(self, node: Call) -> Extent:
        """GREATEST and LEAST, which ignore NULL."""
        extents = [self.extent(argument) for argument in node.args]
        return _hull(extents, null=all(one.null for one in extents))

    def _case(self, node: Call) -> Extent:
        if node.type == "bool":
            return Extent()
        branches = [self.extent(branch) for branch in [*node.args[1::2], node.args[-1]]]
        return _hull(branches, null=any(one.null for one in branches))

    # --- cutting down ------------------------------------------------------------------------------------------

    def _cut(self, node: Node, side: int, never: Node, always: Node) -> Node:
        """``node`` as far as it decides whether it comes to ``side`` (TRUE or FALSE)."""
        truth = self.truth(node)
        if not truth & side:
            return never
        if truth == side:
            return always
        if isinstance(node, Derived):
            return self._cut(node.body, side, never, always)
        if not isinstance(node, Call):
            return node
        if node.op in ("and", "or"):
            joined = nodes.all_of if node.op == "and" else nodes.any_of
            return joined(*(self._cut(part, side, never, always) for part in node.args))
        if node.op == "not":
            other = MAY_BE_FALSE if side == MAY_BE_TRUE else MAY_BE_TRUE
            return nodes.not_(self._cut(node.args[0], other, always, never))
        return self._with_fewer_counted(node)

    def _with_fewer_counted(self, node: Node) -> Node:
        """A form's required fields are counted by the hundred: count those alone that may be missing."""
        if isinstance(node, Derived):
            body = self._with_fewer_counted(node.body)
            return node if body is node.body else body
        if not isinstance(node, Call):
            return node
        if node.op == "count_true" or node.op in COUNTING_OPS:
            return Call(node.op, tuple(self.cut(part) for part in node.args), node.type)
        if node.op in _COMPARISONS or node.op in _ARITHMETIC or node.op in ("div", "round6"):
            args = tuple(self._with_fewer_counted(argument) for argument in node.args)
            changed = any(one is not other for one, other in zip(args, node.args, strict=True))
            return Call(node.op, args, node.type) if changed else node
        return node

    # --- facts -------------------------------------------------------------------------------------------------

    def _of(self, name: str) -> ColumnFacts:
        return self._facts.get(name, EMPTY_COLUMN)

    def _leaves_range(self, field: Field) -> bool:
        """Whether some number may lie outside the hard range."""
        cell = self._of(field.name)
        if not cell.holds or not field.is_numeric or field.hard is None:
            return False
        low, high = field.hard
        under = low is not None and (cell.low is None or cell.low < low)  # type: ignore[operator]
        return under or (high is not None and (cell.high is None or cell.high > high))  # type: ignore[operator]


def _cell(node: Call) -> Column:
    cell = node.args[0]
    assert isinstance(cell, Column)  # the parser lets nothing else through
    return cell


def _truth_of(value: object) -> int:
    return MAY_BE_NULL if value is None else MAY_BE_TRUE if value else MAY_BE_FALSE


def _exactly(value: Any) -> Extent:
    if value is None:
        return Extent(True, False)
    if isinstance(value, bool) or not isinstance(value, (int, float, date)):
        return Extent(False, True)
    bound = float(value) if isinstance(value, (int, float)) else value
    return Extent(False, True, bound, bound)


def _within(extent: Extent, value: Any) -> bool:
    """Whether the extent may hold ``value``."""
    return (extent.low is None or extent.low <= value) and (extent.high is None or value <= extent.high)


def _tighter(choose: Callable[..., Any], bound: Any, limit: float | None) -> Any:
    if limit is None:
        return bound
    return float(limit) if bound is None else choose(bound, float(limit))


def _hull(extents: list[Extent], null: bool) -> Extent:
    """The bounds of whichever of the extents a value comes from."""
    used = [one for one in extents if one.some]
    if not used:
        return Extent(True, False)
    lows, highs = [one.low for one in used], [one.high for one in used]
    return Extent(null, True, None if None in lows else min(lows), None if None in highs else max(highs))


def _widened(bound: float, direction: int) -> float:
    return bound + direction * 1e-6 * max(1.0, abs(bound))


def _every(truths: list[int]) -> int:
    """AND: TRUE if all can be, FALSE if one can be, NULL if one can be while no other must be FALSE."""
    found = MAY_BE_TRUE if all(truth & MAY_BE_TRUE for truth in truths) else 0
    found |= MAY_BE_FALSE if any(truth & MAY_BE_FALSE for truth in truths) else 0
    if all(truth != MAY_BE_FALSE for truth in truths) and any(truth & MAY_BE_NULL for truth in truths):
        found |= MAY_BE_NULL
    return found


def _opposite(truth: int) -> int:
    turned = MAY_BE_TRUE if truth & MAY_BE_FALSE else 0
    turned |= MAY_BE_FALSE if truth & MAY_BE_TRUE else 0
    return turned | (truth & MAY_BE_NULL)


_CONNECTIVES: Mapping[str, Callable[[list[int]], int]] = {
    "and": _every,
    "or": lambda truths: _opposite(_every([_opposite(truth) for truth in truths])),
    "not": lambda truths: _opposite(truths[0]),
}


def _less(left: Extent, right: Extent) -> int:
    may_be = left.low is None or right.high is None or left.low < right.high
    may_not = left.high is None or right.low is None or left.high >= right.low
    return (MAY_BE_TRUE if may_be else 0) | (MAY_BE_FALSE if may_not else 0)


def _equal(left: Extent, right: Extent) -> int:
    apart = (left.high is not None and right.low is not None and left.high < right.low) or (
        left.low is not None and right.high is not None and right.high < left.low
    )
    one_value = left.low is not None and left.low == left.high == right.low == right.high
    return (0 if apart else MAY_BE_TRUE) | (0 if one_value else MAY_BE_FALSE)


_COMPARISONS: Mapping[str, Callable[[Extent, Extent], int]] = {
    "lt": _less,
    "gt": lambda left, right: _less(right, left),
    "ge": lambda left, right: _opposite(_less(left, right)),
    "le": lambda left, right: _opposite(_less(right, left)),
    "eq": _equal,
    "ne": lambda left, right: _opposite(_equal(left, right)),
}

Range = tuple[float, float]
_LAST_PLACES = 1e-14


def _product(one: Range, other: Range) -> Range:
    corners = [left * right for left in one for right in other]
    return min(corners), max(corners)


def _quotient(one: Range, other: Range) -> Range:
    """An engine may multiply with the reciprocal instead, which is off by a last place or two."""
    corners = [left / right for left in one for right in other]
    low, high = min(corners), max(corners)
    return low - abs(low) * _LAST_PLACES, high + abs(high) * _LAST_PLACES


_ARITHMETIC: Mapping[str, Callable[..., Range]] = {
    "add": lambda one, other: (one[0] + other[0], one[1] + other[1]),
    "sub": lambda one, other: (one[0] - other[1], one[1] - other[0]),
    "mul": _product,
    "div": _quotient,
    "neg": lambda one: (-one[1], -one[0]),
    "abs": lambda one: (0.0 if one[0] <= 0.0 <= one[1] else min(map(abs, one)), max(map(abs, one))),
}

_TRUTHS: Mapping[str, Callable[[Outcomes, Call], int]] = {
    **dict.fromkeys(_COMPARISONS, Outcomes._compared),
    "in": Outcomes._in,
    "is_null": Outcomes._is_null,
    "unreadable": Outcomes._unreadable,
    "delivered": Outcomes._delivered,
    "has": Outcomes._has,
    "contains_any": Outcomes._contains_any,
    "case": Outcomes._chosen_truth,
    "coalesce": Outcomes._chosen_truth,
}
_EXTENTS: Mapping[str, Callable[[Outcomes, Call], Extent]] = {
    **dict.fromkeys(_ARITHMETIC, Outcomes._arithmetic),
    **dict.fromkeys(["count_true", *COUNTING_OPS], Outcomes._counted),
    "typed": Outcomes._typed,
    "raw": Outcomes._raw,
    "cardinality": Outcomes._cardinality,
    "round6": Outcomes._rounded,
    "coalesce": Outcomes._first_of,
    "greatest": Outcomes._any_of,
    "least": Outcomes._any_of,
    "case": Outcomes._case,
}
#: NULL whenever an argument is; of anything else nothing is known.
_STRICT_JUDGEMENTS = frozenset({"like", "regexp", "contains", "starts_with", "in_list", "mentions_any", "same_codes"})
_STRICT_VALUES = frozenset(
    {
        *("mod", "round", "floor", "truncate", "to_int", "to_number", "length", "upper", "lower", "trim", "substr"),
        *("concat", "decimal_places", "date", "year", "month", "day", "weekday", "yyyymmdd"),
        *("date_diff_day", "date_diff_month", "date_diff_year", "age_at", "age_months_at"),
        *("shift_day", "shift_month", "shift_year", "id_checksum_ok", "id_birth_date", "id_sex_code"),
    }
)
