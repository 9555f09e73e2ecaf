"""The mutation proof: what it changes, what it says no example catches, and the whole catalogue proven."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from phqc_pipeline.catalogue import Catalogue, commands, load_catalogue
from phqc_pipeline.catalogue.expressions.syntax import syntax_tree
from phqc_pipeline.catalogue.mutation import Proof, prove, prove_derived
from phqc_pipeline.catalogue.mutation_operators import SPARE, Setting, changes
from tests.catalogue.small_catalogue import Small

RULES = "checks/visit.yaml"
ROOT = Path(__file__).resolve().parents[2]
WHOLE = """\
      pass:
        - {sbp: 120, dbp: 80, age: 50}
        - {sbp: 70, dbp: 80, age: -1}
        - {dbp: 80, age: 50}
      fail:
        - {sbp: 80, dbp: 80, age: 0}
        - {sbp: 70, dbp: 80, age: 50}
"""


def proof_of(small: Small, rule_id: str = "VIS-L-001") -> Proof:
    cat = small.load()
    (proof,) = prove(cat, cat.versions(rule_id))
    return proof


def examples(small: Small, text: str) -> Small:
    written = (small.directory / RULES).read_text(encoding="utf-8")
    return small.write(RULES, written[: written.index("      pass:")] + text)


def judged_as(small: Small, assertion: str, params: str, text: str) -> list[str]:
    """The survivors of a rule without ``when`` that asserts this and has these examples."""
    small.change(RULES, "    when: sbp is not null and age >= least\n", "")
    small.change(RULES, "assert: sbp > dbp", f"assert: {assertion}").change(RULES, "{least: 0}", params)
    return [str(mutant) for mutant in proof_of(examples(small, text)).survivors]


def test_what_two_examples_leave_unproven_is_named(small: Small) -> None:
    proof = proof_of(small)
    assert {str(mutant) for mutant in proof.survivors} == {
        "when: AND age >= least → OR age >= least",
        "when: 去掉 age >= least",
        "when: 去掉 NOT sbp IS NULL",
        "when: sbp → dbp",
        "when: age >= least → age > least",
        "when: age >= least → age <> least",
        "when: 去掉 sbp is not null and age >= least",
        "assert: sbp > dbp → sbp <> dbp",
        "params: least = 0 → -1",
        "params: least = 0 → 1",
    }
    assert (proof.mutants, proof.caught, proof.holds) == (20, 10, False)


def test_examples_on_every_side_catch_all(small: Small) -> None:
    proof = proof_of(examples(small, WHOLE))
    assert (proof.survivors, proof.caught, proof.holds) == ((), 20, True)


@pytest.mark.parametrize("lost", [line for line in WHOLE.splitlines() if "{" in line])
def test_each_of_those_examples_is_needed(small: Small, lost: str) -> None:
    assert proof_of(examples(small, WHOLE.replace(f"{lost}\n", ""))).survivors


def test_a_limit_is_off_by_what_the_field_can_change_by(small: Small) -> None:
    far = "      pass: [{weight_kg: 60}]\n      fail: [{weight_kg: 30}]\n"
    assert {"params: low = 45.5 → 45.4", "params: low = 45.5 → 45.6"} <= set(
        judged_as(small, "weight_kg >= low", "{low: 45.5}", far)
    )
    near = "      pass: [{weight_kg: 45.5}, {weight_kg: 60}]\n      fail: [{weight_kg: 45.4}]\n"
    assert proof_of(examples(small, near)).holds


def test_each_code_of_a_list_counts(small: Small) -> None:
    two = "      pass: [{symptom_codes: ['1']}]\n      fail: [{symptom_codes: ['02']}, {symptom_codes: ['02', '9']}]\n"
    assert judged_as(small, "not contains_any(symptom_codes, ['02', '9'])", "{}", two) == ["assert: 去掉 '9'"]


@pytest.mark.parametrize(
    ("expression", "changed"),
    [
        ("record_status = '1'", ["record_status <> '1'", "'2'"]),  # a code is text: it knows no order
        ("sbp < 140", ["sbp <= 140", "sbp > 140", "sbp >= 140", "sbp = 140", "sbp <> 140", "dbp", "139", "141"]),
        ("not '1' in symptom_codes", ["'1' IN symptom_codes", "'9'"]),
        ("visit_date + interval 7 day > today", 8),
        ("record_status in ('1', '2')", ["NOT record_status IN ('1', '2')", "", ""]),
        ("regexp(drug_name, '^[0-9]+$')", 3),
    ],
)
def test_what_may_stand_instead(small: Small, expression: str, changed: list[str] | int) -> None:
    cat = small.load()
    setting = Setting(cat.form("visit"), cat, {}, frozenset({"sbp", "dbp"}))
    found = [change.after for change in changes(syntax_tree(expression), setting)]
    others = [name for name in found if name != SPARE]
    assert others == changed if isinstance(changed, list) else len(others) == changed, found


def test_of_a_per_field_rule_one_field_may_show_what_another_does_not(small: Small) -> None:
    assert len(proof_of(small, "COM-F-014").survivors) == 4
    small.change(
        "checks/common.yaml",
        "      pass: [{form: visit, field: sbp, sbp: 60}]\n      fail: [{form: visit, field: sbp, sbp: 59}]\n",
        "      pass: [{field: sbp, sbp: 60}, {field: dbp, dbp: 160}, {field: sbp, sbp: 61}]\n"
        "      fail: [{field: sbp, sbp: 59}, {field: dbp, dbp: 161}]\n",
    )
    assert proof_of(small, "COM-F-014").survivors == ()


def test_an_equivalent_is_accepted_while_no_example_catches_it(small: Small) -> None:
    listed = "    equivalent_mutants:\n      - {mutant: 'params: least = 0 → -1', why: 年龄不会是负数}\n"
    proof = proof_of(small.append(RULES, listed))
    assert [str(mutant) for mutant in proof.equivalents] == ["params: least = 0 → -1"]
    assert proof.stale == ()
    caught = proof_of(examples(small, WHOLE + listed))
    assert caught.stale == ("params: least = 0 → -1",)
    assert not caught.holds


def test_a_derived_name_is_proven_by_the_rules_that_use_it(small: Small) -> None:
    small.append("derived.yaml", "  - {name: next_age, title: 下一岁, expr: age + 1}\n")
    small.change(RULES, "age >= least", "next_age >= least")
    visited = "birth_date: 2000-05-01, visit_date: 2024-05-01"
    given = f"      pass: [{{sbp: 120, dbp: 80, {visited}}}]\n      fail: [{{sbp: 80, dbp: 80, {visited}}}]\n"
    (found,) = prove_derived(examples(small, given).load(), ["next_age"])
    assert "expr: 1 → 2" in [str(mutant) for mutant in found.survivors]
    (sharp,) = prove_derived(small.change(RULES, "{least: 0}", "{least: 25}").load(), ["next_age"])
    assert [str(mutant) for mutant in sharp.survivors] == ["expr: 1 → 2"]  # a limit from above would want another


def test_the_report_says_which_example_is_missing(small: Small) -> None:
    answer = commands.mutate(small.load(), ["vis-l-001"])
    assert not answer.passed
    assert "漏网      assert: sbp > dbp → sbp <> dbp" in answer.text
    assert "缺样例    sbp 小于、等于、大于 dbp 各要一条，别的条件都满足" in answer.text
    assert commands.mutate(examples(small, WHOLE).load(), form="随访表").text.count("VIS-L-001") == 1
    with pytest.raises(LookupError, match="没有规则 VIS-L-002"):
        commands.mutate(small.load(), ["VIS-L-002"])


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(ROOT / "rules")


@pytest.mark.parametrize("half", range(2))
def test_every_rule_is_proven_by_its_examples(catalogue: Catalogue, half: int) -> None:
    """In two parts, for two processes: together some 15 seconds of processor time."""
    rules = [rule for rule in catalogue.rules if rule.carrier == "pandera" and _half(rule.rule_id) == half]
    assert len(rules) > 100
    loose = [proof for proof in prove(catalogue, rules) if not proof.holds]
    assert not loose, commands.report(loose)


def test_every_derived_name_is_proven_by_the_rules(catalogue: Catalogue) -> None:
    proofs = list(prove_derived(catalogue))
    assert {"age", "bmi_calc", "stated_age"} <= {proof.subject.name for proof in proofs}  # type: ignore[union-attr]
    loose = [proof for proof in proofs if not proof.holds]
    assert not loose, commands.report(loose)


def _half(rule_id: str) -> int:
    return hashlib.md5(rule_id.encode()).digest()[0] % 2
