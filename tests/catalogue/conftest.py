from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalogue.small_catalogue import Small


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """A small sound catalogue of its own for one test."""
    return Small(tmp_path / "rules")
