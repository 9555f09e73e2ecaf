"""Things that are described twice say the same: YAML keys and their explanation, cross rules and their dbt models."""

from __future__ import annotations

import re

import yaml

from phqc_pipeline.catalogue import billing_terms, indicators, load_catalogue, schema, verification
from phqc_pipeline.catalogue.drift import drift
from phqc_pipeline.home import DBT_PROJECT_DIR, DEFAULT_RULES


def test_drift_tells_both_directions_and_changed_values() -> None:
    assert drift(["a", "b"], ["b", "c"], "甲", "乙") == ["只在甲：a", "只在乙：c"]
    assert drift({"a": 1, "b": 2}, {"a": 1, "b": 3}, "甲", "乙") == ["b 不同：甲是 2，乙是 3"]
    assert drift({"a": 1}, {"a": 1}, "甲", "乙") == []


def test_the_readme_explains_every_key_and_no_other() -> None:
    kinds = [
        kind
        for module in (schema, billing_terms, indicators, verification)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, schema.Closed)
    ]
    keys = {info.alias or name for kind in kinds for name, info in kind.model_fields.items()}
    text = (DEFAULT_RULES / "README.md").read_text(encoding="utf-8")
    # A key is explained in backquotes, alone or before a colon (`pass:`).
    explained = set(re.findall(r"`([a-z_]+):?`", text)) | set(re.findall(r"`\{?([a-z_]+): ", text))
    lines = drift(keys, keys & explained, "schema.py", "rules/README.md")
    assert not lines, "\n".join(lines)
    tables = set(re.findall(r"^\| ((?:`[a-z_]+` ?)+)\|", text, flags=re.MULTILINE))
    rows = {key for row in tables for key in re.findall(r"`([a-z_]+)`", row)}
    assert not rows - keys, f"rules/README.md 写了不存在的键：{sorted(rows - keys)}"


def test_the_rules_on_the_dbt_models_are_the_catalogues() -> None:
    """Rule by rule the same model carries it as the catalogue says; a title stands in the catalogue alone."""
    described = [
        model
        for path in sorted((DBT_PROJECT_DIR / "models" / "cross").glob("_*.yml"))
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    ]
    carried = {
        test["carries_rule"]["arguments"]["rule_id"]: model["name"]
        for model in described
        for test in model.get("data_tests", [])
        if "carries_rule" in test
    }
    entered = {rule.rule_id: rule.model for rule in load_catalogue(DEFAULT_RULES).rules if rule.carrier == "dbt"}
    lines = drift(entered, carried, "rules/checks/cross*.yaml", "dbt_project/models/cross/_*.yml")
    assert not lines, "\n".join(lines)
