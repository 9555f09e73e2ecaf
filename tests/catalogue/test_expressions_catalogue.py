"""Every rule of the catalogue means the same in Polars and in DuckDB, on generated records of its form."""

from __future__ import annotations

from functools import lru_cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phqc_pipeline.catalogue import Catalogue, load_catalogue
from phqc_pipeline.catalogue.expressions import Expression
from phqc_pipeline.home import DEFAULT_RULES
from tests.catalogue.record_strategies import CONTEXT, cell_pools, engines_differ, random_frame

FORM_IDS = sorted(path.stem for path in (DEFAULT_RULES / "forms").glob("[a-z]*.yaml"))


@lru_cache(maxsize=1)
def real_catalogue() -> Catalogue:
    return load_catalogue(DEFAULT_RULES)


def expressions_of(form_id: str) -> dict[str, Expression]:
    """Premises, judgements and suggestions of every check of the form, by rule, field and part."""
    found: dict[str, Expression] = {}
    for check in real_catalogue().checks(form_id):
        for part in ("when", "violated", "suggestion"):
            expression = getattr(check, part)
            if expression is not None:
                found[f"{check.rule.rule_id} v{check.rule.version} {check.field} {part}"] = expression
    return found


@pytest.mark.parametrize("form_id", FORM_IDS)
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1))
def test_every_rule_in_both_engines(form_id: str, seed: int) -> None:
    expressions = expressions_of(form_id)
    assert expressions
    form = real_catalogue().form(form_id)
    frame = random_frame(form, cell_pools(form, real_catalogue(), expressions.values()), 400, seed)
    assert engines_differ(frame, expressions, CONTEXT, frozenset({form.own_fields[-1].name})) is None
