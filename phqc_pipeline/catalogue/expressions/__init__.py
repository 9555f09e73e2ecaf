"""The rule language: SQL boolean expressions over a form's fields, compiled to Polars and to DuckDB SQL.

``parse_expression`` compiles text against a form; ``to_polars`` and ``to_duckdb`` render it over the lake's columns
with the same three-valued meaning; ``check_polars`` and ``check_duckdb`` render a rule's check. The language is
explained for rule authors in ``docs/规则表达式语言.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from phqc_pipeline.catalogue.expressions.cells import (
    unusable_duckdb,
    unusable_polars,
    usable_duckdb,
    usable_polars,
)
from phqc_pipeline.catalogue.expressions.functions import FUNCTIONS, Function
from phqc_pipeline.catalogue.expressions.outcomes import ColumnFacts, Outcomes
from phqc_pipeline.catalogue.expressions.parse import Expression, names_used, negated, parse_expression
from phqc_pipeline.catalogue.expressions.render_chinese import ChineseRenderer
from phqc_pipeline.catalogue.expressions.render_duckdb import DuckDBRenderer
from phqc_pipeline.catalogue.expressions.render_plain import PlainRenderer
from phqc_pipeline.catalogue.expressions.render_polars import PolarsRenderer
from phqc_pipeline.catalogue.expressions.syntax import ExpressionError, ExpressionFault
from phqc_pipeline.catalogue.expressions.types import Vocabulary

if TYPE_CHECKING:
    from phqc_pipeline.catalogue.model import Context, RuleCheck

__all__ = [
    "FUNCTIONS",
    "ColumnFacts",
    "DuckDBRenderer",
    "Expression",
    "ExpressionError",
    "ExpressionFault",
    "Function",
    "Outcomes",
    "PlainRenderer",
    "PolarsRenderer",
    "Vocabulary",
    "check_duckdb",
    "check_polars",
    "names_used",
    "negated",
    "parse_expression",
    "to_chinese",
    "to_duckdb",
    "to_polars",
    "unusable_duckdb",
    "unusable_polars",
    "usable_duckdb",
    "usable_polars",
]


def to_polars(expression: Expression, context: Context, missing_columns: frozenset[str] = frozenset()) -> pl.Expr:
    """The expression over the lake's columns. ``missing_columns``: dictionary columns the delivered file lacked."""
    return PolarsRenderer(context, missing_columns).render(expression.node)


def to_duckdb(
    expression: Expression,
    context: Context | None,
    missing_columns: frozenset[str] = frozenset(),
    *,
    table: str = "",
    plain: bool = False,
) -> str:
    """The expression as DuckDB SQL over the lake's columns, meaning exactly what ``to_polars`` does.

    ``table`` qualifies the columns. ``plain`` gives the SQL for a reader: no handling of unusable cells; ``context``
    may then be None, which leaves ``today`` and the period's ends as names.
    """
    return DuckDBRenderer(context, missing_columns, table=table, plain=plain).render(expression.node)


def to_chinese(expression: Expression, vocabulary: Vocabulary) -> str:
    """The expression as a Chinese sentence: fields by title, codes with their names."""
    return ChineseRenderer(vocabulary).render(expression.node)


def check_polars(
    check: RuleCheck,
    context: Context,
    missing_columns: frozenset[str] = frozenset(),
    renderer: PolarsRenderer | None = None,
) -> tuple[pl.Expr, pl.Expr]:
    """(applicable, violated) of one check, both TRUE or FALSE, never NULL; violated implies applicable.

    ``renderer``: one made for the rows at hand (``PlainRenderer``), which many checks share.
    """
    renderer = renderer or PolarsRenderer(context, missing_columns)
    violated = renderer.render(check.violated.node)
    if check.when is None:
        return pl.lit(True), violated.fill_null(False)
    when = renderer.render(check.when.node)
    return when.fill_null(False), (when & violated).fill_null(False)


def check_duckdb(
    check: RuleCheck, context: Context, missing_columns: frozenset[str] = frozenset(), *, table: str = ""
) -> tuple[str, str]:
    """(applicable, violated) of one check as SQL, both TRUE or FALSE, never NULL; violated implies applicable."""
    renderer = DuckDBRenderer(context, missing_columns, table=table)
    violated = renderer.render(check.violated.node)
    if check.when is None:
        return "TRUE", f"coalesce({violated}, FALSE)"
    when = renderer.render(check.when.node)
    return f"coalesce({when}, FALSE)", f"coalesce(({when}) AND ({violated}), FALSE)"
