"""The order of the suite: whole nights first, so that no worker is left alone with one of them at the end."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def whole_nights_first(item: pytest.Item) -> tuple[bool, bool]:
        return "killed_at_ten" not in item.name, "end_to_end" not in item.nodeid

    items.sort(key=whole_nights_first)  # stable: the order within stays
