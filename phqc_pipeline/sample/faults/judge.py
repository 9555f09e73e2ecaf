"""What record and field rules say of some rows, by the DuckDB rendering of their expressions.

Belongs here: rows in the lake's columns → the checks each violates, with validity dates and suppression.
Does not belong here: cross rules (``truth``), choosing rows (``injection``).

The nightly run evaluates the same rules in Polars: this is the second way, and the answer key rests on it. Where faults
are only tried, the quicker first way will do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date

import duckdb
import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue, Context, Form, RuleCheck
from phqc_pipeline.catalogue.expressions import check_duckdb, check_polars

RAW = "__raw"
_LONG_SQL = 10_000  # characters


class Judge:
    """The record checks of every form, rendered once. ``ctx``: the night for which the key is made."""

    def __init__(self, cat: Catalogue, ctx: Context) -> None:
        self.cat = cat
        self.ctx = ctx
        self.checks = {form_id: cat.checks(form_id) for form_id in cat.forms}
        self._expressions: dict[str, list[pl.Expr]] = {}
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
        columns: list[pl.Series] = []
        with duckdb.connect() as connection:
            connection.execute("SET threads = 1")
            connection.register("delivered", lake.to_arrow(compat_level=pl.CompatLevel.oldest()))
            connection.execute("CREATE TABLE rows AS FROM delivered")
            sql = list(enumerate(self._sql[form.form_id]))
            # Planning hundreds of short expressions costs more than evaluating them; those with whole code lists in
            # them (thousands of names) are only bearable when planned.
            short = [f"{text} AS c{n}" for n, text in sql if len(text) < _LONG_SQL]
            for mode, queries in (
                ("disable", [", ".join(short)]),
                ("enable", [f"{t} AS c{n}" for n, t in sql if len(t) >= _LONG_SQL]),
            ):
                connection.execute(f"PRAGMA {mode}_optimizer")
                for query in queries:
                    found = connection.execute(f"SELECT {query} FROM rows ORDER BY _place").to_arrow_table()
                    columns += pl.DataFrame(pl.from_arrow(found)).get_columns()
        return pl.DataFrame(columns)

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
