"""Two descriptions of one thing, compared in both directions so that a person can read what drifted.

Belongs here: the comparison and its wording, for tests and checks wherever something stands twice (YAML keys and their
documentation, rule ids in the catalogue and on dbt models, a form's fields and a table's columns).
Does not belong here: reading either description.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def drift(first: Iterable[str], second: Iterable[str], first_title: str, second_title: str) -> list[str]:
    """What only one of two sets of names has, one line a name; mappings are compared by value as well. Empty: equal."""
    lines = [f"只在{first_title}：{name}" for name in sorted(set(first) - set(second))]
    lines += [f"只在{second_title}：{name}" for name in sorted(set(second) - set(first))]
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        lines += _changed(first, second, first_title, second_title)
    return lines


def _changed(first: Mapping[str, Any], second: Mapping[str, Any], first_title: str, second_title: str) -> list[str]:
    return [
        f"{name} 不同：{first_title}是 {first[name]!r}，{second_title}是 {second[name]!r}"
        for name in sorted(set(first) & set(second))
        if first[name] != second[name]
    ]
