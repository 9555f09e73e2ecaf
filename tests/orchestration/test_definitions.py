"""What an operator sees: groups in the order of the stages, few thick checks, and a graph without loose ends."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from dagster import AssetKey, AssetSpec, Definitions

from phqc_pipeline.catalogue import load_catalogue
from phqc_pipeline.home import DEFAULT_RULES, Home
from phqc_pipeline.orchestration.dbt_models import DbtModels
from phqc_pipeline.orchestration.jobs import build_definitions
from phqc_pipeline.warehouse.dbt_runner import NodeResult


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Definitions:
    return build_definitions(Home(tmp_path_factory.mktemp("home")), load_catalogue(DEFAULT_RULES))


def test_groups_are_the_stages(definitions: Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    groups = {graph.get(key).group_name for key in graph.get_all_asset_keys()}
    assert groups == {"extracts", "checks", "warehouse", "findings", "billing", "marts", "published"}


def test_everything_leads_to_the_published_file(definitions: Definitions) -> None:
    """An asset nothing depends on would be built for nobody, or be missing from the lineage an operator reads."""
    graph = definitions.resolve_asset_graph()
    leaves = {key for key in graph.get_all_asset_keys() if not graph.get(key).child_keys}
    assert leaves == {AssetKey("published")}
    roots = {key for key in graph.get_all_asset_keys() if not graph.get(key).parent_keys}
    assert roots == {AssetKey("landing"), AssetKey("registry")}


def test_every_asset_says_what_it_is(definitions: Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    silent = [key.to_user_string() for key in graph.get_all_asset_keys() if not graph.get(key).description]
    assert silent == []


def test_checks_are_per_form_and_dimension(definitions: Definitions) -> None:
    """One check costs Dagster some 33 ms: hundreds of rules must not become hundreds of checks."""
    cat = load_catalogue(DEFAULT_RULES)
    graph = definitions.resolve_asset_graph()
    names = {key.name for key in graph.asset_check_keys if key.asset_key == AssetKey("record_judgement")}
    wanted = {(form_id, check.rule.dimension) for form_id in cat.forms for check in cat.checks(form_id)}
    assert len(names) == len(wanted)
    assert {name.split("__")[0] for name in names} == set(cat.forms)


def test_each_cross_rule_is_a_check(definitions: Definitions) -> None:
    cat = load_catalogue(DEFAULT_RULES)
    graph = definitions.resolve_asset_graph()
    names = {key.name for key in graph.asset_check_keys}
    assert {rule.rule_id.replace("-", "_") for rule in cat.rules if rule.carrier == "dbt"} <= names


def test_a_job_and_a_schedule_for_each_plan(definitions: Definitions) -> None:
    cat = load_catalogue(DEFAULT_RULES)
    for plan in cat.plans:
        assert definitions.resolve_job_def(plan).name == plan
        assert definitions.get_schedule_def(f"{plan}_schedule").job_name == plan


def test_dbts_results_are_told_in_the_order_of_the_graph() -> None:
    """Whatever order dbt built them in; a model the night does without stands, one that failed does not."""
    specs = [AssetSpec("published", deps=["judged"]), AssetSpec("judged", deps=["night", "card"]), AssetSpec("night")]
    specs += [AssetSpec("card", deps=["night"]), AssetSpec("broken", deps=["night"])]
    models = DbtModels({spec.key.to_user_string(): spec for spec in specs}, {})
    nodes = [_built(name) for name in ("published", "judged", "night")] + [_built("broken", "error")]
    context = SimpleNamespace(selected_asset_keys={spec.key for spec in specs}, selected_asset_check_keys=set())
    told = [event.asset_key.to_user_string() for event in models.events(nodes, context)]
    assert told == ["night", "card", "judged", "published"]


def _built(name: str, status: str = "success") -> NodeResult:
    return NodeResult(name, name, "model", status, "", None, 0.1)
