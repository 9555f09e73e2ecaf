"""Schemes that build on each other, and the plans that use them."""

from __future__ import annotations

from datetime import date

import pytest

from .small_catalogue import Small

STRICT = """\
scheme_id: strict
title: 从严
extends: default
rules:
  only: [{forms: [visit, profile]}]
  exclude: [{forms: profile, dimensions: 完整性}, VIS-U-*]
rule_deductions: {VIS-L-001: 25}
weights: {dimensions: {规范性: 2}, forms: {visit: 3}}
pass_lines: {record: 60, institution: 90}
"""
NEXT_YEAR = """\
scheme_id: next_year
title: 明年
extends: strict
deductions: {一般: 5}
rules: {include: [VIS-U-001]}
pass: 无严重和一般
"""
SAMPLED = """\
plan_id: quarterly
scheme: next_year
also_score: [default]
active: false
sampling: {fraction: 0.05, minimum: 2, seed: 7, strata: [institution, doctor]}
period: {begins: "10-01"}
schedule: "0 3 1 */3 *"
"""


@pytest.fixture
def schemes(small: Small) -> Small:
    return small.write("schemes/strict.yaml", STRICT).write("schemes/next_year.yaml", NEXT_YEAR)


def test_a_scheme_differs_from_the_one_it_extends(schemes: Small) -> None:
    catalogue = schemes.load()
    rules = {rule.rule_id: rule for rule in catalogue.rules}
    strict, following = catalogue.schemes["strict"], catalogue.schemes["next_year"]
    assert strict.takes("COM-C-002", "visit")
    assert not strict.takes("COM-C-002", "profile")  # a rule may be left out on one form alone
    assert not strict.takes("COM-C-002", "patrol")
    assert (strict.takes("VIS-U-001", "visit"), following.takes("VIS-U-001", "visit")) == (False, True)
    assert (strict.points(rules["VIS-L-001"]), strict.points(rules["COM-F-014"])) == (25, 20)
    assert (strict.deductions["一般"], following.deductions["一般"], following.deductions["严重"]) == (3, 5, 10)
    assert (following.passes_without, dict(following.pass_lines)) == (
        ("严重", "一般"),
        {"record": 60, "institution": 90},
    )
    assert following.form_weights["visit"] == 3
    assert catalogue.schemes["default"].takes("ANY-RULE", "any_form")  # rules to come as well


def test_a_plan_says_whom_when_and_how_many(schemes: Small) -> None:
    plan = schemes.write("plans/quarterly.yaml", SAMPLED).load().plans["quarterly"]
    assert plan.sampling is not None
    assert (plan.sampling.fraction, plan.sampling.minimum, plan.sampling.strata) == (0.05, 2, ("institution", "doctor"))
    assert (plan.active, plan.also_score) == (False, ("default",))
    context = plan.context(date(2024, 9, 30))
    assert (context.period_start, context.period_end) == (date(2023, 10, 1), date(2024, 9, 30))
    assert plan.context(date(2024, 10, 1)).period_start == date(2024, 10, 1)


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("schemes/strict.yaml", "extends: default", "extends: next_year", "绕成了圈"),
        ("schemes/strict.yaml", "extends: default", "extends: defalt", "没有方案 defalt"),
        ("schemes/strict.yaml", "VIS-U-*", "VIX-*", "没有规则 VIX-*"),
        ("schemes/strict.yaml", "dimensions: 完整性", "dimensions: 完整", "没有维度 完整"),
        ("schemes/strict.yaml", "forms: profile", "forms: profil", "没有表单 profil"),
        ("schemes/strict.yaml", "{VIS-L-001: 25}", "{VIS-L-002: 25}", "没有规则 VIS-L-002"),
        ("schemes/strict.yaml", "institution: 90", "institution: 900", "不在 0 至 100 之间"),
        ("schemes/strict.yaml", "visit: 3", "visit: -3", "权重不能是负数"),
        ("plans/quarterly.yaml", "minimum: 2", "size: 2", "只写一个"),
        ("plans/quarterly.yaml", "seed: 7", "sead: 7", "不认识的键“sead”"),
        ("plans/quarterly.yaml", '"10-01"', '"02-30"', "不是日期"),
        ("plans/quarterly.yaml", "[default]", "[defaults]", "没有方案 defaults"),
    ],
)
def test_faults_of_schemes_and_plans(schemes: Small, name: str, old: str, new: str, said: str) -> None:
    schemes.write("plans/quarterly.yaml", SAMPLED).change(name, old, new)
    line = schemes.line(name, new)
    told = schemes.faults()
    assert any(said in fault.problem and (fault.file, fault.line) == (name, line) for fault in told), told
