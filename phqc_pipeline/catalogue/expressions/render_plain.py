"""A typed tree as a Polars expression for rows of which something is known, or computed already.

Belongs here: what falls away when nothing in a column is irregular, and what stands in a column of its own.
Does not belong here: who knows that (``outcomes``), who computes it (``checks.evaluation``).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from phqc_pipeline.catalogue.expressions.nodes import Call, Column, Derived, Node
from phqc_pipeline.catalogue.expressions.render_polars import PolarsRenderer
from phqc_pipeline.catalogue.model import Context

#: Operations that Polars has no function for: a dozen steps each, and a ``when … then`` among them.
WRITTEN_OUT = frozenset({"id_checksum_ok", "id_birth_date", "id_sex_code", "list_attr", "growth_z"})


class PlainRenderer(PolarsRenderer):
    """``plain`` names the fields of which every cell is empty or usable as it was delivered (``Outcomes.is_plain``).
    ``computed``: derived names, and operations ``WRITTEN_OUT``, whose value stands in a column of that name, which the
    caller adds to the frame.
    """

    def __init__(
        self,
        context: Context,
        missing_columns: frozenset[str],
        plain: frozenset[str],
        computed: Mapping[Node, str] | None = None,
    ) -> None:
        super().__init__(context, missing_columns)
        self.plain = plain
        self.computed = computed or {}

    def _rendered(self, node: Node) -> pl.Expr:
        if (isinstance(node, Derived) or getattr(node, "op", None) in WRITTEN_OUT) and node in self.computed:
            return pl.col(self.computed[node])
        if self._is_plain(node):
            return pl.col(node.name)  # type: ignore[union-attr]
        if isinstance(node, Call) and node.args and self._is_plain(node.args[0]):
            cell = node.args[0]
            assert isinstance(cell, Column)
            if node.op == "is_null":
                return pl.col(cell.name).is_null()
            if node.op == "unreadable":
                return pl.lit(False)
            if node.op == "raw":
                return pl.col(cell.name) if cell.field.kind == "text" else pl.lit(None, pl.String)
        return super()._rendered(node)

    def _any_hidden(self, node: Node) -> pl.Expr | None:
        return None if self._is_plain(node) else super()._any_hidden(node)

    def _is_true(self, node: Node) -> pl.Expr | bool:
        if isinstance(node, Call) and node.op == "is_null" and self._is_plain(node.args[0]):
            return self.render(node)
        return super()._is_true(node)

    def _is_plain(self, node: Node) -> bool:
        return isinstance(node, Column) and node.name in self.plain
