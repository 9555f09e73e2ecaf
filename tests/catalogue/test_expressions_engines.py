"""Polars and DuckDB compute the same, on generated records that sit on the expressions' own edges."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phqc_pipeline.catalogue.expressions import FUNCTIONS, render_chinese, render_duckdb, render_polars
from phqc_pipeline.catalogue.expressions.nodes import Call, walk
from tests.catalogue.language import FORM, WORDS, parsed
from tests.catalogue.record_strategies import cell_pools, engines_differ, frame_of, random_frame, rows_of
from tests.catalogue.test_expressions_meaning import TABLES

MORE = [
    "age_at(visit_date) >= 65 or age_months_at(next_visit_date) < 6",
    "id_checksum_ok(id_card_no)",
    "id_birth_date(id_card_no) <> birth_date",
    "id_sex_code(id_card_no) <> sex_code",
    "id_birth_date(note) is null",
    "yyyymmdd(birth_date) <> substr(id_card_no, 7, 8)",
    "weight_kg / 3 * 3 = weight_kg",
    "weight_kg - height_cm / 7 > pulse * 0.1",
    "visit_date - interval 13 month < birth_date + interval 6 year",
    "onset_month <= created_at",
    "coalesce(vision, sbp / dbp, round(weight_kg, 1)) is not null",
    "greatest(birth_date, created_at, next_visit_date) > least(visit_date, today)",
    "regexp(note, '^[1-9A-Z]|[0-9]{3}')",
    "length(trim(note)) <> length(note)",
    "drug_name < note",
    "vaccine_code in ('A', 'B') and vaccine_codes is not null",
    "created_at + interval 90 minute > next_visit_date",
    "growth_z('weight_kg', weight_kg, sex_code, birth_date, visit_date) between -3 and 3",
    "growth_z('length_height_cm', height_cm, sex_code, birth_date, next_visit_date) > 2",
]
CORPUS = {f"e{place}": parsed(text) for place, text in enumerate(dict.fromkeys([*(row[0] for row in TABLES), *MORE]))}
POOLS = cell_pools(FORM, WORDS, CORPUS.values())
# Judgements to be put together at random, short enough to read in a report.
ATOMS = [
    "sbp >= 140",
    "dbp is null",
    "pulse in (60, 200)",
    "class_code = '1'",
    "class_code not in ('1', '2')",
    "'2' in symptom_codes",
    "symptom_codes = ['1']",
    "vision is not null",
    "age < 65",
    "visit_date > created_at",
    "note like '%a%'",
    "coalesce(sbp, dbp) is null",
    "weight_kg / height_cm > 0.4",
    "sbp - dbp between 20 and 100",
]


def judgements() -> st.SearchStrategy[str]:
    def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.builds("not {}".format, inner.map("({})".format)),
            st.builds("{} and {}".format, inner, inner),
            st.builds("({} or {})".format, inner, inner),
            st.builds("(({}) = ({}))".format, inner, inner),
            st.builds("case when {} then {} else {} end".format, inner, inner, inner).map("({})".format),
            st.builds("count_true({}, {}) > 1".format, inner, inner),
        )

    return st.recursive(st.sampled_from(ATOMS), grown, max_leaves=8)


def columns_of(*expressions: Any) -> frozenset[str]:
    return frozenset().union(*(expression.touches for expression in expressions))


def test_the_corpus_covers_the_language() -> None:
    used = {node.op for one in CORPUS.values() for node in walk(one.node) if isinstance(node, Call)}
    assert render_polars.OPERATIONS - used == set()
    assert render_duckdb.OPERATIONS == render_polars.OPERATIONS
    assert render_polars.OPERATIONS - render_chinese.OPERATIONS - {"delivered"} == set()
    assert FUNCTIONS  # that each function is in the corpus is tested beside the tables


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rows=rows_of(POOLS, columns_of(*CORPUS.values()), most=20))
def test_every_operation_in_both_engines(rows: list[dict[str, Any]]) -> None:
    assert engines_differ(frame_of(FORM, rows), CORPUS) is None


def test_every_operation_on_many_records() -> None:
    assert engines_differ(random_frame(FORM, POOLS, 5_000, seed=20241231), CORPUS) is None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=st.lists(judgements(), min_size=3, max_size=6), data=st.data())
def test_judgements_put_together_at_random(texts: list[str], data: st.DataObject) -> None:
    expressions = {f"j{place}": parsed(text) for place, text in enumerate(texts)}
    columns = columns_of(*expressions.values())
    rows = data.draw(rows_of({name: POOLS[name] for name in columns}, columns))
    assert engines_differ(frame_of(FORM, rows), expressions) is None
