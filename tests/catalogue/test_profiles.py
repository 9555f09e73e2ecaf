"""Local figures: what a profile overrides, what it may not say, and how a plan comes to use one."""

from __future__ import annotations

import pytest

from phqc_pipeline.catalogue import commands, for_plan, with_profile
from phqc_pipeline.catalogue.model import Catalogue, Rule
from tests.catalogue.small_catalogue import Small

COUNTY = "profiles/county.yaml"
TOWN = "profiles/town.yaml"
COUNTY_TEXT = """\
profile_id: county
title: 甲县
level: county
applies_to: {regions: ['6543']}
basis: 甲县办法
verified: false
params:
  VIS-L-001: {least: {value: 18, why: 只查成人}}
  VIS-U-001: {most: 2}
required:
  visit:
    drug_name: {when: sbp >= 140, why: 血压高要用药}
    weight_kg: Y
    sbp: N
"""
TOWN_TEXT = """\
profile_id: town
title: 甲县乙镇
level: institution
extends: county
applies_to: {institutions: ['654301101000']}
basis: 乙镇办法
verified: true
params:
  VIS-L-001: {least: 35}
required:
  visit: {sbp: Y}
"""


@pytest.fixture
def local(small: Small) -> Small:
    return small.write(COUNTY, COUNTY_TEXT).write(TOWN, TOWN_TEXT)


def rule_of(cat: Catalogue, rule_id: str) -> Rule:
    (rule,) = cat.versions(rule_id)
    return rule


def test_a_profile_overrides_and_remembers_where_from(local: Small) -> None:
    cat = local.load()
    county = with_profile(cat, "county")
    rule = rule_of(county, "VIS-L-001")
    assert rule.params == {"least": 18}
    override = rule.overrides["least"]
    assert (override.value, override.default, override.profile_id, override.why) == (18, 0, "county", "只查成人")
    assert (override.place.file, override.place.line) == (COUNTY, local.line(COUNTY, "  VIS-L-001"))
    assert rule.fingerprint != rule_of(cat, "VIS-L-001").fingerprint
    assert rule_of(county, "VIS-U-001").overrides["most"].why == "甲县办法"  # no reason of its own: the profile's basis
    assert rule_of(county, "COM-C-001").fingerprint == rule_of(cat, "COM-C-001").fingerprint
    assert county.fingerprint not in ("", cat.fingerprint)
    assert (cat.profile, rule_of(cat, "VIS-L-001").params) == (None, {"least": 0})


def test_a_requirement_is_judged_as_the_profile_says(local: Small) -> None:
    cat = local.load()
    county = with_profile(cat, "county")
    judged = {check.field for check in county.checks("visit") if check.rule.rule_id == "COM-C-013"}
    before = {check.field for check in cat.checks("visit") if check.rule.rule_id == "COM-C-013"}
    assert (judged - before, before - judged) == ({"drug_name", "weight_kg"}, {"sbp"})
    field = county.form("visit").field("drug_name")
    assert (field.required, field.required_when, field.condition_reads) == ("when", "sbp >= 140", {"sbp"})
    assert field.required_override is not None
    assert field.required_override.default.required == "never"
    assert county.form("visit").extract_fingerprint == cat.form("visit").extract_fingerprint  # files are read as ever


def test_what_extends_another_adds_to_it(local: Small) -> None:
    town = with_profile(local.load(), "town")
    assert rule_of(town, "VIS-L-001").params == {"least": 35}
    assert rule_of(town, "VIS-U-001").params == {"most": 2}
    assert rule_of(town, "VIS-U-001").overrides["most"].profile_id == "county"
    assert town.form("visit").field("sbp").required == "always"
    assert town.form("visit").field("weight_kg").required == "always"


def test_a_profile_that_nobody_uses_changes_nothing(small: Small) -> None:
    before = small.load()
    after = small.write(COUNTY, COUNTY_TEXT).load()
    assert after.fingerprint == before.fingerprint
    assert for_plan(after, "nightly") is after


def test_a_plan_judges_by_the_profile_of_its_scheme(local: Small) -> None:
    cat = local.append("schemes/default.yaml", "profile: county\n").load()
    judging = for_plan(cat, "nightly")
    assert judging.profile is cat.profiles["county"]
    assert rule_of(judging, "VIS-L-001").params == {"least": 18}


def test_a_plan_must_not_judge_others_by_it(local: Small) -> None:
    local.append("schemes/default.yaml", "profile: county\n")
    local.change("plans/nightly.yaml", "institutions: all", "institutions: ['654301101000', '110101001']")
    assert local.only_fault().problem == "机构 110101001 不在方案所用本地参数 county 的适用范围内"


@pytest.mark.parametrize(
    ("old", "new", "problem", "remedy"),
    [
        ("VIS-L-001: {", "VIS-L-002: {", "没有规则 VIS-L-002", "VIS-L-001"),
        ("least: {value", "lest: {value", "规则 VIS-L-001 没有参数 lest", "least"),
        ("value: 18", "value: 十八", "VIS-L-001 的参数 least 写成了“十八”，默认值是 0", "同一种值"),
        ("  visit:\n", "  vist:\n", "没有表单 vist", "visit"),
        ("weight_kg: Y", "wieght_kg: Y", "表单 visit 没有字段 wieght_kg", "weight_kg"),
        ("when: sbp >= 140", "when: spb >= 140", "必填条件：表单 visit 没有字段 spb，也没有这个派生名或参数", "sbp"),
        ("weight_kg: Y", "weight_kg: 必填", "weight_kg 写成了 '必填'", "写 Y、N"),
        ("why: 血压高", "wyh: 血压高", "不认识的键“wyh”", "why"),
        ("profile_id: county", "profile_id: country", "profile_id 是 country，文件名却是 county.yaml", "country.yaml"),
        ("level: county", "level: city", "level 的值 'city' 不在允许之列", "county"),
        ("level: county", "level: institution", "institution 一级没有写适用的机构", "institutions"),
        ("['6543']", "['新疆']", "区划“新疆”不是数字", "6543"),
        ("level: county", "level: county\nextends: county", "绕一圈又回到自己（county）", "extends"),
        ("level: county", "level: county\nextends: province", "没有本地参数 province", "extends"),
    ],
)
def test_what_a_profile_may_not_say(small: Small, old: str, new: str, problem: str, remedy: str) -> None:
    small.write(COUNTY, COUNTY_TEXT).change(COUNTY, old, new)
    fault = small.only_fault()
    assert fault.problem == problem
    assert remedy in fault.remedy
    where = new.split("\n")[-1]
    assert (fault.file, fault.line) == (COUNTY, small.line(COUNTY, where if where.strip() else new.strip()))


def test_a_value_must_make_sense_in_the_rule(small: Small) -> None:
    small.change("checks/visit.yaml", "params: {least: 0}", "params: {least: 0, status: '1'}")
    small.change("checks/visit.yaml", "when: sbp is not null", "when: record_status = status and sbp is not null")
    small.change("checks/visit.yaml", "pass: [{sbp", "pass: [{record_status: '1', sbp")
    small.change("checks/visit.yaml", "fail: [{sbp", "fail: [{record_status: '1', sbp")
    small.write(COUNTY, COUNTY_TEXT).change(COUNTY, "least: {value: 18, why: 只查成人}", "status: '7'")
    fault = small.only_fault()
    assert fault.problem == "规则 VIS-L-001 不能用这个值：字段 record_status 的代码表 CL_STATUS 里没有 '7'"
    assert fault.line == small.line(COUNTY, "  VIS-L-001")


def test_a_scheme_must_name_a_profile_there_is(local: Small) -> None:
    fault = local.append("schemes/default.yaml", "profile: conty\n").only_fault()
    assert (fault.problem, "county" in fault.remedy) == ("没有本地参数 conty", True)


def test_show_says_what_holds_and_why(local: Small) -> None:
    cat = local.load()
    told = " ".join(commands.show(cat, "VIS-L-001", "town").split())
    assert "参数 least = 35" in told
    assert "town 甲县乙镇（机构，依据：乙镇办法）" in told
    assert "least：默认 0，甲县乙镇改为 35；乙镇办法" in told
    required = " ".join(commands.show(cat, "COM-C-013", "county").split())
    assert "随访表 drug_name 药名：选填，甲县改为 sbp >= 140 时必填；血压高要用药" in required
    assert "对本条没有改动" in commands.show(cat, "COM-C-001", "county")
    assert "本地参数" not in commands.show(cat, "VIS-L-001")
    with pytest.raises(LookupError, match="没有本地参数 conty。是否应为 county"):
        commands.show(cat, "VIS-L-001", "conty")


def test_examples_that_a_profile_changes_are_told_and_no_failure(local: Small) -> None:
    local.change("checks/visit.yaml", "age: 50, note", "age: 17, note")
    answer = commands.test(local.load(), "county")
    assert answer.passed
    assert "规则 VIS-L-001（visit/sbp）应不通过的示例 {sbp: 80, dbp: 80, age: 17}：却没有判为违规" in answer.text
    assert "本地参数" not in commands.test(local.load()).text


def test_the_shipped_profile_is_not_in_use() -> None:
    from phqc_pipeline.catalogue import load_catalogue
    from phqc_pipeline.home import DEFAULT_RULES

    cat = load_catalogue(DEFAULT_RULES)
    assert set(cat.profiles) == {"altay_city"}
    assert not cat.profiles["altay_city"].verified
    assert for_plan(cat, "nightly") is cat
    local = with_profile(cat, "altay_city")
    assert rule_of(local, "HTN-T-003").params["max_gap_days"] == 110
