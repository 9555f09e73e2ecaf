"""What of the dbt project a night's working copy holds."""

from __future__ import annotations

from pathlib import Path

import yaml

from phqc_pipeline.warehouse.asked import asked_files

CROSS = Path("models/cross")
FILES = {
    CROSS / "gap.sql": b"{% set rules = rules_on('gap') %} select 1",
    CROSS / "idle.sql": b'{% set rules = rules_on("idle") %} select 1',
    CROSS / "helper.sql": b"select 1",
    CROSS / "_cross.yml": b"""models:
  - name: gap
    data_tests:
      - unique
      - carries_rule: {arguments: {rule_id: A-T-001}}
      - carries_rule: {arguments: {rule_id: A-T-002}}
  - name: idle
    data_tests: [{carries_rule: {arguments: {rule_id: A-T-003}}}]
""",
    Path("models/marts/idle.sql"): b"select * from {{ ref('gap') }}",
}


def test_what_no_rule_asks_is_left_out_with_its_tests() -> None:
    kept = asked_files(FILES, {"gap"}, {"A-T-001"})
    assert set(FILES) - set(kept) == {CROSS / "idle.sql"}
    assert yaml.safe_load(kept[CROSS / "_cross.yml"])["models"] == [
        {"name": "gap", "data_tests": ["unique", {"carries_rule": {"arguments": {"rule_id": "A-T-001"}}}]}
    ]


def test_where_every_rule_is_asked_nothing_changes() -> None:
    """Or dbt would parse the file again each time."""
    assert asked_files(FILES, {"gap", "idle"}, {"A-T-001", "A-T-002", "A-T-003"}) == FILES
