"""The order of the suite (whole nights first, so that no worker is left alone with one of them at the end, and none
waits for the great home), and what all workers share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

# A busy machine is slow now and then; no test is about time.
settings.register_profile("phqc", deadline=None)
settings.load_profile("phqc")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def whole_nights_first(item: pytest.Item) -> tuple[bool, bool, bool]:
        shared = {"founding", "founding_home"} & set(getattr(item, "fixturenames", ()))
        return "killed_at_ten" not in item.name, not shared, "end_to_end" not in item.nodeid

    items.sort(key=whole_nights_first)  # stable: the order within stays


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--scenarios", help="one file of tests/scenarios alone, without its ending")


@pytest.fixture(scope="session")
def made_once(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Callable[[str, Callable[[Path], None]], Path]:
    """``made_once(name, make)``: a folder that ``make`` filled, shared by all workers, read-only by agreement."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def folder(name: str, make: Callable[[Path], None]) -> Path:
        target = shared / name
        with FileLock(str(target) + ".lock"):
            if not (target / ".made").exists():
                shutil.rmtree(target, ignore_errors=True)
                target.mkdir(parents=True)
                make(target)
                (target / ".made").touch()
        return target

    return folder
