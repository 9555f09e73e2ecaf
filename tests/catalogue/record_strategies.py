"""Records as the lake holds them, made to sit on the edges of given expressions.

For each column a pool of cells: empty, unusable (text with no value; a number outside the hard range), the constants
the expressions compare with and their neighbours, bounds, codes on the list, dates around leap days and the period's
ends, identity numbers right and wrong. ``rows_of`` draws rows from the pools cell by cell (hypothesis shrinks them);
``random_frame`` fills a frame of thousands of rows from a seed, for judging every rule of a catalogue at once.

``engines_differ`` renders expressions in both engines on one frame and describes the first difference, row and all.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import duckdb
import polars as pl
from hypothesis import strategies as st

from phqc_pipeline.catalogue import Context, Field, Form
from phqc_pipeline.catalogue.expressions import Expression, Vocabulary, to_duckdb, to_polars
from phqc_pipeline.catalogue.expressions.nodes import Call, Column, Constant, Node, children, walk
from phqc_pipeline.catalogue.expressions.types import COLUMN_TYPES

Cell = tuple[Any, str | None]  # typed value, raw text

CONTEXT = Context.natural_year(date(2024, 12, 31))
EMPTY: Cell = (None, None)
DTYPES: Mapping[str, Any] = {
    "int": pl.Float64(),
    "num": pl.Float64(),
    "text": pl.String(),
    "date": pl.Date(),
    "ts": pl.Datetime("us"),
    "list": pl.List(pl.String()),
}
DATES = (
    *(date(1899, 12, 31), date(1900, 1, 1), date(1949, 12, 31), date(1959, 12, 31), date(1960, 1, 1)),
    *(date(2000, 2, 28), date(2000, 2, 29), date(2000, 3, 1), date(2008, 12, 31), date(2009, 1, 1)),
    *(date(2023, 2, 28), date(2023, 3, 1), date(2023, 12, 31), date(2024, 1, 1), date(2024, 1, 31)),
    *(date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1), date(2024, 6, 30), date(2024, 12, 30)),
    *(date(2024, 12, 31), date(2025, 1, 1)),
)
TEXTS = (
    *("无", "测试", " a ", "　全角", "双下肢不肿", "X", "x", "0", "12", "-3", "+7", "1.50", "0.000", "12.345", "1e5"),
    *("11010519491231002X", "11010519491231002x", "110105194912310021", "11010519491331002X", "110105491231002"),
    *("654301195003150021", "654301200002293000", "6543E+17", "654301195003150000", "65430119500315002", "１２３"),
    *("13999612345", "13800000000", "0906-2123456", "1111111", "123456", "65430110120100001", "硝苯地平缓释片10mg"),
    *("a%b_c", "行1\n行2", "\\d", "'", '"', "é", "𠀀字", "\ufffd"),
)


def cell_pools(form: Form, vocabulary: Vocabulary, expressions: Iterable[Expression]) -> dict[str, list[Cell]]:
    """A pool of cells for every column of the form; those the expressions read get the constants they compare with."""
    numbers, texts, dates = {-1.0, 0.0, 1.0}, set(TEXTS), set(DATES)
    near: dict[str, set[float]] = {}
    for expression in expressions:
        for node in walk(expression.node):
            if isinstance(node, Constant):
                _collect(node.value, numbers, texts, dates)
        _numbers_beside(expression.node, near)
    days = sorted({int(number) for number in numbers if 0 < number < 4000 and number == int(number)})
    dates |= {CONTEXT.today - timedelta(days=count + step) for count in days for step in (-1, 0, 1)}
    return {
        field.name: _pool(field, vocabulary, near.get(field.name, set()), sorted(texts), sorted(dates))
        for field in form.fields
    }


def rows_of(pools: Mapping[str, Sequence[Cell]], columns: Iterable[str], most: int = 12) -> st.SearchStrategy:
    """Rows of the given columns, each a dict column → cell; columns not named are empty in ``frame_of``."""
    row = st.fixed_dictionaries({name: st.sampled_from(list(pools[name])) for name in sorted(columns)})
    return st.lists(row, min_size=1, max_size=most)


def frame_of(form: Form, rows: Sequence[Mapping[str, Cell]]) -> pl.DataFrame:
    """The lake's columns of the form (``x``, ``x__raw``), a row for each of ``rows``."""
    columns = {}
    for field in form.fields:
        cells = [row.get(field.name, EMPTY) for row in rows]
        columns[field.name] = pl.Series([value for value, _ in cells], dtype=DTYPES[COLUMN_TYPES[field.kind]])
        columns[field.name + "__raw"] = pl.Series([raw for _, raw in cells], dtype=pl.String)
    return pl.DataFrame(columns)


def random_frame(form: Form, pools: Mapping[str, Sequence[Cell]], rows: int, seed: int) -> pl.DataFrame:
    """``rows`` records drawn from the pools; the same for the same seed."""
    chance = random.Random(seed)
    drawn = {name: chance.choices(pool, k=rows) for name, pool in pools.items()}
    return frame_of(form, [{name: cells[row] for name, cells in drawn.items()} for row in range(rows)])


def engines_differ(
    frame: pl.DataFrame,
    expressions: Mapping[str, Expression],
    context: Context = CONTEXT,
    missing_columns: frozenset[str] = frozenset(),
) -> str | None:
    """The first difference between Polars and DuckDB on any expression, with the cells it read; None: no difference."""
    polars = (
        frame.lazy()
        .with_row_index("_row")
        .select("_row", *(to_polars(one, context, missing_columns).alias(name) for name, one in expressions.items()))
    )
    ours = polars.collect()
    theirs = _duckdb_frame(frame, expressions, context, missing_columns)
    for name, expression in expressions.items():
        left, right = ours[name].to_list(), theirs[name]
        if left != right:
            row = next(place for place, pair in enumerate(zip(left, right, strict=True)) if pair[0] != pair[1])
            read = {column: (frame[column][row], frame[column + "__raw"][row]) for column in sorted(expression.touches)}
            return f"{name}: {expression.text}\nPolars {left[row]!r}, DuckDB {right[row]!r}\ncells {read}"
    return None


def _duckdb_frame(
    frame: pl.DataFrame, expressions: Mapping[str, Expression], context: Context, missing_columns: frozenset[str]
) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    named = list(expressions.items())
    with duckdb.connect() as connection:
        connection.register("lake_arrow", frame.with_row_index("_row").to_arrow())
        connection.execute("CREATE TABLE lake AS FROM lake_arrow")
        for start in range(0, len(named), 40):
            flags = ", ".join(
                f'{to_duckdb(one, context, missing_columns)} AS "{name}"' for name, one in named[start : start + 40]
            )
            table = connection.execute(f"SELECT {flags} FROM lake ORDER BY _row").to_arrow_table()
            found |= {name: table.column(name).to_pylist() for name in table.column_names}
    return found


def _collect(value: Any, numbers: set[float], texts: set[str], dates: set[date]) -> None:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, (int, float)):
        numbers.add(float(value))
    elif isinstance(value, tuple):
        texts.update(value)
    elif isinstance(value, date):
        dates |= {value + timedelta(days=step) for step in (-1, 0, 1)}
    else:
        texts |= {value, f"前{value}后", value[:-1] or "a"}


def _numbers_beside(node: Node, near: dict[str, set[float]]) -> None:
    """Numbers that stand in one comparison with a column: the edges of that column."""
    if isinstance(node, Call) and node.op in ("eq", "ne", "lt", "le", "gt", "ge", "in"):
        below = [part for arg in node.args for part in walk(arg)]
        numbers = {float(part.value) for part in below if isinstance(part, Constant) and part.type in ("int", "num")}
        for part in below:
            if isinstance(part, Column) and part.type in ("int", "num"):
                near.setdefault(part.name, set()).update(numbers)
    for child in children(node):
        _numbers_beside(child, near)


def _pool(field: Field, vocabulary: Vocabulary, near: set[float], texts: list[str], dates: list[date]) -> list[Cell]:
    kind = COLUMN_TYPES[field.kind]
    if kind in ("int", "num"):
        return [EMPTY, *_number_cells(field, near)]
    if kind in ("date", "ts"):
        moments: list[Any] = dates
        if kind == "ts":
            moments = [datetime.combine(day, hour) for day in dates for hour in (time(0), time(23, 59, 59))]
        return [EMPTY, EMPTY, (None, "2024-02-30"), (None, "春天"), *((moment, None) for moment in moments)]
    codes = [entry.code for entry in vocabulary.codes[field.codes].codes] if field.codes else []
    if kind == "list":
        return [EMPTY, (None, "88,1"), *_choices(field, codes)]
    if field.kind == "code":
        return [EMPTY, EMPTY, (None, "不在表里"), *((code, None) for code in codes[:60])]
    return [EMPTY, EMPTY, *((text.strip(" "), text if text != text.strip(" ") else None) for text in texts)]


def _number_cells(field: Field, near: set[float]) -> list[Cell]:
    bounds = {float(end) for ends in (field.hard, field.soft) if ends for end in ends if end is not None}
    step = 1.0 if field.kind == "int" else 10.0 ** -(field.scale or 0)
    edges = {round(number + shift, 6) for number in near | bounds | {0.0, 1.0, 7.0} for shift in (-step, 0.0, step)}
    low, high = field.hard or (0, 300)
    low, high = float(0 if low is None else low), float(300 if high is None else high)
    inside = [round(low + (high - low) * share, field.scale or 0) for share in (0.15, 0.3, 0.45, 0.6, 0.8)]
    cells: list[Cell] = [(number, None) for number in sorted(edges)] + [(number, None) for number in inside]
    places = (0 if field.kind == "int" else field.scale or 0) + 2
    finer = f"{inside[1] + step / 4:.{places}f}"  # two decimals too many
    cells += [(None, "未测出"), (float(finer), finer)]
    return cells + [(None, word) for word in field.text_values]


def _choices(field: Field, codes: list[str]) -> list[Cell]:
    chance = random.Random(field.name)
    pairs = [sorted(chance.sample(codes, 2), key=codes.index) for _ in range(8)] if len(codes) > 1 else []
    special = [[*field.exclusive, codes[-1]]] if field.exclusive and codes[-1] not in field.exclusive else []
    return [(chosen, None) for chosen in [*([code] for code in codes), *pairs, *special, codes[:4]] if chosen]
