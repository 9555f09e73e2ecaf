"""When a cross rule cannot be asked: a form not received, a column missing, a model that failed, a delivery held back;
and a catalogue that knows nothing of our forms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.checks import NOT_RECEIVED
from phqc_pipeline.home import DBT_PROJECT_DIR, Home
from phqc_pipeline.warehouse import publish, run_cross, stage
from phqc_pipeline.warehouse.cross import Obstacles, _instances
from phqc_pipeline.warehouse.dbt_runner import NodeResult

from .conftest import HERE, INSTITUTIONS, THERE, Small, small_deliveries


@dataclass(frozen=True)
class Held:
    institution_code: str
    form_id: str


def reasons(
    cat: Catalogue, deliveries: list, rule_id: str, institution: str, any_suffices: tuple[str, ...] = ()
) -> set:
    """The obstacles of a rule on all forms it reports on."""
    obstacles = Obstacles(cat, deliveries, {model: {"reads": "any"} for model in any_suffices})
    small = Small(Home(Path("unused")), cat, deliveries)
    asked = [one for one in _instances(cat, small.ctx, cat.schemes["default"]) if one.rule.rule_id == rule_id]
    return {obstacles.reason(one, institution) for one in asked}


def test_a_form_not_received_is_no_pass(catalogue: Catalogue, tmp_path: Path) -> None:
    deliveries = small_deliveries(Home(tmp_path), catalogue)
    assert reasons(catalogue, deliveries, "HTN-T-001", HERE) == {None}
    assert reasons(catalogue, deliveries, "HTN-T-001", THERE) == {NOT_RECEIVED}
    assert reasons(catalogue, deliveries, "HTN-X-007", HERE) == {f"{NOT_RECEIVED}：2型糖尿病患者随访服务记录表"}
    # forms that are only looked through: one of them is enough
    looked_through = ("cross_form_identity", "service_after_end")
    assert reasons(catalogue, deliveries, "XFM-X-001", HERE, looked_through) == {None}
    (told,) = reasons(catalogue, deliveries, "XFM-X-019", THERE, looked_through)
    assert told is not None
    assert told.startswith(NOT_RECEIVED)


def test_a_required_column_missing_is_named_and_an_optional_one_is_empty(catalogue: Catalogue, tmp_path: Path) -> None:
    deliveries = small_deliveries(Home(tmp_path), catalogue)
    visits = next(one for one in deliveries if one.form_id == "htn_followup")
    others = [one for one in deliveries if one is not visits]
    without_mode = replace(visits, missing_columns=frozenset({"visit_mode_code"}))
    assert reasons(catalogue, [*others, without_mode], "HTN-T-001", HERE) == {
        "缺少列：随访方式（htn_followup.visit_mode_code）"
    }
    without_drugs = replace(visits, missing_columns=frozenset({"drug2_name", "updated_at", "record_status"}))
    assert reasons(catalogue, [*others, without_drugs], "HTN-T-001", HERE) == {None}
    report = next(one for one in deliveries if one.form_id == "r_archive")
    short = replace(report, missing_columns=frozenset({"ehr_archive"}))
    rest = [one for one in deliveries if one is not report]
    assert reasons(catalogue, [*rest, short], "RPT-R-030", HERE) == {
        "缺少列：已建立健康档案人数（r_archive.ehr_archive）"
    }
    assert reasons(catalogue, [*rest, short], "RPT-R-002", HERE) == {None}


def test_a_model_that_fails_is_its_rules_error_and_nobody_elses(catalogue: Catalogue, tmp_path: Path) -> None:
    carried = {rule.rule_id for rule in catalogue.rules if rule.model == "visit_gap"}
    home, out = Home(tmp_path), tmp_path / "out"
    small = Small(home, catalogue, small_deliveries(home, catalogue), rules=(*sorted(carried), "HTN-T-001"))
    stage(home, catalogue, small.deliveries, small.ctx, scheme=small.scheme, institutions=INSTITUTIONS)
    model = home.dbt_work / "models" / "cross" / "visit_gap.sql"
    model.write_text(
        model.read_text(encoding="utf-8") + "\n union all by name select 1 // 'x' as rule_id\n", encoding="utf-8"
    )
    judged, _ = run_cross(home, catalogue, small.deliveries, small.ctx, out, scheme=small.scheme)
    results = pl.read_parquet(out / "results.parquet")
    failed = results.filter(pl.col("status") == "error")
    assert set(failed["rule_id"]) == carried > {"HTN-T-003"}
    assert len(judged.errors) == len(carried)
    assert "visit_gap" in failed["reason"][0]
    assert set(results.filter(pl.col("rule_id") == "HTN-T-001", pl.col("institution_code") == HERE)["status"]) == {
        "fail"
    }


def test_what_reads_a_delivery_held_back_changes_nothing(catalogue: Catalogue, tmp_path: Path) -> None:
    """The last snapshot stays in force and is judged, but says nothing about today."""
    home = Home(tmp_path)
    rules = ("HTN-L-001", "HTN-T-001", "UNI-U-001")
    given = Small(home, catalogue, small_deliveries(home, catalogue), rules=rules)
    night = given.judge(held_back=[Held(HERE, "htn_followup")])
    results = pl.read_parquet(night / "results.parquet").filter(pl.col("institution_code") == HERE)
    judged = {
        (row["rule_id"], row["form_id"]): row["judged"]
        for row in results.iter_rows(named=True)
        if row["status"] == "fail"
    }
    assert judged["HTN-L-001", "htn_followup"] is False
    assert judged["HTN-T-001", "chronic_registry"] is False  # reads the follow-ups
    assert judged["UNI-U-001", "resident_profile"] is True
    assert pl.read_parquet(night / "findings.parquet").filter(pl.col("rule_id") == "HTN-L-001").height == 2
    given.build()
    publish(home)


def test_a_home_without_any_delivery_still_builds(catalogue: Catalogue, tmp_path: Path) -> None:
    home = Home(tmp_path)
    scheme = catalogue.schemes["default"]
    given = Small(home, catalogue, [])
    manifest = stage(home, catalogue, [], given.ctx, scheme=scheme)
    judged, run = run_cross(home, catalogue, [], given.ctx, tmp_path / "out", scheme=scheme, manifest=manifest)
    assert run.failed() == []
    assert (judged.findings, judged.results, judged.errors) == (0, 0, ())


@pytest.mark.parametrize(
    "path", sorted((DBT_PROJECT_DIR / "models" / "cross").glob("*.sql")), ids=lambda path: path.stem
)
def test_no_threshold_stands_in_a_cross_model(path: Path) -> None:
    """Numbers of rules come from the catalogue (``rule.params``); what is left are ones and noughts."""
    import re

    text = re.sub(r"--.*|\{#.*?#\}|'[^']*'", "", path.read_text(encoding="utf-8"), flags=re.S)
    assert set(re.findall(r"(?<![\w.])\d+(?![\w.])", text)) <= {"0", "1"}


def test_an_engines_message_is_told_without_the_values_it_quotes() -> None:
    message = (
        "Runtime Error in model visit_gap (models/cross/visit_gap.sql)\n"
        "  Conversion Error: Could not convert string '赵某某' to INT32 near 110105194912310021\n  LINE 1: select"
    )
    node = NodeResult("model.phqc.visit_gap", "visit_gap", "model", "error", message, None, 0.1)
    assert node.problem == "Conversion Error: Could not convert string … to INT32 near …"
