"""The JSON Schemas: they accept what the loader accepts, refuse misspelt keys, and are those of the models."""

from __future__ import annotations

import copy
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from phqc_pipeline.catalogue import billing_terms, indicators, notes, schema, verification
from phqc_pipeline.catalogue.json_schema import FOLDER, KINDS, Kind, schema_of, schema_text
from phqc_pipeline.catalogue.schema import Closed
from phqc_pipeline.catalogue.schema_words import WORDS
from phqc_pipeline.catalogue.yaml_lines import parse_yaml
from phqc_pipeline.home import DEFAULT_RULES
from tests.catalogue.small_catalogue import FILES, Small

EACH_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def files_of(kind: Kind) -> list[Path]:
    return sorted(DEFAULT_RULES.glob(kind.files))


def content(path: Path) -> Any:
    """A file as an editor has it: what is no number, truth or null is text."""
    document, faults = parse_yaml(path.read_text(encoding="utf-8"), path.name)
    assert document is not None
    assert faults == []
    return json.loads(json.dumps(document.data, default=date.isoformat))


def complaints(kind: Kind, data: Any) -> list[str]:
    return [
        f"{list(error.path)}: {error.message[:200]}"
        for error in Draft202012Validator(schema_of(kind)).iter_errors(data)
    ]


def test_every_yaml_is_of_one_kind() -> None:
    found = [path for kind in KINDS for path in files_of(kind)]
    assert sorted(found) == sorted(DEFAULT_RULES.rglob("*.yaml"))


@EACH_KIND
def test_what_the_loader_accepts_the_schema_accepts(kind: Kind) -> None:
    Draft202012Validator.check_schema(schema_of(kind))
    assert files_of(kind)
    found = {path.name: told for path in files_of(kind) if (told := complaints(kind, content(path)))}
    assert found == {}


@EACH_KIND
def test_a_misspelt_key_is_refused(kind: Kind) -> None:
    data = content(files_of(kind)[0])
    entry = data[kind.listed][0] if kind.listed else data
    for key in list(entry):
        changed = copy.deepcopy(data)
        inside = changed[kind.listed][0] if kind.listed else changed
        inside[f"{key}x"] = inside.pop(key)
        assert any(f"'{key}x'" in told for told in complaints(kind, changed)), key


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("forms/visit.yaml", "hard: [60, 280]", "hard: [60]"),
        ("forms/visit.yaml", "type: s(50), required: N", "type: text, required: N"),
        ("forms/visit.yaml", "type: date, required: Y", "type: date, required: 是"),
        ("forms/visit.yaml", "{when: drug_name is not null}", "{if: drug_name is not null}"),
        ("forms/visit.yaml", "other_of: {field: symptom_codes, code: '9'}", "other_of: {field: symptom_codes}"),
        ("forms/visit.yaml", "subject: person", "subject: people"),
        ("codes/general.yaml", "{code: '02', name: 头痛}", "{code: '02', title: 头痛}"),
        ("checks/visit.yaml", "severity: 严重", "severity: 重"),
        ("checks/visit.yaml", "verified: false", "verified: 否"),
        ("checks/visit.yaml", "suggestion: {expr: dbp}", "suggestion: {exp: dbp}"),
        ("checks/visit.yaml", "fail: [{sbp", "failed: [{sbp"),
        ("checks/visit.yaml", "id: VIS-L-001", "id: VIS-1"),
        ("checks/common.yaml", "per_field: {has: required}", "per_field: {has: must}"),
        ("schemes/default.yaml", "一般: 3", "普通: 3"),
        ("plans/nightly.yaml", "period: natural_year", "period: month"),
    ],
)
def test_faults_that_an_editor_shows(small: Small, file: str, old: str, new: str) -> None:
    (kind,) = [kind for kind in KINDS if (small.directory / file) in small.directory.glob(kind.files)]
    assert complaints(kind, content(small.directory / file)) == []
    assert complaints(kind, content(small.change(file, old, new).directory / file))


def test_the_small_catalogue_is_accepted(small: Small) -> None:
    for name in FILES:
        (kind,) = [kind for kind in KINDS if (small.directory / name) in small.directory.glob(kind.files)]
        assert complaints(kind, content(small.directory / name)) == [], name


@pytest.mark.parametrize(
    "text",
    [
        "weight_kg: {is: Y, why: 理由}",
        "weight_kg: {when: sbp > 1, why: 理由}",
        "weight_kg: N",
    ],
)
def test_what_a_profile_may_require(text: str) -> None:
    (kind,) = [kind for kind in KINDS if kind.name == "profile"]
    head = {"profile_id": "a", "title": "甲", "level": "county", "basis": "乙", "verified": False}
    document, _ = parse_yaml(text, "")
    assert document is not None
    assert complaints(kind, {**head, "required": {"visit": document.data}}) == []
    assert complaints(kind, {**head, "required": {"visit": {"weight_kg": {"is": "Y", "when": "sbp > 1"}}}})


def test_every_key_has_its_words_and_no_words_are_left_over() -> None:
    models = {
        name: model
        for module in (schema, notes, billing_terms, indicators, verification)
        for name, model in vars(module).items()
        if isinstance(model, type) and issubclass(model, Closed) and model is not Closed
    }
    keys = {
        name: {"", *(info.alias or key for key, info in model.model_fields.items())} for name, model in models.items()
    }
    assert {name: set(words) for name, words in WORDS.items()} == keys


@EACH_KIND
def test_the_tracked_schemas_are_those_of_the_models(kind: Kind) -> None:
    written = (DEFAULT_RULES / FOLDER / kind.file).read_text(encoding="utf-8")
    assert written == schema_text(kind), "run: phqc rules schema"
