"""What a run holds: the catalogue its plan judges by."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from dagster import DagsterRun, Failure, build_init_resource_context

from phqc_pipeline.catalogue import load_catalogue
from phqc_pipeline.orchestration.session_resource import name_partition, session_with
from tests.catalogue.small_catalogue import Small

PROFILE = """\
profile_id: county
title: 甲县
level: county
basis: 甲县办法
verified: false
params: {VIS-L-001: {least: 18}, VIS-U-001: {most: 2}}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    registry = tmp_path / "home" / "registry"
    registry.mkdir(parents=True)
    header = "institution_code,institution_name,level,parent_code,region_code"
    (registry / "institution.csv").write_text(f"{header}\n654301101000,甲院,乡镇,,654301101\n", encoding="utf-8")
    monkeypatch.setenv("PHQC_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    small = Small(tmp_path / "rules").write("profiles/county.yaml", PROFILE)
    small.write(
        "schemes/local.yaml", "scheme_id: local\ntitle: 本县\ndeductions: {严重: 10, 一般: 3, 提示: 0}\npass: 无严重\n"
    )
    small.append("schemes/local.yaml", "profile: county\n")
    small.write("plans/local.yaml", 'plan_id: local\nscheme: local\nschedule: "0 3 * * *"\n')
    return small.directory


@pytest.mark.parametrize(("plan", "least", "most"), [("nightly", 0, 1), ("local", 18, 2)])
def test_a_run_judges_by_the_profile_of_its_plan(home: Path, rules: Path, plan: str, least: int, most: int) -> None:
    cat = load_catalogue(rules)
    resource = session_with(cat).model_copy(update={"plan": plan})
    with resource.yield_for_execution(build_init_resource_context()) as held:
        params = {rule.rule_id: rule.params for rule in held.session.cat.rules}
        assert (params["VIS-L-001"]["least"], params["VIS-U-001"]["most"]) == (least, most)
        assert (held.session.cat.fingerprint == cat.fingerprint) is (plan == "nightly")


def test_a_plan_that_is_not_there_is_named(home: Path, rules: Path) -> None:
    resource = session_with(load_catalogue(rules)).model_copy(update={"plan": "weekly"})
    with (
        pytest.raises(Failure, match="没有质控计划 weekly，现有：local、nightly"),
        resource.yield_for_execution(build_init_resource_context()),
    ):
        pass


def test_a_launchpads_dates_stand_for_the_partition(home: Path, rules: Path) -> None:
    """Whoever writes dates need not choose a partition as well; Dagster wants one for partitioned assets."""
    run = DagsterRun(job_name="nightly", tags={})
    with pytest.raises(Failure, match="没有写数据日期"):
        name_partition(run, ())
    name_partition(run, (date(2024, 12, 30), date(2024, 12, 31)))
    name_partition(run, ())  # it has one now
    assert run.tags == {"dagster/partition": "2024-12-31"}


def test_an_institution_nobody_knows_is_refused(home: Path, rules: Path) -> None:
    update = {"institutions": ["654301101000", "999"], "dates": ["2024-12-31"]}
    resource = session_with(load_catalogue(rules)).model_copy(update=update)
    with (
        pytest.raises(Failure, match="没有机构 999"),
        resource.yield_for_execution(build_init_resource_context()),
    ):
        pass
