"""Facts about the columns of a batch, from which most checks are settled without looking at rows.

Belongs here: what is cheap to know of a whole column (is anything there, the least, the greatest, the few different
texts), what a judgement on one column comes to on each of its values. Does not belong here: what follows for a check
(``catalogue.expressions.outcomes``), which checks there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import polars as pl

from phqc_pipeline.catalogue import Context, Form
from phqc_pipeline.catalogue.expressions import ColumnFacts
from phqc_pipeline.catalogue.expressions.nodes import (
    COUNTING_OPS,
    Call,
    Column,
    Derived,
    Node,
    children,
    columns_touched,
    walk,
)
from phqc_pipeline.catalogue.expressions.outcomes import MAY_BE_FALSE, MAY_BE_NULL, MAY_BE_TRUE, Bound, Outcomes
from phqc_pipeline.catalogue.expressions.render_plain import PlainRenderer

_FEW = 300  # different texts of a column that are still looked at one by one
_SAMPLE = 2_000  # rows looked at before all texts of a column are compared: names and numbers all differ
_FEW_IN_SAMPLE = 150
_TOLD_BY_FACTS = frozenset({"is_null", "unreadable", "delivered"})  # facts say as much as values would


def column_facts(batch: pl.DataFrame) -> dict[str, ColumnFacts]:
    """What is known of every column of the batch."""
    rows, schema = batch.height, batch.schema
    lacking = {column.name: column.null_count() for column in batch.iter_columns()}
    held = {name: kind for name, kind in schema.items() if lacking[name] < rows}
    bounds = _bounds(batch, {name: kind for name, kind in held.items() if kind.is_numeric() or kind.is_temporal()})
    chosen = {name: _chosen(batch[name]) for name, kind in held.items() if kind == pl.List(pl.String)}
    facts = {}
    for name, missing in lacking.items():
        low, high = bounds.get(name, (None, None))
        codes, most = chosen.get(name, (None, None))
        facts[name] = ColumnFacts(missing < rows, missing > 0, low, high, codes, most)
    return facts


def different_texts(batch: pl.DataFrame, names: Collection[str]) -> dict[str, pl.Series]:
    """Of the text columns ``names`` those with few different values: these values (NULL is one of them)."""
    texts = [name for name, kind in batch.schema.items() if name in names and kind == pl.String]
    if not texts or not batch.height:
        return {}
    if batch.height > _SAMPLE:
        sample = batch.select(texts).gather_every(batch.height // _SAMPLE)
        counts = sample.select(pl.all().n_unique()).row(0)
        texts = [name for name, count in zip(texts, counts, strict=True) if count <= _FEW_IN_SAMPLE]
    if not texts:
        return {}
    found = batch.lazy().select(pl.col(name).unique().implode() for name in texts).collect()
    values = {name: found[name][0] for name in texts}
    return {name: series for name, series in values.items() if len(series) <= _FEW}


class TextJudgements:
    """The judgements of a form that a single text column decides, to be settled on its few different values."""

    def __init__(self, form: Form, ctx: Context, missing_columns: frozenset[str], judgements: Sequence[Node]) -> None:
        self._on: dict[str, list[Node]] = {}
        texts = {field.name for field in form.fields if field.kind == "text"}
        for judgement in judgements:
            for name, node in _decided_by_one(judgement) if columns_touched(judgement) & texts else ():
                self._on.setdefault(name, []).append(node)
        self._renderer = PlainRenderer(ctx, missing_columns, frozenset(self._on))
        self._form = form

    def settled(self, batch: pl.DataFrame, facts: Mapping[str, ColumnFacts], known: Outcomes) -> dict[int, int]:
        """``id`` of a judgement → what it comes to on the values of the batch (``Outcomes``)."""
        plain = {name for name in self._on if name in facts and known.is_plain(self._form.field(name))}
        values = different_texts(batch, plain)
        if not values:
            return {}
        longest = max(map(len, values.values()))
        frame = pl.DataFrame({name: _filled_up(series, longest) for name, series in values.items()})
        asked = [node for name in values for node in self._on[name]]
        try:
            flags = frame.select(self._renderer.render(node).alias(str(place)) for place, node in enumerate(asked))
            seen = flags.select(
                *(pl.all().any().name.suffix(" true"), (~pl.all()).any().name.suffix(" false")),
                pl.all().is_null().any().name.suffix(" null"),
            ).row(0)
        except (Exception, pl.exceptions.PanicException):
            return {}  # whoever raises is found when the rows are judged
        true, false, null = (seen[len(asked) * part : len(asked) * (part + 1)] for part in range(3))
        return {
            id(node): MAY_BE_TRUE * true[place] | MAY_BE_FALSE * false[place] | MAY_BE_NULL * null[place]
            for place, node in enumerate(asked)
        }


def _decided_by_one(node: Node) -> Iterator[tuple[str, Node]]:
    """The largest judgements inside ``node`` that depend on one text column alone, with its name."""
    if isinstance(node, Call) and (node.op in COUNTING_OPS or node.op in _TOLD_BY_FACTS):
        return
    if isinstance(node, (Call, Derived)) and node.type == "bool":
        cells = {part.name: part.field for part in walk(node) if isinstance(part, Column)}
        if len(cells) == 1:
            ((name, field),) = cells.items()
            # Comparing codes costs less than knowing which codes there are.
            if field.kind == "text" and not field.dated_codes:
                yield name, node
            return
    for child in children(node):
        yield from _decided_by_one(child)


def _filled_up(values: pl.Series, rows: int) -> pl.Series:
    """The values and, as often as it takes, the first of them once more."""
    return values if len(values) == rows else values.extend_constant(values[0], rows - len(values))


def _bounds(batch: pl.DataFrame, kinds: Mapping[str, pl.DataType]) -> dict[str, tuple[Bound, Bound]]:
    """The least and the greatest of every column; not told of one that holds NaN or what Python cannot hold."""
    if not kinds:
        return {}
    found = batch.lazy().select(
        *(pl.col(name).min().alias(f"{name}<") for name in kinds),
        *(pl.col(name).max().alias(f"{name}>") for name in kinds),
        *(pl.col(name).sum().is_finite().alias(f"{name}+") for name, kind in kinds.items() if kind.is_float()),
    )
    try:
        row = found.collect().row(0, named=True)
    except (ValueError, OverflowError):
        return {}
    return {name: (row[f"{name}<"], row[f"{name}>"]) for name in kinds if row.get(f"{name}+", True)}


def _chosen(cells: pl.Series) -> tuple[frozenset[str], int]:
    """Every code in a multi-choice column, and the number of codes in its fullest cell."""
    codes = cells.explode().drop_nulls().unique()
    return frozenset(codes), int(cells.list.len().max() or 0)  # type: ignore[arg-type]
