"""The models of the dbt project that a night asks: a cross model no rule asks is not copied for dbt to read.

Belongs here: which of the project's files a home's working copy holds. Does not belong here: writing them
(``staging``).

A model that is read and then found to be disabled costs dbt as much as one that runs, each of its tests too: of a
catalogue with few rules, that is most of a night.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

_CROSS = Path("models") / "cross"
_ASKED = re.compile(rb"""rules_on\(\s*['"](\w+)['"]\s*\)""")


def asked_files(files: Mapping[Path, bytes], models: Collection[str], carried: Collection[str]) -> dict[Path, bytes]:
    """The project's files (path in the project → content) without cross models whose rules nobody asks, and without
    what is said of them. ``models``: those the rules asked name; ``carried``: those rules."""
    idle = {
        path.stem
        for path, content in files.items()
        if path.parent == _CROSS and (asked := _asked(content)) and not asked & set(models)
    }
    kept = {path: content for path, content in files.items() if not (path.parent == _CROSS and path.stem in idle)}
    for path, content in kept.items():
        if path.parent == _CROSS and path.suffix == ".yml":
            kept[path] = _without(content, idle, carried)
    return kept


def _asked(sql: bytes) -> set[str]:
    return {name.decode() for name in _ASKED.findall(sql)}


def _without(content: bytes, idle: Collection[str], carried: Collection[str]) -> bytes:
    """A file of properties without idle models, and without tests of rules nobody asks; as it was if there are none."""
    told: dict[str, Any] = yaml.load(content, Loader=yaml.CSafeLoader)
    models = [_asked_tests(model, carried) for model in told.get("models", []) if model["name"] not in idle]
    if models == told.get("models", []):
        return content
    return yaml.dump({**told, "models": models}, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False).encode()


def _asked_tests(model: dict[str, Any], carried: Collection[str]) -> dict[str, Any]:
    if "data_tests" not in model:
        return model
    return {**model, "data_tests": [test for test in model["data_tests"] if _rule_of(test) in {None, *carried}]}


def _rule_of(test: Any) -> str | None:
    """The rule a test carries, None for a test of the model itself."""
    carries = test.get("carries_rule") if isinstance(test, dict) else None
    found: str | None = carries["arguments"]["rule_id"] if carries else None
    return found
