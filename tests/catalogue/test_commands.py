"""What ``phqc rules`` answers."""

from __future__ import annotations

import pytest

from phqc_pipeline.catalogue import commands
from phqc_pipeline.catalogue.layout import columns_wide
from tests.catalogue.small_catalogue import Small

RULES = "checks/visit.yaml"


def test_check_says_what_a_sound_catalogue_holds(small: Small) -> None:
    answer = commands.check(small.directory)
    assert answer.passed
    assert "表单 3 张" in answer.text
    assert "规则 6 条（单条记录 5，跨记录 1）" in answer.text


def test_check_lists_faults(small: Small) -> None:
    answer = commands.check(small.change(RULES, "assert: sbp > dbp", "assert: sbp > dpb").directory)
    assert not answer.passed
    assert f"{RULES}:{small.line(RULES, 'assert:')}  规则 VIS-L-001：" in answer.text
    assert "处理：" in answer.text


def test_examples_that_hold(small: Small) -> None:
    answer = commands.test(small.load())
    assert answer.passed, answer.text
    assert answer.text == "规则 5 条，样例 10 个，Polars 与 DuckDB 各算一遍：全部与写明的结果一致"


def test_examples_that_do_not_hold_are_told_with_their_line(small: Small) -> None:
    small.change(RULES, "fail: [{sbp: 80, dbp: 80, age: 50", "fail: [{sbp: 81, dbp: 80, age: 50")
    answer = commands.test(small.load())
    assert not answer.passed
    assert f"{RULES}:{small.line(RULES, 'fail:')}" in answer.text
    assert "1 个不一致" in answer.text


def test_list_is_a_table_of_even_columns(small: Small) -> None:
    header, *rows, total = commands.list_rules(small.load()).splitlines()
    assert total == "共 6 条"
    assert len(rows) == 6
    start = columns_wide(header[: header.index("名称")])
    for row in rows:
        wide = [columns_wide(row[:position]) for position in range(len(row))]
        assert start in wide
        assert row[wide.index(start) - 1] == " "
    assert next(row for row in rows if row.startswith("VIS-L-001")).split() == [
        "VIS-L-001", "严重", "逻辑性", "随访表", "待核", "收缩压不大于舒张压",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"form": "profile"}, ["COM-C-001", "COM-C-002", "COM-C-013"]),
        ({"form": "基本信息表"}, ["COM-C-001", "COM-C-002", "COM-C-013"]),
        ({"dimension": "唯一性"}, ["VIS-U-001"]),
        ({"severity": "一般"}, ["COM-C-013"]),
        ({"form": "visit", "dimension": "逻辑性", "severity": "严重"}, ["VIS-L-001"]),
        ({"form": "profile", "dimension": "逻辑性"}, []),
    ],
)
def test_list_filters(small: Small, asked: dict[str, str], found: list[str]) -> None:
    lines = commands.list_rules(small.load(), **asked).splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == found
    assert lines[-1] == f"共 {len(found)} 条"


def test_list_names_what_a_wrong_filter_meant(small: Small) -> None:
    catalogue = small.load()
    assert commands.list_rules(catalogue, form="vist") == "没有表单“vist”。是否应为“visit”？"
    assert "可写：完整性、规范性" in commands.list_rules(catalogue, dimension="对不上")


def test_show_a_record_rule(small: Small) -> None:
    text = commands.show(small.load(), "VIS-L-001")
    for said in (
        "VIS-L-001  收缩压不大于舒张压",
        "随访表，对象是一条记录",
        "一条记录自己就能判断",
        "逻辑（待核",
        "2017-02-28 起",
        "least = 0",
        "age（周岁）= age_at(service_date)",
        "assert    sbp > dbp",
        "收缩压 已填",
        "命中  NOT sbp > dbp",
        "不通过    sbp = 80，dbp = 80，age = 50　（相等也算）",
        f"{RULES} 第 2 行",
    ):
        assert said in text, said


def test_show_a_per_field_rule_names_its_fields(small: Small) -> None:
    text = commands.show(small.load(), "COM-F-014")
    assert "按字段展开（3 项检查）" in text
    assert "sbp 收缩压、dbp 舒张压、weight_kg 体重" in text
    assert "以 visit.sbp 为例" in text


def test_show_a_cross_rule(small: Small) -> None:
    text = commands.show(small.load(), "vis-u-001")
    assert "命中条件  同一档案同一天多于 {most} 条" in text
    assert "dbt 模型  same_day" in text
    assert "随访表：archive_no 健康档案编号、visit_date 随访日期" in text
    assert "SQL" not in text


def test_show_every_rule_of_the_small_catalogue(small: Small) -> None:
    catalogue = small.load()
    for rule in catalogue.rules:
        text = commands.show(catalogue, rule.rule_id)
        assert rule.title in text
        assert max(columns_wide(line) for line in text.splitlines()) <= 110


def test_show_an_unknown_rule_names_the_nearest(small: Small) -> None:
    with pytest.raises(LookupError, match="没有规则 VIS-L-002。是否应为 VIS-L-001"):
        commands.show(small.load(), "VIS-L-002")
