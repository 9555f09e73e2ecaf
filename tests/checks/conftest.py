from __future__ import annotations

from pathlib import Path

import pytest

from phqc_pipeline.catalogue import Catalogue, Form, load_catalogue
from phqc_pipeline.home import DEFAULT_RULES
from tests.checks.visit_catalogue import small_catalogue


@pytest.fixture(scope="session")
def cat() -> Catalogue:
    """The small catalogue of these tests."""
    return small_catalogue()


@pytest.fixture(scope="session")
def visit(cat: Catalogue) -> Form:
    return cat.form("visit")


@pytest.fixture(scope="session")
def real() -> Catalogue:
    """The project's own catalogue."""
    return load_catalogue(DEFAULT_RULES)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    folder = tmp_path / "lake"
    folder.mkdir()
    return folder
