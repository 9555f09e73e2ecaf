"""What facts about columns tell of an expression is true of every row: nothing is ruled out that happens."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phqc_pipeline.catalogue.expressions import Expression, Outcomes, PlainRenderer, PolarsRenderer, nodes
from phqc_pipeline.catalogue.expressions.nodes import Call, Column, Derived, Node, walk
from phqc_pipeline.checks.facts import TextJudgements, column_facts
from tests.catalogue.language import FORM, parsed
from tests.catalogue.record_strategies import CONTEXT, frame_of, random_frame, rows_of
from tests.catalogue.test_expressions_engines import CORPUS, POOLS, columns_of, judgements

TRUTHS = {True: 1, False: 2, None: 4}
NONE_MISSING: frozenset[str] = frozenset()


def _outcomes(frame: pl.DataFrame, judged: Iterable[Node], missing: frozenset[str] = NONE_MISSING) -> Outcomes:
    facts = column_facts(frame)
    texts = TextJudgements(FORM, CONTEXT, missing, list(judged))
    settled = texts.settled(frame, facts, Outcomes(facts, CONTEXT, missing))
    return Outcomes(facts, CONTEXT, missing, settled)


def _values(frame: pl.DataFrame, parts: Iterable[pl.Expr]) -> list[list[Any]]:
    selected = frame.with_row_index("_row").select(
        "_row", *(part.alias(str(place)) for place, part in enumerate(parts))
    )
    return [column.to_list() for column in selected.iter_columns()][1:]


def _ruled_out(frame: pl.DataFrame, expressions: Iterable[Expression]) -> str | None:
    """The first value or truth of any part of an expression that was ruled out, though some row has it."""
    whole = [one.node for one in expressions]
    parts = [part for node in whole for part in walk(node) if isinstance(part, (Call, Column, Derived))]
    renderer, outcomes = PolarsRenderer(CONTEXT), _outcomes(frame, whole)
    for part, values in zip(parts, _values(frame, map(renderer.render, parts)), strict=True):
        if part.type == "bool":
            truth = outcomes.truth(part)
            wrong = [value for value in values if not truth & TRUTHS[value]]
        else:
            extent = outcomes.extent(part)
            wrong = [value for value in values if not (extent.null if value is None else extent.some)]
            given = [value for value in values if isinstance(value, (float, date))]
            wrong += [value for value in given if extent.low is not None and value < extent.low]
            wrong += [value for value in given if extent.high is not None and value > extent.high]
        if wrong:
            return f"{part}: {wrong[0]!r} is ruled out"
    return None


def _cut_differs(frame: pl.DataFrame, judged: Iterable[Expression]) -> str | None:
    """The first judgement that, cut down, is TRUE on other rows."""
    whole = [one.node for one in judged]
    outcomes = _outcomes(frame, whole)
    plain = frozenset(field.name for field in FORM.fields if outcomes.is_plain(field))
    for node in whole:
        cut = outcomes.cut(node)
        before, after = _values(
            frame,
            [PolarsRenderer(CONTEXT).render(node), PlainRenderer(CONTEXT, NONE_MISSING, plain).render(cut)],
        )
        if [value is True for value in before] != [value is True for value in after]:
            return f"{node} became {cut}"
    return None


CUT_DOWN = [one for one in CORPUS.values() if one.type == "bool"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rows=rows_of(POOLS, columns_of(*CORPUS.values()), most=4))
def test_nothing_that_happens_is_ruled_out(rows: list[dict[str, Any]]) -> None:
    frame = frame_of(FORM, rows)
    assert _ruled_out(frame, CORPUS.values()) is None
    assert _cut_differs(frame, CUT_DOWN) is None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=st.lists(judgements(), min_size=2, max_size=5), data=st.data())
def test_judgements_put_together_at_random(texts: list[str], data: st.DataObject) -> None:
    expressions = [parsed(text) for text in texts]
    columns = columns_of(*expressions)
    frame = frame_of(FORM, data.draw(rows_of({name: POOLS[name] for name in columns}, columns, most=4)))
    assert _ruled_out(frame, expressions) is None
    assert _cut_differs(frame, expressions) is None


def test_on_many_records() -> None:
    frame = random_frame(FORM, POOLS, 3_000, seed=11)
    assert _ruled_out(frame, CORPUS.values()) is None
    assert _cut_differs(frame, CUT_DOWN) is None


@pytest.mark.parametrize(
    ("text", "rows", "cut"),
    [
        ("sbp > 140", [{"sbp": (120.0, None)}, {}], "FALSE"),
        ("sbp > 140 or dbp > 90", [{"sbp": (120.0, None), "dbp": (95.0, None)}, {}], "dbp > 90"),
        ("sbp > 110 and dbp > 90", [{"sbp": (120.0, None), "dbp": (95.0, None)}, {"sbp": (130.0, None)}], "dbp > 90"),
        ("not (sbp <= 140 and dbp <= 90)", [{"sbp": (120.0, None), "dbp": (95.0, None)}, {}], "not (dbp <= 90)"),
        ("unreadable(sbp)", [{"sbp": (120.0, None)}, {}], "FALSE"),
        ("sbp is null", [{"sbp": (120.0, None)}, {"sbp": (300.0, None)}], "FALSE"),
        ("sbp is null", [{}], "TRUE"),
        ("note like '%a%'", [{"note": ("b", None)}, {}], "FALSE"),
        ("'2' in symptom_codes", [{"symptom_codes": (["1", "3"], None)}, {}], "FALSE"),
        ("date(created_at) < visit_date", [{"visit_date": (date(2024, 1, 1), None)}], "FALSE"),
    ],
)
def test_what_is_settled_without_looking_at_rows(text: str, rows: list[dict[str, Any]], cut: str) -> None:
    node = parsed(text).node
    left = _outcomes(frame_of(FORM, rows), [node]).cut(node)
    assert left == {"TRUE": nodes.TRUE, "FALSE": nodes.FALSE}.get(cut, parsed(cut).node if cut.islower() else None)
