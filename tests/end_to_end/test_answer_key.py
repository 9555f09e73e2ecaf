"""The answer key of injected faults is found whole, and nothing else (issue: recall and precision 1.0)."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from phqc_pipeline.sample.faults.unshown import UNSHOWN
from tests.sample.conftest import CATALOGUE

#: Tests with a stated rate of false ones: what they say of a doctor depends on all others, so no key can tell it.
STATISTICAL = {rule.rule_id for rule in CATALOGUE.rules if rule.statistical}
KEY = ("institution_code", "rule_id", "form_id", "subject_kind", "subject_id", "field")


def answer_key(home: Path) -> Counter[tuple[str, ...]]:
    with (home / "sample" / "answer_key.csv").open(encoding="utf-8-sig", newline="") as file:
        return Counter(tuple(row[name] or "" for name in KEY) for row in csv.DictReader(file))


def found(connection: duckdb.DuckDBPyConnection) -> Counter[tuple[str, ...]]:
    rows = connection.execute(
        "SELECT institution_code, rule_id, form_id, subject_kind, subject_id, coalesce(field, '') FROM qc.finding"
    ).fetchall()
    return Counter(tuple(row) for row in rows)


def doubtful(one: tuple[str, ...]) -> bool:
    """Whether it may be a false one: of a rule that states how many of these there are."""
    return one[1] in STATISTICAL


def compare(home: Path, connection: duckdb.DuckDBPyConnection) -> None:
    expected, actual = answer_key(home), found(connection)
    assert expected, "the answer key is empty"
    missed, invented = expected - actual, Counter(one for one in actual - expected if not doubtful(one))
    assert not missed, f"{missed.total()} of {expected.total()} injected faults not found, e.g. {list(missed)[:10]}"
    assert not invented, f"{invented.total()} findings nobody injected, e.g. {list(invented)[:10]}"


def test_small_sample(small_home: Path, small: duckdb.DuckDBPyConnection) -> None:
    compare(small_home, small)


def test_founding_institution(founding_home: Path, founding: duckdb.DuckDBPyConnection) -> None:
    compare(founding_home, founding)


@pytest.mark.parametrize("home_name", ["founding_home"])
def test_every_rule_of_the_catalogue_is_injected(home_name: str, request: pytest.FixtureRequest) -> None:
    """A rule that no fault stands for is a rule whose finding nobody has ever seen."""
    home: Path = request.getfixturevalue(home_name)
    injected = {rule for _, rule, *_ in answer_key(home)}
    with duckdb.connect(str(home / "published" / "phqc.duckdb"), read_only=True) as connection:
        rules = {rule for (rule,) in connection.execute("SELECT DISTINCT rule_id FROM qc.rule").fetchall()}
    assert rules - injected == UNSHOWN.keys() & rules
