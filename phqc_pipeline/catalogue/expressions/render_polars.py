"""A typed tree as a Polars expression over the lake's columns.

Belongs here: what each operation is in Polars, native and vectorised. Does not belong here: which steps an expression
implies (they stand in the tree), DuckDB (``render_duckdb``, which must compute exactly the same).

Every number is Float64; every judgement is a Kleene boolean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial, reduce
from operator import add, and_, or_
from typing import Any

import polars as pl

from phqc_pipeline.catalogue.expressions import tables
from phqc_pipeline.catalogue.expressions.cells import (
    RAW_SUFFIX,
    blank_polars,
    hidden_polars,
    repaired_polars,
    unreadable_polars,
    unusable_polars,
    usable_polars,
)
from phqc_pipeline.catalogue.expressions.nodes import (
    CELL_OPS,
    Call,
    Column,
    Constant,
    ContextValue,
    Derived,
    GrowthReference,
    ListReference,
    Node,
)
from phqc_pipeline.catalogue.expressions.patterns import like_regex
from phqc_pipeline.catalogue.model import Context, GrowthTable

_DTYPES: Mapping[str, Any] = {
    "bool": pl.Boolean,
    "int": pl.Float64,
    "num": pl.Float64,
    "text": pl.String,
    "date": pl.Date,
    "ts": pl.Datetime("us"),
    "list": pl.List(pl.String),
}


_EXACT_UNITS = {
    "shift_day": timedelta(days=1),
    "shift_hour": timedelta(hours=1),
    "shift_minute": timedelta(minutes=1),
}


class PolarsRenderer:
    """Renders trees for one evaluation; equal sub-trees become one expression object.

    ``missing_columns`` are dictionary columns the delivered file lacked: ``required_count()`` leaves them out.
    ``given`` names derived or context values that the frame itself may give (examples): where ``_has_<name>`` is TRUE
    the column ``_given_<name>`` wins.
    """

    def __init__(
        self, context: Context, missing_columns: frozenset[str] = frozenset(), given: frozenset[str] = frozenset()
    ) -> None:
        self.context = context
        self.missing_columns = missing_columns
        self.given = given
        self._done: dict[Node, pl.Expr] = {}

    def render(self, node: Node) -> pl.Expr:
        """The expression computing ``node``."""
        found = self._done.get(node)
        if found is None:
            found = self._done[node] = self._rendered(node)
        return found

    def _rendered(self, node: Node) -> pl.Expr:
        if isinstance(node, Constant):
            return _constant(node)
        if isinstance(node, Column):
            return usable_polars(node.field)
        if isinstance(node, ContextValue):
            return self._or_given(node.name, pl.lit(getattr(self.context, node.name), dtype=pl.Date))
        if isinstance(node, Derived):
            return self._or_given(node.name, self.render(node.body))
        if isinstance(node, (ListReference, GrowthReference)):
            raise TypeError("a code list or a table of figures is not a value")
        special = _SPECIAL.get(node.op)
        if special is not None:
            return special(self, node)
        return _PLAIN[node.op](*(self.render(argument) for argument in node.args))

    def _or_given(self, name: str, otherwise: pl.Expr) -> pl.Expr:
        if name not in self.given:
            return otherwise
        return pl.when(pl.col(f"_has_{name}")).then(pl.col(f"_given_{name}")).otherwise(otherwise)

    # --- the cell ----------------------------------------------------------------------------------------------

    def _is_null(self, node: Call) -> pl.Expr:
        tested = node.args[0]
        if isinstance(tested, Column):
            unusable = unusable_polars(tested.field)
            nothing = blank_polars(tested.field)
            return nothing if unusable is None else pl.when(~unusable).then(nothing)
        empty = self.render(tested).is_null()
        hidden = self._any_hidden(tested)
        # Kleene: FALSE where there is a value, else TRUE, but NULL where a cell without a value is not blank.
        return empty if hidden is None else empty & pl.when(~hidden).then(True)

    def _any_hidden(self, node: Node) -> pl.Expr | None:
        """Whether a cell below holds something that the computed value cannot show."""
        if isinstance(node, Column):
            return hidden_polars(node.field)
        if isinstance(node, Derived):
            below = self._any_hidden(node.body)
            if below is not None and node.name in self.given:
                return below & ~pl.col(f"_has_{node.name}")
            return below
        if not isinstance(node, Call) or node.op in CELL_OPS:
            return None
        flags = [flag for flag in map(self._any_hidden, node.args) if flag is not None]
        return reduce(or_, flags) if flags else None

    def _unreadable(self, node: Call) -> pl.Expr:
        flag = unreadable_polars(_cell(node).field)
        return pl.lit(False) if flag is None else flag

    def _repaired(self, node: Call) -> pl.Expr:
        return repaired_polars(_cell(node).field)

    def _raw(self, node: Call) -> pl.Expr:
        cell = _cell(node)
        raw = pl.col(cell.name + RAW_SUFFIX)
        return pl.coalesce(raw, pl.col(cell.name)) if cell.field.kind == "text" else raw

    def _typed(self, node: Call) -> pl.Expr:
        return pl.col(_cell(node).name)

    def _delivered(self, node: Call) -> pl.Expr:
        return pl.lit(_cell(node).name not in self.missing_columns)

    def _count_true(self, node: Call) -> pl.Expr:
        certain, counted = 0, []
        for part in node.args:
            flag = self._is_true(part)
            if isinstance(flag, pl.Expr):
                counted.append(flag)
            else:
                certain += flag
        # One sum over all, not a chain of additions: planning a chain of a hundred takes longer than computing it.
        found = pl.sum_horizontal(counted).cast(pl.Float64) if counted else None
        return pl.lit(float(certain)) if found is None else found + float(certain)

    def _is_true(self, node: Node) -> pl.Expr | bool:
        """Whether a judgement is TRUE (NULL is not), cheaply: a form's required fields are counted by the hundred."""
        if isinstance(node, Constant):
            return node.value is True
        if isinstance(node, Call) and node.op == "delivered":
            return _cell(node).name not in self.missing_columns
        if isinstance(node, Call) and node.op == "is_null" and isinstance(node.args[0], Column):
            return blank_polars(node.args[0].field)
        if isinstance(node, Call) and node.op == "and":
            flags = [self._is_true(part) for part in node.args]
            if not all(flag is not False for flag in flags):
                return False
            unsure = [flag for flag in flags if isinstance(flag, pl.Expr)]
            return reduce(and_, unsure) if unsure else True
        return self.render(node).fill_null(False)

    # --- operations that look at their arguments before they render them --------------------------------------

    def _divide(self, node: Call) -> pl.Expr:
        left, right = self.render(node.args[0]), self._divisor(node.args[1])
        return left / right

    def _modulo(self, node: Call) -> pl.Expr:
        left, right = self.render(node.args[0]), self._divisor(node.args[1])
        return left - right * (left / right).floor()

    def _divisor(self, node: Node) -> pl.Expr:
        """The divisor, NULL instead of zero: dividing by zero gives NULL."""
        divisor = self.render(node)
        if isinstance(node, Constant) and node.value:
            return divisor
        return pl.when(divisor != 0.0).then(divisor)

    def _case(self, node: Call) -> pl.Expr:
        branches = [self.render(argument) for argument in node.args]
        chain: Any = pl.when(branches[0]).then(branches[1])
        for position in range(2, len(branches) - 1, 2):
            chain = chain.when(branches[position]).then(branches[position + 1])
        result = chain.otherwise(branches[-1])
        return result.cast(_DTYPES[node.type]) if node.type in _DTYPES else result

    def _in(self, node: Call) -> pl.Expr:
        return self.render(node.args[0]).is_in(_values(node.args[1:]))

    def _same_codes(self, node: Call) -> pl.Expr:
        chosen, codes = self.render(node.args[0]), sorted(set(_texts(node.args[1])))
        each = [chosen.list.contains(pl.lit(code)) for code in codes]
        return reduce(and_, each, chosen.list.len() == len(codes))

    def _contains_any(self, node: Call) -> pl.Expr:
        chosen = self.render(node.args[0])
        return reduce(or_, (chosen.list.contains(pl.lit(code)) for code in _texts(node.args[1])))

    def _like(self, node: Call) -> pl.Expr:
        text, pattern = self.render(node.args[0]), str(_value(node.args[1]))
        inner = pattern.strip("%")
        if "%" in inner or "_" in inner:
            return text.str.contains(like_regex(pattern))
        if pattern.startswith("%") and pattern.endswith("%"):
            return text.str.contains(inner, literal=True)
        if pattern.endswith("%"):
            return text.str.starts_with(inner)
        return text.str.ends_with(inner) if pattern.startswith("%") else text == inner

    def _regexp(self, node: Call) -> pl.Expr:
        return self.render(node.args[0]).str.contains(str(_value(node.args[1])))

    def _substr(self, node: Call) -> pl.Expr:
        start, *length = (int(_number(argument)) for argument in node.args[1:])
        return self.render(node.args[0]).str.slice(start - 1, length[0] if length else None)

    def _round(self, node: Call) -> pl.Expr:
        return _half_up(self.render(node.args[0]), int(_number(node.args[1])))

    def _shift(self, node: Call) -> pl.Expr:
        day, count = self.render(node.args[0]), int(_number(node.args[1]))
        exact = _EXACT_UNITS.get(node.op)
        if exact is not None:
            return day + pl.lit(exact * count)
        return day.dt.offset_by(f"{count}{'mo' if node.op == 'shift_month' else 'y'}")

    def _growth_z(self, node: Call) -> pl.Expr:
        """By a function over whole columns: written out, the formula names its table so often that planning the select
        takes longer than computing it."""
        reference = node.args[0]
        assert isinstance(reference, GrowthReference)
        value, sex, birth, day = (self.render(argument) for argument in node.args[1:])
        facts = pl.struct(x=value, sex=sex, days=_days(birth, day), months=_age_months(birth, day))
        return facts.map_batches(partial(_growth_scores, reference.table), return_dtype=pl.Float64, is_elementwise=True)

    def _in_list(self, node: Call) -> pl.Expr:
        return self.render(node.args[0]).is_in(list(_list(node).code_list.by_code))

    def _mentions_any(self, node: Call) -> pl.Expr:
        text, code_list = self.render(node.args[0]), _list(node).code_list
        return text.is_in(list(code_list.by_code)) | text.str.contains(tables.names_pattern(code_list))

    def _list_attr(self, node: Call) -> pl.Expr:
        text, code_list = self.render(node.args[0]), _list(node).code_list
        whole, mentioned = tables.attribute_tables(code_list, str(_value(node.args[2])))
        dtype = _DTYPES[node.type]
        is_whole = text.is_in(list(whole))
        # Asked only of the others: nothing costs as much as looking for a name inside a text.
        named = pl.when(is_whole).then(None).otherwise(text).str.extract(tables.names_pattern(code_list), 1)
        exact = text.replace_strict(list(whole), _cast_all(whole.values(), node.type), default=None, return_dtype=dtype)
        found = named.replace_strict(
            list(mentioned), _cast_all(mentioned.values(), node.type), default=None, return_dtype=dtype
        )
        return pl.when(is_whole).then(exact).otherwise(found)


def _cell(node: Call) -> Column:
    cell = node.args[0]
    assert isinstance(cell, Column)  # the parser lets nothing else through
    return cell


def _list(node: Call) -> ListReference:
    reference = node.args[1]
    assert isinstance(reference, ListReference)
    return reference


def _value(node: Node) -> Any:
    assert isinstance(node, Constant)
    return node.value


def _number(node: Node) -> float:
    return float(_value(node))


def _texts(node: Node) -> tuple[str, ...]:
    return tuple(_value(node))


def _values(members: tuple[Node, ...]) -> list[Any]:
    return [float(_value(member)) if member.type in ("int", "num") else _value(member) for member in members]


def _cast_all(values: Any, kind: str) -> pl.Series:
    return pl.Series(
        [float(value) if kind == "num" and value is not None else value for value in values], dtype=_DTYPES[kind]
    )


def _constant(node: Constant) -> pl.Expr:
    if node.value is None:
        return pl.lit(None, dtype=_DTYPES.get(node.type))
    if node.type in ("int", "num"):
        return pl.lit(float(node.value))  # type: ignore[arg-type]
    if node.type == "list":
        return pl.lit(pl.Series([list(node.value)], dtype=pl.List(pl.String)))  # type: ignore[arg-type]
    return pl.lit(node.value, dtype=_DTYPES[node.type])


def _half_up(number: pl.Expr, places: int) -> pl.Expr:
    return number.round(places, mode="half_away_from_zero")


def _as_float(number: pl.Expr) -> pl.Expr:
    return number.cast(pl.Float64)


def _days(first: pl.Expr, last: pl.Expr) -> pl.Expr:
    return _as_float(last.to_physical().cast(pl.Int64) - first.to_physical().cast(pl.Int64))


def _month_number(day: pl.Expr) -> pl.Expr:
    number = _day_number(day)
    return number // 10_000 * 12 + number // 100 % 100


def _day_number(day: pl.Expr) -> pl.Expr:
    """20240131: differences of these, divided by 10,000 and cut, are whole years."""
    return pl.lit(tables.day_numbers()).gather(day.to_physical() - tables.FIRST_DAY, null_on_oob=True)


def _age(birth: pl.Expr, day: pl.Expr) -> pl.Expr:
    return _as_float(pl.when(day >= birth).then((_day_number(day) - _day_number(birth)) // 10_000))


def _age_months(birth: pl.Expr, day: pl.Expr) -> pl.Expr:
    begun = (_day_number(day) % 100 < _day_number(birth) % 100).cast(pl.Int32)
    return _as_float(pl.when(day >= birth).then(_month_number(day) - _month_number(birth) - begun))


def _to_int(text: pl.Expr) -> pl.Expr:
    return pl.when(text.str.contains(tables.WHOLE_NUMBER)).then(text).cast(pl.Float64, strict=False)


def _to_number(text: pl.Expr) -> pl.Expr:
    return pl.when(text.str.contains(tables.DECIMAL_NUMBER)).then(text).cast(pl.Float64, strict=False)


def _growth_scores(table: GrowthTable, facts: pl.Series) -> pl.Series:
    """Z of the measurements ``x`` at ages ``days`` and ``months``: the row of the table by sex and age, then the
    formula; beyond ±3 the restricted one (rules/growth/README). Where L is 1 (length, head) both are the same."""
    last_day, last_month = table.first_day + table.days - 1, table.first_month + table.months - 1
    days, months = pl.col("days"), pl.col("months")
    age = (
        pl.when(days.is_between(table.first_day, last_day))
        .then(days - table.first_day)
        .when((days > last_day) & months.is_between(table.first_month, last_month))
        .then(months - table.first_month + table.days)
    )
    first = {code: place * table.ages for place, code in enumerate(table.sexes)}
    row = pl.col("sex").replace_strict(first, default=None, return_dtype=pl.Float64) + age
    known = facts.struct.unnest().select(
        row.cast(pl.Int64).alias("row"), x=pl.when(pl.col("x") > 0.0).then(pl.col("x"))
    )
    curves = tables.growth_curves(table)
    at = known.with_columns(figures.gather(known["row"]).alias(name) for name, figures in curves.items())
    x, low, middle, spread = (pl.col(name) for name in ("x", "l", "m", "s"))
    skewed = ((x / middle).pow(low) - 1.0) / (low * spread)
    at = at.with_columns(z=pl.when(low != 0.0).then(skewed).otherwise((x / middle).log() / spread))
    score = (
        pl.when(pl.col("z") > 3.0)
        .then(3.0 + (x - pl.col("high3")) / (pl.col("high3") - pl.col("high2")))
        .when(pl.col("z") < -3.0)
        .then(-3.0 + (x - pl.col("low3")) / (pl.col("low2") - pl.col("low3")))
        .otherwise(pl.col("z"))
    )
    return at.select(_half_up(score, 6)).to_series()


def _to_text(number: pl.Expr) -> pl.Expr:
    """A whole number's digits; NULL for one with decimals, and beyond what a DOUBLE holds exactly."""
    whole = (number == number.floor()) & (number.abs() < tables.MOST_EXACT)
    return pl.when(whole).then(number).cast(pl.Int64).cast(pl.String)


def _truncate(number: pl.Expr) -> pl.Expr:
    return pl.when(number < 0).then(number.ceil()).otherwise(number.floor())


def _decimal_places(text: pl.Expr) -> pl.Expr:
    digits = text.str.extract(tables.DECIMALS, 1).str.len_chars().fill_null(0)
    return _as_float(pl.when(text.str.contains(tables.DECIMALS)).then(digits))


def _id_checksum_ok(number: pl.Expr) -> pl.Expr:
    """MOD 11-2 over the first 17 digits (GB 11643)."""
    body = number.str.slice(0, 17).cast(pl.UInt64, strict=False)
    parts = (body // 10**12, body // 10**8 % 10**4, body // 10**4 % 10**4, body % 10**4)
    weighed = (pl.lit(sums).gather(part) for sums, part in zip(tables.id_weighed(), parts, strict=True))
    is_ten = number.str.ends_with("X") | number.str.ends_with("x")
    given = pl.when(is_ten).then(10).otherwise(number.str.slice(17, 1).cast(pl.UInt8, strict=False))
    # A sign would be read as part of a number; it sorts before the digits.
    right = (number >= "0") & ((reduce(add, weighed) + given) % 11 == 1)
    return pl.when(number.str.len_chars() == 18).then(right.fill_null(False))


def _id_birth_date(number: pl.Expr) -> pl.Expr:
    digits = (
        pl.when(number.str.contains(tables.ID_18))
        .then(number.str.slice(6, 8))
        .when(number.str.contains(tables.ID_15))
        .then(pl.concat_str(pl.lit("19"), number.str.slice(6, 6)))
    )
    return pl.when(digits.str.contains(tables.PLAUSIBLE_YEAR)).then(digits).str.to_date("%Y%m%d", strict=False)


def _id_sex_code(number: pl.Expr) -> pl.Expr:
    digit = (
        pl.when(number.str.contains(tables.ID_18))
        .then(number.str.slice(16, 1))
        .when(number.str.contains(tables.ID_15))
        .then(number.str.slice(14, 1))
    )
    odd = digit.is_in(["1", "3", "5", "7", "9"])
    return pl.when(odd).then(pl.lit("1")).when(~odd).then(pl.lit("2"))


_SPECIAL: dict[str, Callable[[PolarsRenderer, Call], pl.Expr]] = {
    "is_null": PolarsRenderer._is_null,
    "unreadable": PolarsRenderer._unreadable,
    "repaired": PolarsRenderer._repaired,
    "raw": PolarsRenderer._raw,
    "typed": PolarsRenderer._typed,
    "delivered": PolarsRenderer._delivered,
    "count_true": PolarsRenderer._count_true,
    "required_count": PolarsRenderer._count_true,
    "required_missing_count": PolarsRenderer._count_true,
    "div": PolarsRenderer._divide,
    "mod": PolarsRenderer._modulo,
    "case": PolarsRenderer._case,
    "in": PolarsRenderer._in,
    "same_codes": PolarsRenderer._same_codes,
    "contains_any": PolarsRenderer._contains_any,
    "like": PolarsRenderer._like,
    "regexp": PolarsRenderer._regexp,
    "substr": PolarsRenderer._substr,
    "round": PolarsRenderer._round,
    "shift_day": PolarsRenderer._shift,
    "shift_month": PolarsRenderer._shift,
    "shift_year": PolarsRenderer._shift,
    "shift_hour": PolarsRenderer._shift,
    "shift_minute": PolarsRenderer._shift,
    "growth_z": PolarsRenderer._growth_z,
    "in_list": PolarsRenderer._in_list,
    "mentions_any": PolarsRenderer._mentions_any,
    "list_attr": PolarsRenderer._list_attr,
}

_PLAIN: dict[str, Callable[..., pl.Expr]] = {
    "and": lambda *parts: reduce(and_, parts),
    "or": lambda *parts: reduce(or_, parts),
    "not": lambda part: ~part,
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
    "add": lambda left, right: left + right,
    "sub": lambda left, right: left - right,
    "mul": lambda left, right: left * right,
    "neg": lambda value: -value,
    "round6": lambda value: _half_up(value, 6),
    "has": lambda chosen, code: chosen.list.contains(code),
    "cardinality": lambda chosen: _as_float(chosen.list.len()),
    "coalesce": lambda *values: pl.coalesce(*values),
    "greatest": lambda *values: pl.max_horizontal(*values),
    "least": lambda *values: pl.min_horizontal(*values),
    "abs": lambda value: value.abs(),
    "floor": lambda value: value.floor(),
    "truncate": _truncate,
    "to_int": _to_int,
    "to_number": _to_number,
    "to_text": _to_text,
    "length": lambda text: _as_float(text.str.len_chars()),
    "upper": lambda text: text.str.to_uppercase(),
    "lower": lambda text: text.str.to_lowercase(),
    "trim": lambda text: text.str.strip_chars(tables.BLANKS),
    "contains": lambda text, piece: text.str.contains(piece, literal=True),
    "starts_with": lambda text, start: text.str.starts_with(start),
    "concat": lambda *texts: pl.concat_str(*texts, ignore_nulls=False),
    "decimal_places": _decimal_places,
    "date": lambda moment: moment.dt.date(),
    "has_time": lambda moment: moment != moment.dt.truncate("1d"),
    "year": lambda day: _as_float(day.dt.year()),
    "month": lambda day: _as_float(day.dt.month()),
    "day": lambda day: _as_float(day.dt.day()),
    "weekday": lambda day: _as_float(day.dt.weekday()),
    "yyyymmdd": lambda day: _day_number(day).cast(pl.String).str.zfill(8),
    "date_diff_day": _days,
    "date_diff_month": lambda first, last: _as_float(_month_number(last) - _month_number(first)),
    "date_diff_year": lambda first, last: _as_float(last.dt.year() - first.dt.year()),
    "age_at": _age,
    "age_months_at": _age_months,
    "id_checksum_ok": _id_checksum_ok,
    "id_birth_date": _id_birth_date,
    "id_sex_code": _id_sex_code,
}

OPERATIONS = frozenset(_SPECIAL) | frozenset(_PLAIN)
