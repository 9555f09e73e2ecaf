"""Every scenario of tests/scenarios: exactly the findings it expects of the rules it names, and none beside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import jinja2
import polars as pl
import pytest

from phqc_pipeline.catalogue import Catalogue, load_catalogue
from phqc_pipeline.home import DBT_PROJECT_DIR, DEFAULT_RULES, Home

from .scenarios import FOLDER, Judged, Scenario, expected_of, judge, read_judged, read_scenarios


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scenario" in metafunc.fixturenames:
        found = read_scenarios(metafunc.config.getoption("--scenarios"))
        metafunc.parametrize("scenario", found, ids=[f"{one.file}:{one.name}" for one in found])


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(DEFAULT_RULES)


@pytest.fixture(scope="module")
def judged(
    catalogue: Catalogue, made_once: Callable[[str, Callable[[Path], None]], Path], request: pytest.FixtureRequest
) -> dict[date, Judged]:
    """One run a snapshot date, of all scenarios there are, made once for all workers."""
    found = read_scenarios(request.config.getoption("--scenarios"))

    def make(folder: Path) -> None:
        for today in sorted({one.today for one in found}):
            home = Home(folder / today.isoformat())
            judge(home, catalogue, [one for one in found if one.today == today])

    folder = made_once("scenarios", make)
    return {today: read_judged(Home(folder / today.isoformat())) for today in {one.today for one in found}}


def test_the_scenario_finds_what_it_expects(judged: dict[date, Judged], scenario: Scenario) -> None:
    run = judged[scenario.today]
    own = pl.col("institution_code").is_in([scenario.here, scenario.there])
    rows = run.findings.filter(own & pl.col("rule_id").is_in(scenario.rules)).to_dicts()
    found = {(row["rule_id"], row["subject_id"], row["institution_code"]): row for row in rows}
    wanted = expected_of(scenario)
    assert set(found) == set(wanted)
    assert len(rows) == len(found), "one finding a rule and subject"
    for key, entry in wanted.items():
        for name, column in (
            ("observed", "observed"),
            ("expected", "expected"),
            ("field", "field"),
            ("period", "period"),
            ("form", "form_id"),
        ):
            if name in entry:
                assert found[key][column] == str(entry[name]), (key, column)
    results = run.results.filter(pl.col("institution_code") == scenario.here)
    for rule_id, status in (scenario.entry.get("status") or {}).items():
        assert set(results.filter(pl.col("rule_id") == rule_id)["status"]) == {status}, rule_id


def test_a_finding_points_at_a_record_of_its_form_and_institution(judged: dict[date, Judged]) -> None:
    for run in judged.values():
        told = run.findings.drop_nulls("record_id")
        keys = ["form_id", "institution_code", "record_id"]
        assert told.join(run.records, on=keys, how="anti").select("rule_id", *keys).rows() == []


def test_no_model_fails(judged: dict[date, Judged]) -> None:
    for run in judged.values():
        assert run.problems == []


def test_every_scenario_file_is_read() -> None:
    assert {one.file for one in read_scenarios()} == {Path(path).stem for path in FOLDER.glob("*.yaml")}


@pytest.mark.parametrize(
    ("subject_kind", "days"),
    [("record", ["2024-09-01", "2024-12-31"]), ("person", ["2010-03-01", "2024-09-01", "2024-12-31"])],
)
def test_only_rules_on_records_ask_the_service_date(subject_kind: str, days: list[str]) -> None:
    """0a.16: a version of a rule on people is in force or not at the period's end, and judges all their records."""
    source = (DBT_PROJECT_DIR / "macros" / "rules.sql").read_text(encoding="utf-8")
    project = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=False)  # SQL, not pages
    project.globals |= {"plan_records_from": lambda: None, "today": lambda: "DATE '2024-12-31'"}
    rule = {"subject_kind": subject_kind, "valid_from": "2024-09-01", "valid_to": None}
    condition = project.from_string(source + "{{ in_force(rule, 'day') }}").render(rule=rule)
    told = duckdb.sql(
        "SELECT day FROM (VALUES (DATE '2010-03-01'), ('2024-09-01'), ('2024-12-31')) AS t (day) WHERE " + condition
    )
    assert [str(day) for (day,) in told.fetchall()] == days
