"""What the catalogue says must reach dbt's models unchanged, whatever its texts are made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment

from phqc_pipeline.warehouse.catalogue_macros import catalogue_macros

TEXT = 'it\'s "quoted" \\d{2,4}% {{ x }} {% y %} {# z #}\n换行 𠮷'
VALUE = {"a": [1, 0.5, None, True], "规则": TEXT, "of": {"b": {"c": []}}}


def test_a_macro_returns_what_it_was_made_of() -> None:
    files = catalogue_macros({"everything": VALUE}, {"by_model": {"one": [VALUE], "two": []}})
    assert _returned(files, "everything") == VALUE
    assert [_returned(files, "by_model", key) for key in ("one", "two", "three")] == [[VALUE], [], None]


def _returned(files: dict[Path, bytes], name: str, *arguments: str) -> Any:
    found: list[Any] = []
    globals_ = {"fromjson": json.loads, "return": found.append}
    module = Environment().from_string(files[Path(f"{name}.sql")].decode(), globals=globals_).module
    getattr(module, name)(*arguments)
    return found[0]
