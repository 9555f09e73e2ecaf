"""A fingerprint changes when what it stands for changes, and only then."""

from __future__ import annotations

import pytest

from phqc_pipeline.catalogue.fingerprint import digest
from tests.catalogue.small_catalogue import Small

RULES, VISIT, CODES = "checks/visit.yaml", "forms/visit.yaml", "codes/general.yaml"


def rule_prints(small: Small) -> dict[str, str]:
    return {rule.rule_id: rule.fingerprint for rule in small.load().rules}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (RULES, "assert: sbp > dbp", "assert: sbp >= dbp"),
        (RULES, "when: sbp is not null", "when: dbp is not null"),
        (RULES, "{least: 0}", "{least: 1}"),
        (RULES, "填反", "反了"),
        (RULES, "{expr: dbp}", "{expr: sbp}"),
        (RULES, "severity: 严重", "severity: 一般"),
        (RULES, "2017-02-28", "2018-02-28"),
        ("derived.yaml", "age_at(service_date)", "age_at(today)"),
    ],
)
def test_a_rules_fingerprint_follows_what_it_judges_and_says(small: Small, file: str, old: str, new: str) -> None:
    before = rule_prints(small)
    after = rule_prints(small.change(file, old, new))
    assert {rule_id for rule_id in before if before[rule_id] != after[rule_id]} == {"VIS-L-001"}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (RULES, "rules:", "# a comment\n\nrules:"),
        (RULES, "assert: sbp > dbp", "assert: >-\n      sbp\n      > dbp"),
        (RULES, "{least: 0}", "{least: 0.0}"),
        (RULES, "verified: false", "verified: true"),
        (RULES, "basis: 逻辑", "basis: 规范"),
        (RULES, "{sbp: 120, dbp: 80, age: 50}", "{sbp: 121, dbp: 80, age: 50}"),
        (VISIT, "hard: [60, 280]", "hard: [61, 280]"),
        ("derived.yaml", "derived:\n", "derived:\n  - {name: age_now, title: 今天几岁, expr: age_at(today)}\n"),
    ],
)
def test_a_rules_fingerprint_ignores_the_rest(small: Small, file: str, old: str, new: str) -> None:
    before = rule_prints(small)
    assert rule_prints(small.change(file, old, new)) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (RULES, "verified: false", "verified: true"),
        (VISIT, "hard: [60, 280]", "hard: [61, 280]"),
        (CODES, "[草稿]", "[草稿, 未完]"),
        ("reports/r_archive.yaml", "[电子建档人数]", "[电子档案]"),
        ("schemes/default.yaml", "一般: 3", "一般: 4"),
        ("plans/nightly.yaml", "forms: all", "forms: [visit]"),
    ],
)
def test_the_catalogues_fingerprint_covers_everything(small: Small, file: str, old: str, new: str) -> None:
    before = small.load().fingerprint
    assert len(before) == 64
    assert small.load().fingerprint == before
    assert small.change(file, old, new).load().fingerprint != before


def test_the_catalogues_fingerprint_ignores_layout(small: Small) -> None:
    before = small.load().fingerprint
    for path in small.directory.rglob("*.yaml"):
        path.write_text("# moved down a line\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert small.load().fingerprint == before


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        (VISIT, "synonyms: [高压]", "synonyms: [高压, SBP]", {"visit"}),
        (VISIT, "dec(4,1)", "dec(5,1)", {"visit"}),
        (VISIT, "aliases: [随访记录]", "aliases: [随访]", {"visit"}),
        (CODES, "{code: '02', name: 头痛}", "{code: '02', name: 头痛, synonyms: [头疼]}", {"visit"}),
        (CODES, "[草稿]", "[草稿, 未完]", {"visit", "profile", "patrol"}),
        (VISIT, "hard: [60, 280]", "hard: [61, 280]", set()),
    ],
)
def test_a_forms_fingerprint_follows_how_its_files_are_read(
    small: Small, file: str, old: str, new: str, changes: set[str]
) -> None:
    before = {form_id: form.extract_fingerprint for form_id, form in small.load().forms.items()}
    small.change(file, old, new)
    after = {form_id: form.extract_fingerprint for form_id, form in small.load().forms.items()}
    assert {form_id for form_id in before if before[form_id] != after[form_id]} == changes


def test_digest_is_the_same_everywhere() -> None:
    """Pinned: a stored fingerprint must mean the same on another machine and after an upgrade."""
    value = {"b": (1, 2.0, None), "a": {"甲", "乙"}, "c": True}
    assert digest(value) == digest({"c": True, "a": {"乙", "甲"}, "b": [1, 2, None]})
    assert digest(value) == "c1256cd3884563066cdacfd6636a8114202a758302d374f48be61a6a6e1e8d65"
