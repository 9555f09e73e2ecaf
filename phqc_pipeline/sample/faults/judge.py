"""What record and field rules say of some rows, by the DuckDB rendering of their expressions.

Belongs here: rows in the lake's columns → the checks each violates, with validity dates and suppression.
Does not belong here: cross rules (``truth``), choosing rows (``injection``).

The nightly run evaluates the same rules in Polars: this is the second way, and the answer key rests on it. Where faults
are only tried, the quicker first way will do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from functools import lru_cache

import duckdb
import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue, Context, Form, RuleCheck
from phqc_pipeline.catalogue.expressions import check_duckdb, check_polars

RAW = "__raw"
_LONG_SQL = 10_000  # characters
# What the optimizer does for long expressions: nothing that rests on the rows a table happens to hold when it plans.
_PLANNED = frozenset({"expression_rewriter", "common_subexpressions"})


@lru_cache(maxsize=2)
def judge_of(cat: Catalogue, ctx: Context) -> Judge:
    """The judge of a catalogue and a night; the next sample of the same ones finds its queries planned."""
    return Judge(cat, ctx)


class Judge:
    """The record checks of every form, rendered once. ``ctx``: the night for which the key is made."""

    def __init__(self, cat: Catalogue, ctx: Context) -> None:
        self.cat = cat
        self.ctx = ctx
        self.checks = {form_id: cat.checks(form_id) for form_id in cat.forms}
        self._expressions: dict[str, list[pl.Expr]] = {}
        self._queries: dict[str, list[str]] = {}
        self._connection = duckdb.connect()
        optimizers = [name for (name,) in self._connection.execute("FROM duckdb_optimizers()").fetchall()]
        others = ",".join(name for name in optimizers if name not in _PLANNED)
        self._connection.execute(f"SET threads = 1; SET disabled_optimizers = '{others}'")
        self._sql = {
            form_id: [check_duckdb(check, ctx)[1] for check in checks] for form_id, checks in self.checks.items()
        }

    def violations(self, form: Form, rows: pl.DataFrame) -> list[frozenset[int]]:
        """For each row the positions in ``checks[form_id]`` of the checks it violates, as they would be reported.

        ``rows`` has the form's columns; a missing ``<field>__raw`` counts as NULL.
        """
        return self._found(form, rows, self._evaluate)

    def violations_tried(self, form: Form, rows: pl.DataFrame) -> list[frozenset[int]]:
        """The same by the Polars rendering: several times as quick for few rows, and no independent word."""
        return self._found(form, rows, self._evaluate_quickly)

    def _found(
        self, form: Form, rows: pl.DataFrame, evaluate: Callable[[Form, pl.DataFrame], pl.DataFrame]
    ) -> list[frozenset[int]]:
        checks = self.checks[form.form_id]
        if rows.is_empty() or not checks:
            return [frozenset()] * rows.height
        table = evaluate(form, rows)
        found: list[set[int]] = [set() for _ in range(rows.height)]
        for n in range(len(checks)):
            for row in np.flatnonzero(table[f"c{n}"].to_numpy()).tolist():
                found[row].add(n)
        dates = rows[form.service_date].to_list()
        return [frozenset(self._reported(one, checks, day)) for one, day in zip(found, dates, strict=True)]

    def _evaluate_quickly(self, form: Form, rows: pl.DataFrame) -> pl.DataFrame:
        if form.form_id not in self._expressions:
            self._expressions[form.form_id] = [
                check_polars(check, self.ctx)[1].alias(f"c{n}") for n, check in enumerate(self.checks[form.form_id])
            ]
        return _lake(form, rows).select(self._expressions[form.form_id])

    def _evaluate(self, form: Form, rows: pl.DataFrame) -> pl.DataFrame:
        lake = _lake(form, rows).with_row_index("_place")
        # One order of columns for all rows of the form: the table is made once.
        names = ["_place", *(name for field in form.fields for name in (field.name, field.name + RAW))]
        self._connection.register("delivered", lake.select(names).to_arrow(compat_level=pl.CompatLevel.oldest()))
        if form.form_id not in self._queries:
            self._connection.execute(f"CREATE TABLE {form.form_id} AS FROM delivered LIMIT 0")
            self._queries[form.form_id] = self._prepared(form.form_id)
        self._connection.execute(f"INSERT INTO {form.form_id} FROM delivered")
        columns: list[pl.Series] = []
        for query in self._queries[form.form_id]:
            found = self._connection.execute(f"EXECUTE {query}").to_arrow_table()
            columns += pl.DataFrame(pl.from_arrow(found)).get_columns()
        self._connection.execute(f"DELETE FROM {form.form_id}")
        self._connection.unregister("delivered")
        return pl.DataFrame(columns)

    def _prepared(self, form_id: str) -> list[str]:
        """The form's checks as prepared queries over its table; their names.

        Planning hundreds of short expressions costs more than evaluating them over a few rows. Those with whole code
        lists in them (thousands of names, some lists more than once) are only bearable when planned.
        """
        run = self._connection.execute
        sql = [(f"{text} AS c{n}", len(text) < _LONG_SQL) for n, text in enumerate(self._sql[form_id])]
        short = ", ".join(text for text, is_short in sql if is_short)
        queries = [one for one in (short, *(text for text, is_short in sql if not is_short)) if one]
        names = [f"{form_id}_{n}" for n in range(len(queries))]
        for name, query in zip(names, queries, strict=True):
            run(f"PRAGMA {'disable' if query == short else 'enable'}_optimizer")
            run(f"PREPARE {name} AS SELECT {query} FROM {form_id} ORDER BY _place")
        return names

    def _reported(self, violated: set[int], checks: Sequence[RuleCheck], service: date | None) -> Iterable[int]:
        """Without rules not in force on the service date (0a.16) and those another violated rule suppresses (0a.5)."""
        day = service or self.ctx.today
        held = {n for n in violated if checks[n].rule.in_force_on(day)}
        rules = {checks[n].rule.rule_id for n in held}
        return (n for n in held if not rules & set(checks[n].rule.suppressed_by))


def _lake(form: Form, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with every ``<field>__raw`` column."""
    present = set(rows.columns)
    missing = [field.name + RAW for field in form.fields if field.name + RAW not in present]
    return rows.with_columns(*(pl.lit(None, pl.String).alias(name) for name in missing))
