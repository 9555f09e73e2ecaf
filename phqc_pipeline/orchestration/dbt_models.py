"""The dbt project as Dagster sees it: one asset a model, one check a test, in the groups of the stages.

Belongs here: specs from dbt's manifest, and dbt's results as Dagster's events.
Does not belong here: running dbt (``warehouse.dbt_runner``), what a model asks (``dbt_project``).
Dagster explains the translator under "dagster-dbt: customizing asset definitions" in its documentation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetSpec,
    MaterializeResult,
)
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings

from phqc_pipeline.catalogue import Catalogue, Context, Scheme
from phqc_pipeline.home import DBT_PROJECT_DIR, Home
from phqc_pipeline.warehouse.dbt_runner import NodeResult, parse_project
from phqc_pipeline.warehouse.files import content_fingerprint, replace_file
from phqc_pipeline.warehouse.staging import INTERNAL, generate_models, prepare_project

#: Which stage a model folder belongs to; anything else stands behind the marts.
GROUP_OF_FOLDER = {
    **dict.fromkeys(("staging", "cross"), "warehouse"),
    **dict.fromkeys(("difference", "published", "marts"), "marts"),
}


@dataclass(frozen=True)
class DbtModels:
    """The specs of one part of the project, and how dbt's names map to Dagster's."""

    assets: Mapping[str, AssetSpec]  # unique_id of a model → spec
    checks: Mapping[str, AssetCheckSpec]  # unique_id of a test → spec

    def events(
        self, nodes: Iterable[NodeResult], context: AssetExecutionContext
    ) -> Iterator[MaterializeResult | AssetCheckResult]:
        """dbt's results as events: a model that was built, a test with the rows it selected.

        A stage always builds the whole of its part; of what an operator did not select, nothing is told. Dagster wants
        each model after those it hangs on in the graph, and skips what hangs on one it is not told of: a model that
        tonight's project does without, because nobody has delivered its form, stands as well.
        """
        results = {node.unique_id: node for node in nodes}
        for unique_id in self._in_order:
            asset, node = self.assets[unique_id], results.get(unique_id)
            if asset.key not in context.selected_asset_keys:
                continue
            if node is None:
                yield MaterializeResult(asset_key=asset.key, metadata={"说明": "没有机构交付过这张表，当夜不必建"})
            elif node.is_good:
                yield MaterializeResult(asset_key=asset.key, metadata={"用时（秒）": round(node.seconds, 2)})
        for unique_id, check in self.checks.items():
            node = results.get(unique_id)
            if node is not None and check.key in context.selected_asset_check_keys:
                yield AssetCheckResult(
                    asset_key=check.asset_key,
                    check_name=check.name,
                    passed=node.status == "pass",
                    # Findings are a night's product: they warn. What is wrong with our own tables is an error.
                    severity=AssetCheckSeverity.WARN if node.rule_id else AssetCheckSeverity.ERROR,
                    metadata={"规则": node.rule_id or node.name, "命中": node.failures or 0, "状态": node.status},
                )

    @cached_property
    def _in_order(self) -> list[str]:
        """The models' unique_ids, each after those it hangs on."""
        ids = {spec.key: unique_id for unique_id, spec in self.assets.items()}
        above = {
            unique_id: [ids[dep.asset_key] for dep in spec.deps if dep.asset_key in ids]
            for unique_id, spec in self.assets.items()
        }
        return list(TopologicalSorter(above).static_order())


def dbt_models(manifest: Mapping[str, Any], groups: Sequence[str], upstream: Mapping[str, Sequence[str]]) -> DbtModels:
    """The models of ``groups``; one without a parent among the models depends on the assets ``upstream[group]``.

    Of a form's own models an operator sees one, what it is judged by: each asset costs Dagster some 40 ms a night,
    and a hundred more tell nobody anything. Lineage goes through those left out.
    """
    translator = _Translator(upstream)
    assets = {
        unique_id: translator.get_asset_spec(manifest, unique_id, None)
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and _group(node) in groups and not _is_internal(node)
    }
    checks: dict[str, AssetCheckSpec] = {}
    for unique_id, node in manifest["nodes"].items():
        looked_at = node.get("attached_node")
        if node["resource_type"] == "test" and looked_at in assets:
            name = _check_name(node)
            checks[unique_id] = AssetCheckSpec(
                name=name, asset=assets[looked_at].key, description=node.get("description") or None
            )
    return DbtModels(assets, checks)


def read_manifest(home: Home, cat: Catalogue) -> Mapping[str, Any]:
    """dbt's manifest of the project with the catalogue's models, parsed once a catalogue and project.

    Parsed in a working copy of its own: a code server that starts must not touch the copy a night is running on. What
    dbt remembers of the parse is handed to a home that has no such memory yet, or its first night would parse twice.
    """
    project = sorted(path for path in DBT_PROJECT_DIR.rglob("*") if path.is_file() and "target" not in path.parts)
    fingerprint = f"{cat.fingerprint[:16]}-{content_fingerprint(project)[:16]}"
    kept = home.dagster / "dbt_manifest" / f"{fingerprint}.json"
    if not kept.is_file():
        apart = Home(home.dagster / "dbt_manifest" / "work")
        ctx = Context.natural_year(date(2024, 12, 31))  # any day: names and lineage do not depend on it
        scheme = next(iter(cat.schemes.values()), None) or Scheme("every_rule", "全部规则", None, {}, ())
        prepare_project(apart.dbt_work, cat, ctx, scheme, home.warehouse / "inputs")
        generate_models(apart.dbt_work, cat, ctx, [], every_form=True)
        parse_project(apart, home)
        _keep(kept, apart.dbt_work / "target" / "manifest.json")
        remembered = home.dbt_work / "target" / "partial_parse.msgpack"
        if not remembered.is_file():
            with replace_file(remembered) as target:
                target.write_bytes((apart.dbt_work / "target" / "partial_parse.msgpack").read_bytes())
    manifest: Mapping[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return manifest


def _keep(kept: Path, made: Path) -> None:
    for older in kept.parent.glob("*.json"):
        older.unlink()
    with replace_file(kept) as target:
        target.write_bytes(made.read_bytes())


class _Translator(DagsterDbtTranslator):
    """Keys and groups by stage; Chinese descriptions as the project has them."""

    def __init__(self, upstream: Mapping[str, Sequence[str]]) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_asset_checks=False))
        self.upstream = upstream

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> AssetKey:
        return AssetKey([_group(dbt_resource_props), dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        return _group(dbt_resource_props)

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return dbt_resource_props.get("description") or ""

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: Any) -> AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        parents = _shown_parents(manifest, unique_id)
        above = [self.get_asset_key(manifest["nodes"][parent]) for parent in parents]
        above = above or [AssetKey(name) for name in self.upstream[_group(manifest["nodes"][unique_id])]]
        return spec.replace_attributes(deps=above)


def _is_internal(node: Mapping[str, Any]) -> bool:
    return INTERNAL in node["tags"]


def _shown_parents(manifest: Mapping[str, Any], unique_id: str) -> list[str]:
    """The models a model hangs on, directly or through internal ones, each once."""
    found: dict[str, None] = {}
    for parent in manifest["nodes"][unique_id]["depends_on"]["nodes"]:
        if parent in manifest["nodes"]:
            inside = _is_internal(manifest["nodes"][parent])
            found |= dict.fromkeys(_shown_parents(manifest, parent) if inside else [parent])
    return list(found)


def _group(node: Mapping[str, Any]) -> str:
    # fqn: project, folder …; generated models lie one folder deeper.
    return GROUP_OF_FOLDER.get(node["fqn"][1], "marts")


def _check_name(node: Mapping[str, Any]) -> str:
    """A readable, valid check name: the rule's id for a rule, else the test's own name."""
    rule_id = ((node.get("test_metadata") or {}).get("kwargs") or {}).get("rule_id")
    return (rule_id or node["name"]).replace("-", "_").replace(".", "_")
