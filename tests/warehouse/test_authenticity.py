"""Authenticity: what takes many records. An honest institution and one that makes its work up, judged by one run of
dbt; the probabilities against scipy; archives of one person against twins."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import duckdb
import jinja2
import numpy as np
import polars as pl
import pytest
from scipy import stats

from phqc_pipeline.catalogue import Catalogue, Context
from phqc_pipeline.home import DBT_PROJECT_DIR, DEFAULT_RULES, Home
from phqc_pipeline.warehouse import run_cross, stage
from phqc_pipeline.warehouse.linkage import ARCHIVE, link_archives, read_model

from .fabricated import fabricated_visits, honest_visits, one_batch
from .small_lake import deliver

HONEST, MADE_UP = "654301001", "654301002"
TODAY = date(2024, 12, 31)
SIZE = 55


def _columns(cat: Catalogue, form_id: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    form = cat.forms[form_id]
    return [{name: value for name, value in row.items() if form.has(name)} for row in rows]


def _younger(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "birth_date": date(1970, 1, 1)} for row in rows]


def _others(institution: str, made_up: bool, random: np.random.Generator) -> dict[str, list[dict[str, Any]]]:
    """Profiles, registrations, examinations, assessments and TB visits beside the hypertension visits."""
    people = [f"{institution}001{n:05d}" for n in range(520)]
    born = [date(1930, 1, 1) if n < SIZE else date(1980, 1, 1) for n in range(520)]
    return {
        "resident_profile": [
            {"record_id": f"P{no}", "archive_no": no, "birth_date": day, "archive_date": "2010-03-01"}
            for no, day in zip(people, born, strict=True)
        ],
        "chronic_registry": [
            {"record_id": f"C{no}{disease}", "archive_no": no, "disease": disease, "diagnosis_date": "2024-03-31"}
            for no in people[: 20 if made_up else 130]
            for disease in ("HTN", "T2DM")[: 1 if no > people[60] else 2]
        ],
        "health_exam": [
            {
                "record_id": f"E{no}",
                "archive_no": no,
                "exam_date": date(2024, 5, 6) + timedelta(days=n % 20),
                "birth_date": "1980-01-01",
                "bmi": 22.0 if made_up else round(float(np.clip(random.normal(24.6, 3.4), 14, 45)), 1),
                "lips_code": "1" if made_up or n % 20 else "2",
            }
            for n, no in enumerate(people[:210])
        ],
        "elderly_self_care": [
            {
                "record_id": f"S{no}",
                "archive_no": no,
                "assess_date": "2024-05-06",
                "birth_date": "1930-01-01",
                "grade_code": "1" if made_up or n % 3 else "2",
            }
            for n, no in enumerate(people[:30])
        ],
        "tb_followup": [
            {
                "record_id": f"T{n}",
                "archive_no": people[n],
                "visit_date": date(2024, 1, 8) + timedelta(days=n),
                "doctor_name": "赵医生",
                "handle_opinion": "继续服药" if made_up else f"继续服药，第 {n % 9} 月复查",
            }
            for n in range(SIZE)
        ],
    }


@pytest.fixture(scope="module")
def findings(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """The findings of every authenticity rule on both institutions."""
    home = Home(tmp_path_factory.mktemp("authenticity"))
    random = np.random.default_rng(20241231)
    deliveries = []
    for institution, made_up in ((HONEST, False), (MADE_UP, True)):
        forms = _others(institution, made_up, random)
        rows = list(honest_visits("李医生", 3 * SIZE, random))
        if made_up:
            rows = [
                *one_batch("王医生", SIZE),
                *_younger(fabricated_visits("孙医生", SIZE, random, "rounds to ten", first=100)),
                *_younger(fabricated_visits("周医生", 2 * SIZE, random, "half and whole glucose", first=200)),
            ]
        rows = [{**row, "archive_no": institution + row["archive_no"][9:]} for row in rows]
        forms |= {"htn_followup": rows, "t2dm_followup": rows, "copd_followup": [], "smi_followup": []}
        forms["tb_first_visit"] = []
        if made_up:
            forms["copd_followup"] = [row for row in rows if row["doctor_name"] == "王医生"]
        for form_id, given in forms.items():
            told = _columns(catalogue, form_id, given)
            deliveries.append(deliver(home, catalogue, form_id, institution, told, day=TODAY))
    rules = tuple(sorted(rule.rule_id for rule in catalogue.rules if rule.rule_id.startswith("AUT-A")))
    scheme = replace(catalogue.schemes["default"], rules=rules)
    answers = [
        {
            "institution_code": institution,
            "form_id": "htn_followup",
            "record_id": f"{'王' if institution == MADE_UP else '李'}医生{n:06d}",
            "archive_no": f"{institution}001{n:05d}",
            "doctor_name": "王医生" if institution == MADE_UP else "李医生",
            "method": "电话",
            "verified_on": TODAY,
            "outcome": ("空号停机" if n < 6 else "不相符") if institution == MADE_UP else "相符",
            "sbp": 155.0 if institution == MADE_UP else None,
            "dbp": 95.0 if institution == MADE_UP else None,
            "conclusion": None,
        }
        for institution in (HONEST, MADE_UP)
        for n in range(12)
    ]
    ctx = Context.natural_year(TODAY)
    manifest = stage(home, catalogue, deliveries, ctx, scheme=scheme, verifications=pl.DataFrame(answers))
    judged, run = run_cross(home, catalogue, deliveries, ctx, home.root / "out", scheme=scheme, manifest=manifest)
    assert not judged.errors
    assert not run.failed()
    return pl.read_parquet(home.root / "out" / "findings.parquet")


def test_an_honest_institution_is_left_alone(findings: pl.DataFrame) -> None:
    assert findings.filter(pl.col("institution_code") == HONEST).to_dicts() == []


@pytest.mark.parametrize(
    ("rule_id", "form_id", "subject"),
    [
        ("AUT-A-001", "htn_followup", "王医生"),
        ("AUT-A-001", "htn_followup", "孙医生"),
        ("AUT-A-002", "htn_followup", "孙医生"),
        ("AUT-A-004", "t2dm_followup", "周医生"),
        ("AUT-A-005", "t2dm_followup", "周医生"),
        ("AUT-A-009", "htn_followup", "王医生"),
        ("AUT-A-010", "htn_followup", "王医生"),
        ("AUT-A-013", "copd_followup", MADE_UP),
        ("AUT-A-014", "htn_followup", MADE_UP),
        ("AUT-A-015", "copd_followup", MADE_UP),
        ("AUT-A-017", "htn_followup", MADE_UP),
        ("AUT-A-019", "htn_followup", "王医生"),
        ("AUT-A-020", "tb_followup", "赵医生"),
        ("AUT-A-023", "htn_followup", "王医生"),
        ("AUT-A-024", "health_exam", MADE_UP),
        ("AUT-A-025", "health_exam", MADE_UP),
        ("AUT-A-026", "resident_profile", MADE_UP),
        ("AUT-A-027", "htn_followup", MADE_UP),
        ("AUT-A-029", "chronic_registry", MADE_UP),
        ("AUT-A-031", "resident_profile", MADE_UP),
        ("AUT-A-033", "htn_followup", "王医生"),
        ("AUT-A-034", "htn_followup", MADE_UP),
    ],
)
def test_what_is_made_up_is_found(findings: pl.DataFrame, rule_id: str, form_id: str, subject: str) -> None:
    found = findings.filter((pl.col("rule_id") == rule_id) & (pl.col("form_id") == form_id))
    assert subject in found["subject_id"].to_list()
    told = found.filter(pl.col("subject_id") == subject)
    assert told["institution_code"].to_list() == [MADE_UP]
    assert re.search(r"\d", told["observed"][0]), "evidence in figures"


def _sql(text: str, **given: Any) -> float:
    """The value of an expression of macros/statistics.sql."""
    source = (DBT_PROJECT_DIR / "macros" / "statistics.sql").read_text(encoding="utf-8")
    row = duckdb.sql("SELECT " + jinja2.Environment().from_string(source + text).render(**given)).fetchone()
    assert row is not None
    return float(row[0])


def test_probabilities_are_scipys() -> None:
    for x in (0.5, 9.0, 27.9, 150.0):
        assert _sql("{{ chi_square_tail(x ~ '::double', 9) }}", x=x) == pytest.approx(stats.chi2.sf(x, 9), rel=1e-6)
        assert _sql("{{ chi_square_tail(x ~ '::double', 4) }}", x=x) == pytest.approx(stats.chi2.sf(x, 4), rel=1e-6)
    for z in (-2.0, 0.0, 1.5, 6.0):
        assert _sql("{{ normal_tail('(' ~ z ~ ')') }}", z=z) == pytest.approx(stats.norm.sf(z), rel=1e-6)
    assert _sql("{{ kolmogorov_tail('0.1', '400') }}") == pytest.approx(stats.kstwo.sf(0.1, 400), rel=0.05)


def test_one_person_and_two_twins() -> None:
    rows = [
        ("H1", "A1", "王小明", "19610304", "1", "65430119610304001X", True, "13811112222", "红墩"),
        ("H2", "A2", "王晓明", "19610304", "1", "654301610304001", False, "13899992222", "红墩"),
        ("H1", "B1", "张伟", "20150304", "1", "654301201503040014", True, "13811113333", "红墩"),
        ("H1", "B2", "张伦", "20150304", "1", "654301201503040030", True, "13811113333", "红墩"),
        ("H1", "C1", "李强", "19700101", "1", None, False, None, "绿洲"),
    ]
    with duckdb.connect() as connection:
        given = pl.DataFrame(rows, schema=list(ARCHIVE), orient="row")
        connection.register("given", given.to_arrow())
        connection.execute("CREATE TABLE archive AS FROM given")
        links = link_archives(connection, read_model(DEFAULT_RULES))
        connection.execute("CREATE OR REPLACE TABLE archive AS SELECT * FROM given ORDER BY archive_no DESC")
        assert link_archives(connection, read_model(DEFAULT_RULES)).equals(links)
    assert links.select("archive_a", "archive_b").rows() == [("A1", "A2")]
    assert links["probability"][0] > 0.95
    assert links["group_id"][0]
