"""A typed tree as DuckDB SQL over the lake's columns: pure SQL, no extension, no function of our own.

Belongs here: what each operation is in DuckDB. Does not belong here: which steps an expression implies (they stand in
the tree), Polars (``render_polars``, which must compute exactly the same).

Every number is DOUBLE; every judgement is a three-valued BOOLEAN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from phqc_pipeline.catalogue.expressions import tables
from phqc_pipeline.catalogue.expressions.cells import (
    RAW_SUFFIX,
    cell_is_null_duckdb,
    hidden_duckdb,
    quoted_name,
    quoted_text,
    repaired_duckdb,
    unreadable_duckdb,
    usable_duckdb,
)
from phqc_pipeline.catalogue.expressions.nodes import (
    CELL_OPS,
    COUNTING_OPS,
    Call,
    Column,
    Constant,
    ContextValue,
    Derived,
    GrowthReference,
    ListReference,
    Node,
)
from phqc_pipeline.catalogue.model import Context

_SQL_TYPES: Mapping[str, str] = {
    "bool": "BOOLEAN",
    "int": "DOUBLE",
    "num": "DOUBLE",
    "text": "VARCHAR",
    "date": "DATE",
    "ts": "TIMESTAMP",
    "list": "VARCHAR[]",
}
_INFIX = {
    "and": (" AND ", 2),
    "or": (" OR ", 1),
    "eq": (" = ", 4),
    "ne": (" <> ", 4),
    "lt": (" < ", 4),
    "le": (" <= ", 4),
    "gt": (" > ", 4),
    "ge": (" >= ", 4),
    "add": (" + ", 6),
    "sub": (" - ", 6),
    "mul": (" * ", 7),
    "concat": (" || ", 5),
}
_ATOM = 9
_BINDS = {"is_null": 4, "in": 4, "in_list": 4, "like": 4, "div": 7}
_LONGEST_SHOWN_LIST = 12


class DuckDBRenderer:
    """Renders trees as SQL text for one evaluation; parameters as for ``PolarsRenderer``.

    ``context`` None leaves ``today``, ``period_start`` and ``period_end`` as names. ``plain`` writes the SQL a reader
    wants to see: cells as bare columns, without the handling of unusable cells, long lists and counts by their names.
    """

    def __init__(
        self,
        context: Context | None,
        missing_columns: frozenset[str] = frozenset(),
        given: frozenset[str] = frozenset(),
        table: str = "",
        plain: bool = False,
    ) -> None:
        self.context = context
        self.missing_columns = missing_columns
        self.given = given
        self.table = table
        self.plain = plain

    def render(self, node: Node) -> str:
        """The SQL computing ``node``."""
        return self._rendered(node)[0]

    def _rendered(self, node: Node) -> tuple[str, int]:
        """SQL and how tightly it binds."""
        if isinstance(node, Constant):
            return (_plain_constant(node) if self.plain else _constant(node)), _ATOM
        if isinstance(node, Column):
            return (node.name if self.plain else usable_duckdb(node.field, self.table)), _ATOM
        if isinstance(node, ContextValue):
            value = node.name if self.context is None else _day(getattr(self.context, node.name))
            return self._or_given(node.name, value), _ATOM
        if isinstance(node, Derived):
            sql, binds = self._rendered(node.body)
            return (self._or_given(node.name, sql), _ATOM) if node.name in self.given else (sql, binds)
        if isinstance(node, (ListReference, GrowthReference)):
            raise TypeError("a code list or a table of figures is not a value")
        if node.op in _INFIX:
            return self._infix(node)
        if node.op == "not":
            return self._not(node)
        special = _SPECIAL.get(node.op)
        if special is not None:
            sql = special(self, node)
            return sql, _ATOM if sql.endswith(" END") else _BINDS.get(node.op, _ATOM)
        return _PLAIN[node.op](*(self.render(argument) for argument in node.args)), _ATOM

    def _infix(self, node: Call) -> tuple[str, int]:
        sign, binds = _INFIX[node.op]
        tighter = [binds, *[binds + 1] * (len(node.args) - 1)] if node.op in ("sub", "add", "mul") else None
        least = tighter or [binds + 1] * len(node.args)
        parts = [_wrapped(*self._rendered(arg), bound) for arg, bound in zip(node.args, least, strict=True)]
        return sign.join(parts), binds

    def _not(self, node: Call) -> tuple[str, int]:
        inner = node.args[0]
        if self.plain and isinstance(inner, Call):
            negated = {"is_null": " IS NOT NULL", "in": None}.get(inner.op)
            if negated:
                return f"{self._operand(inner.args[0])}{negated}", 4
            if inner.op == "in":
                return self._in(inner).replace(" IN (", " NOT IN (", 1), 4
        return f"NOT {_wrapped(*self._rendered(inner), 4)}", 3

    def _operand(self, node: Node) -> str:
        return _wrapped(*self._rendered(node), 5)

    def _or_given(self, name: str, otherwise: str) -> str:
        if name not in self.given:
            return otherwise
        has, value = quoted_name(f"_has_{name}", self.table), quoted_name(f"_given_{name}", self.table)
        return f"CASE WHEN {has} THEN {value} ELSE {otherwise} END"

    # --- the cell ----------------------------------------------------------------------------------------------

    def _is_null(self, node: Call) -> str:
        tested = node.args[0]
        empty = f"{self._operand(tested)} IS NULL"
        if self.plain:
            return empty
        if isinstance(tested, Column):
            return cell_is_null_duckdb(tested.field, self.table)
        hidden = self._any_hidden(tested)
        if hidden is None:
            return empty
        return f"CASE WHEN NOT ({empty}) THEN FALSE WHEN NOT {hidden} THEN TRUE END"

    def _any_hidden(self, node: Node) -> str | None:
        """Whether a cell below holds something that the computed value cannot show."""
        if isinstance(node, Column):
            return hidden_duckdb(node.field, self.table)
        if isinstance(node, Derived):
            below = self._any_hidden(node.body)
            if below is not None and node.name in self.given:
                return f"({below} AND NOT {quoted_name(f'_has_{node.name}', self.table)})"
            return below
        if not isinstance(node, Call) or node.op in CELL_OPS:
            return None
        flags = [flag for flag in map(self._any_hidden, node.args) if flag is not None]
        return f"({' OR '.join(dict.fromkeys(flags))})" if flags else None

    def _unreadable(self, node: Call) -> str:
        return unreadable_duckdb(_cell(node).field, self.table) or "FALSE"

    def _repaired(self, node: Call) -> str:
        return repaired_duckdb(_cell(node).field, self.table)

    def _raw(self, node: Call) -> str:
        cell = _cell(node)
        raw = quoted_name(cell.name + RAW_SUFFIX, self.table)
        return f"coalesce({raw}, {quoted_name(cell.name, self.table)})" if cell.field.kind == "text" else raw

    def _typed(self, node: Call) -> str:
        return quoted_name(_cell(node).name, self.table)

    def _delivered(self, node: Call) -> str:
        return "FALSE" if _cell(node).name in self.missing_columns else "TRUE"

    def _count_true(self, node: Call) -> str:
        if self.plain and node.op in COUNTING_OPS:
            return f"{node.op}()"
        parts = [f"CASE WHEN {self.render(part)} THEN 1.0::DOUBLE ELSE 0.0::DOUBLE END" for part in node.args]
        return f"({' + '.join(parts)})" if parts else "0.0::DOUBLE"

    # --- operations that look at their arguments before they render them --------------------------------------

    def _divide(self, node: Call) -> str:
        left = _wrapped(*self._rendered(node.args[0]), 7)
        return f"{left} / {self._divisor(node.args[1])}"

    def _modulo(self, node: Call) -> str:
        left = _wrapped(*self._rendered(node.args[0]), 8)
        right = self._divisor(node.args[1])
        return f"({left} - {right} * floor({left} / {right}))"

    def _divisor(self, node: Node) -> str:
        """The divisor, NULL instead of zero: dividing by zero gives NULL."""
        if isinstance(node, Constant) and node.value:
            return self.render(node)
        return f"nullif({self.render(node)}, {'0' if self.plain else '0.0::DOUBLE'})"

    def _case(self, node: Call) -> str:
        parts = [self.render(argument) for argument in node.args]
        whens = " ".join(f"WHEN {parts[at]} THEN {parts[at + 1]}" for at in range(0, len(parts) - 1, 2))
        return f"CASE {whens} ELSE {parts[-1]} END"

    def _in(self, node: Call) -> str:
        members = ", ".join(self.render(member) for member in node.args[1:])
        return f"{self._operand(node.args[0])} IN ({members})"

    def _same_codes(self, node: Call) -> str:
        chosen, codes = self.render(node.args[0]), sorted(set(_texts(node.args[1])))
        each = " AND ".join(f"list_contains({chosen}, {quoted_text(code)})" for code in codes)
        return f"(len({chosen}) = {len(codes)} AND {each})"

    def _contains_any(self, node: Call) -> str:
        return f"list_has_any({self.render(node.args[0])}, [{_listed(_texts(node.args[1]))}])"

    def _like(self, node: Call) -> str:
        return f"{self._operand(node.args[0])} LIKE {self.render(node.args[1])}"

    def _substr(self, node: Call) -> str:
        bounds = ", ".join(str(int(_value(argument))) for argument in node.args[1:])
        return f"substring({self.render(node.args[0])}, {bounds})"

    def _round(self, node: Call) -> str:
        return f"round({self.render(node.args[0])}, {int(_value(node.args[1]))})"

    def _shift(self, node: Call) -> str:
        """Days are added as a whole number: DuckDB takes ``x + INTERVAL 30 DAY`` and ``x + INTERVAL 1 MONTH`` in one
        query for the same expression (seen in 1.5.6) and computes one of them for both. Hours as microseconds."""
        day, count = self._operand(node.args[0]), int(_value(node.args[1]))
        seconds = {"shift_hour": 3600, "shift_minute": 60}.get(node.op)
        if seconds and not self.plain:
            return f"make_timestamp(epoch_us({day}) + ({count * seconds * 1_000_000}))"
        sign, unit = "+" if count >= 0 else "-", node.op.removeprefix("shift_").upper()
        if node.op != "shift_day" or self.plain:
            return f"CAST({day} {sign} INTERVAL {abs(count)} {unit} AS {_SQL_TYPES[node.type]})"
        moved = f"(CAST({day} AS DATE) {sign} {abs(count)})"
        return f"({moved} + CAST({day} AS TIME))" if node.type == "ts" else moved

    def _growth_z(self, node: Call) -> str:
        """As in ``PolarsRenderer``. For a reader the call itself: the figures are thousands."""
        reference = node.args[0]
        assert isinstance(reference, GrowthReference)
        table = reference.table
        value, sex, birth, day = (self.render(argument) for argument in node.args[1:])
        if self.plain:
            return f"growth_z({', '.join((quoted_text(reference.measure), value, sex, birth, day))})"
        days, months = f"({day} - {birth})", _age_months(birth, day)
        last_day, last_month = table.first_day + table.days - 1, table.first_month + table.months - 1
        age = (
            f"CASE WHEN {days} BETWEEN {table.first_day} AND {last_day} THEN {days} - {table.first_day} "
            f"WHEN {days} > {last_day} AND {months} BETWEEN {table.first_month} AND {last_month} "
            f"THEN CAST({months} AS BIGINT) - {table.first_month} + {table.days} END"
        )
        first = " ".join(
            f"WHEN {quoted_text(code)} THEN {place * table.ages}" for place, code in enumerate(table.sexes)
        )
        text, width = tables.growth_text(table)
        start = f"(CASE {sex} {first} END + {age}) * {width} + 1"
        found = f"CAST('[' || substring('{text}', {start}, {width}) || ']' AS DOUBLE[])"
        measured = f"(CASE WHEN {value} > 0 THEN {value} END)"
        return f"round(list_transform([{found}], lambda f: {_growth_score(measured)})[1], 6)"

    def _in_list(self, node: Call) -> str:
        if self._too_long_to_show(node):
            return f"in_list({self.render(node.args[0])}, {quoted_text(_list(node).list_id)})"
        return f"{self._operand(node.args[0])} IN ({_listed(_list(node).code_list.by_code)})"

    def _mentions_any(self, node: Call) -> str:
        text, code_list = self.render(node.args[0]), _list(node).code_list
        if self._too_long_to_show(node):
            return f"mentions_any({text}, {quoted_text(_list(node).list_id)})"
        found = f"regexp_matches({text}, {quoted_text(tables.names_pattern(code_list))})"
        return f"({_wrapped(text, _ATOM, 5)} IN ({_listed(code_list.by_code)}) OR {found})"

    def _too_long_to_show(self, node: Call) -> bool:
        """Whether a reader is better served by the list's name than by its codes."""
        return self.plain and len(_list(node).code_list.codes) > _LONGEST_SHOWN_LIST

    def _list_attr(self, node: Call) -> str:
        text, code_list = self.render(node.args[0]), _list(node).code_list
        if self._too_long_to_show(node):
            return f"list_attr({text}, {quoted_text(_list(node).list_id)}, {self.render(node.args[2])})"
        whole, mentioned = tables.attribute_tables(code_list, str(_value(node.args[2])))
        named = f"regexp_extract({text}, {quoted_text(tables.names_pattern(code_list))}, 1)"
        exact = f"element_at({_map(whole, node.type)}, {text})[1]"
        return (
            f"CASE WHEN {text} IN ({_listed(whole)}) THEN {exact} "
            f"ELSE element_at({_map(mentioned, node.type)}, {named})[1] END"
        )


def _wrapped(sql: str, binds: int, least: int) -> str:
    return sql if binds >= least else f"({sql})"


def _day(day: date) -> str:
    return f"DATE '{day.isoformat()}'"


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(quoted_text(text) for text in texts)


def _map(values: Mapping[str, Any], kind: str) -> str:
    nothing = f"NULL::{_SQL_TYPES[kind]}"
    written = [
        nothing if value is None else _constant(Constant(value, kind))  # type: ignore[arg-type]
        for value in values.values()
    ]
    return f"MAP([{_listed(values)}], [{', '.join(written)}])"


def _constant(node: Constant) -> str:
    value = node.value
    if value is None:
        return f"NULL::{_SQL_TYPES[node.type]}" if node.type in _SQL_TYPES else "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        return f"{float(value)!r}::DOUBLE"
    if isinstance(value, tuple):
        return f"[{_listed(value)}]"
    return _day(value) if isinstance(value, date) else quoted_text(value)


def _plain_constant(node: Constant) -> str:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "NULL" if value is None else _constant(node)
    return repr(int(value) if float(value).is_integer() else value)


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


def _texts(node: Node) -> tuple[str, ...]:
    return tuple(_value(node))


def _day_number(day: str) -> str:
    return f"(year({day}) * 10000 + month({day}) * 100 + day({day}))"


def _age(birth: str, day: str) -> str:
    return f"CASE WHEN {day} >= {birth} THEN (({_day_number(day)} - {_day_number(birth)}) // 10000)::DOUBLE END"


def _age_months(birth: str, day: str) -> str:
    months = f"(year({day}) - year({birth})) * 12 + month({day}) - month({birth})"
    begun = f"CASE WHEN day({day}) < day({birth}) THEN 1 ELSE 0 END"
    return f"CASE WHEN {day} >= {birth} THEN ({months} - {begun})::DOUBLE END"


def _matching(text: str, pattern: str) -> str:
    return f"regexp_matches({text}, {quoted_text(pattern)})"


def _converted(text: str, pattern: str) -> str:
    return f"CASE WHEN {_matching(text, pattern)} THEN TRY_CAST({text} AS DOUBLE) END"


def _to_text(number: str) -> str:
    """A whole number's digits; NULL for one with decimals, and beyond what a DOUBLE holds exactly."""
    whole = f"{number} = floor({number}) AND abs({number}) < {tables.MOST_EXACT}"
    return f"CASE WHEN {whole} THEN CAST(CAST({number} AS BIGINT) AS VARCHAR) END"


def _growth_score(x: str) -> str:
    """Z of the measurement ``x`` by the figures ``f`` = [L, M, S]."""
    score = f"CASE WHEN f[1] <> 0 THEN (pow({x} / f[2], f[1]) - 1) / (f[1] * f[3]) ELSE ln({x} / f[2]) / f[3] END"

    def at(deviations: int) -> str:
        return (
            f"CASE WHEN f[1] <> 0 THEN f[2] * pow(1 + f[1] * f[3] * ({deviations}), 1 / f[1]) "
            f"ELSE f[2] * exp(f[3] * ({deviations})) END"
        )

    return (
        f"CASE WHEN {score} > 3 THEN 3 + ({x} - ({at(3)})) / (({at(3)}) - ({at(2)})) "
        f"WHEN {score} < -3 THEN -3 + ({x} - ({at(-3)})) / (({at(-2)}) - ({at(-3)})) ELSE {score} END"
    )


def _decimal_places(text: str) -> str:
    pattern = quoted_text(tables.DECIMALS)
    return f"CASE WHEN regexp_matches({text}, {pattern}) THEN length(regexp_extract({text}, {pattern}, 1))::DOUBLE END"


def _id_checksum_ok(number: str) -> str:
    """MOD 11-2 over the first 17 digits (GB 11643), by whole-number arithmetic."""
    body = f"TRY_CAST(substring({number}, 1, 17) AS BIGINT)"
    terms = [f"{body} // {10 ** (16 - place)} % 10 * {weight}" for place, weight in enumerate(tables.ID_WEIGHTS)]
    check = f"substring({number}, 18, 1)"
    given = f"CASE WHEN {check} IN ('X', 'x') THEN 10 ELSE TRY_CAST({check} AS BIGINT) END"
    return (
        f"CASE WHEN length({number}) <> 18 THEN NULL WHEN {_matching(number, tables.ID_18)} "
        f"THEN ({' + '.join(terms)} + {given}) % 11 = 1 WHEN {number} IS NOT NULL THEN FALSE END"
    )


def _id_birth_date(number: str) -> str:
    digits = (
        f"CASE WHEN {_matching(number, tables.ID_18)} THEN substring({number}, 7, 8) "
        f"WHEN {_matching(number, tables.ID_15)} THEN '19' || substring({number}, 7, 6) END"
    )
    plausible = _matching(digits, tables.PLAUSIBLE_YEAR)
    return f"CASE WHEN {plausible} THEN TRY_STRPTIME({digits}, '%Y%m%d')::DATE END"


def _id_sex_code(number: str) -> str:
    digit = (
        f"CASE WHEN {_matching(number, tables.ID_18)} THEN substring({number}, 17, 1) "
        f"WHEN {_matching(number, tables.ID_15)} THEN substring({number}, 15, 1) END"
    )
    return f"CASE WHEN {digit} IN ('1', '3', '5', '7', '9') THEN '1' WHEN {digit} IS NOT NULL THEN '2' END"


_SPECIAL: dict[str, Callable[[DuckDBRenderer, Call], str]] = {
    "is_null": DuckDBRenderer._is_null,
    "unreadable": DuckDBRenderer._unreadable,
    "repaired": DuckDBRenderer._repaired,
    "raw": DuckDBRenderer._raw,
    "typed": DuckDBRenderer._typed,
    "delivered": DuckDBRenderer._delivered,
    "count_true": DuckDBRenderer._count_true,
    "required_count": DuckDBRenderer._count_true,
    "required_missing_count": DuckDBRenderer._count_true,
    "div": DuckDBRenderer._divide,
    "mod": DuckDBRenderer._modulo,
    "case": DuckDBRenderer._case,
    "in": DuckDBRenderer._in,
    "same_codes": DuckDBRenderer._same_codes,
    "contains_any": DuckDBRenderer._contains_any,
    "like": DuckDBRenderer._like,
    "substr": DuckDBRenderer._substr,
    "round": DuckDBRenderer._round,
    "shift_day": DuckDBRenderer._shift,
    "shift_month": DuckDBRenderer._shift,
    "shift_year": DuckDBRenderer._shift,
    "shift_hour": DuckDBRenderer._shift,
    "shift_minute": DuckDBRenderer._shift,
    "growth_z": DuckDBRenderer._growth_z,
    "in_list": DuckDBRenderer._in_list,
    "mentions_any": DuckDBRenderer._mentions_any,
    "list_attr": DuckDBRenderer._list_attr,
}

_PLAIN: dict[str, Callable[..., str]] = {
    "neg": lambda value: f"(-({value}))",
    "round6": lambda value: f"round({value}, 6)",
    "has": lambda chosen, code: f"list_contains({chosen}, {code})",
    "cardinality": lambda chosen: f"len({chosen})::DOUBLE",
    "coalesce": lambda *values: f"coalesce({', '.join(values)})",
    "greatest": lambda *values: f"greatest({', '.join(values)})",
    "least": lambda *values: f"least({', '.join(values)})",
    "abs": lambda value: f"abs({value})",
    "floor": lambda value: f"floor({value})",
    "truncate": lambda value: f"trunc({value})",
    "to_int": lambda text: _converted(text, tables.WHOLE_NUMBER),
    "to_number": lambda text: _converted(text, tables.DECIMAL_NUMBER),
    "to_text": _to_text,
    "length": lambda text: f"length({text})::DOUBLE",
    "upper": lambda text: f"upper({text})",
    "lower": lambda text: f"lower({text})",
    "trim": lambda text: f"trim({text}, {quoted_text(tables.BLANKS)})",
    "contains": lambda text, piece: f"contains({text}, {piece})",
    "starts_with": lambda text, start: f"starts_with({text}, {start})",
    "regexp": lambda text, pattern: f"regexp_matches({text}, {pattern})",
    "decimal_places": _decimal_places,
    "date": lambda moment: f"CAST({moment} AS DATE)",
    "has_time": lambda moment: f"CAST({moment} AS TIME) <> TIME '00:00:00'",
    "year": lambda day: f"year({day})::DOUBLE",
    "month": lambda day: f"month({day})::DOUBLE",
    "day": lambda day: f"day({day})::DOUBLE",
    "weekday": lambda day: f"isodow({day})::DOUBLE",
    "yyyymmdd": lambda day: f"strftime({day}, '%Y%m%d')",
    "date_diff_day": lambda first, last: f"date_diff('day', {first}, {last})::DOUBLE",
    "date_diff_month": lambda first, last: f"date_diff('month', {first}, {last})::DOUBLE",
    "date_diff_year": lambda first, last: f"date_diff('year', {first}, {last})::DOUBLE",
    "age_at": _age,
    "age_months_at": _age_months,
    "id_checksum_ok": _id_checksum_ok,
    "id_birth_date": _id_birth_date,
    "id_sex_code": _id_sex_code,
}

OPERATIONS = frozenset(_SPECIAL) | frozenset(_PLAIN) | frozenset(_INFIX) | {"not"}
