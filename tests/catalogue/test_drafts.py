"""The drafts in ``drafts/`` stay what they claim to be: laid over the catalogue they load, and their examples hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from phqc_pipeline.catalogue import load_catalogue
from phqc_pipeline.catalogue.examples import run_examples
from phqc_pipeline.home import DEFAULT_RULES, PROJECT_DIR

DRAFTS = PROJECT_DIR / "drafts"


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rules = tmp_path_factory.mktemp("merged") / "rules"
    shutil.copytree(DEFAULT_RULES, rules)
    for folder in ("forms", "codes", "checks", "growth"):
        shutil.copytree(DRAFTS / folder, rules / folder, dirs_exist_ok=True)
    with (rules / "derived.yaml").open("a", encoding="utf-8") as file:
        file.write("\n" + (DRAFTS / "derived_additions.yaml").read_text(encoding="utf-8"))
    return rules


def test_drafts_load_and_their_examples_hold(merged: Path) -> None:
    cat = load_catalogue(merged)
    assert len(cat.forms) == 33  # forms.md, section 2
    assert len(cat.rules) > len(load_catalogue(DEFAULT_RULES).rules) + 100
    assert run_examples(cat) == []
