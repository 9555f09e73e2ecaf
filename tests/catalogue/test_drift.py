"""Things that are described twice say the same: here, YAML keys in the schema and in rules/README.md."""

from __future__ import annotations

import re

from phqc_pipeline.catalogue import schema
from phqc_pipeline.catalogue.drift import drift
from phqc_pipeline.home import DEFAULT_RULES


def test_drift_tells_both_directions_and_changed_values() -> None:
    assert drift(["a", "b"], ["b", "c"], "甲", "乙") == ["只在甲：a", "只在乙：c"]
    assert drift({"a": 1, "b": 2}, {"a": 1, "b": 3}, "甲", "乙") == ["b 不同：甲是 2，乙是 3"]
    assert drift({"a": 1}, {"a": 1}, "甲", "乙") == []


def test_the_readme_explains_every_key_and_no_other() -> None:
    kinds = [kind for kind in vars(schema).values() if isinstance(kind, type) and issubclass(kind, schema.Closed)]
    keys = {info.alias or name for kind in kinds for name, info in kind.model_fields.items()}
    text = (DEFAULT_RULES / "README.md").read_text(encoding="utf-8")
    # A key is explained in backquotes, alone or before a colon (`pass:`).
    explained = set(re.findall(r"`([a-z_]+):?`", text)) | set(re.findall(r"`\{?([a-z_]+): ", text))
    lines = drift(keys, keys & explained, "schema.py", "rules/README.md")
    assert not lines, "\n".join(lines)
    tables = set(re.findall(r"^\| ((?:`[a-z_]+` ?)+)\|", text, flags=re.MULTILINE))
    rows = {key for row in tables for key in re.findall(r"`([a-z_]+)`", row)}
    assert not rows - keys, f"rules/README.md 写了不存在的键：{sorted(rows - keys)}"
