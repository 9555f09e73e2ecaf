"""What the rule language refuses, and that it says everything that is wrong with a way out."""

from __future__ import annotations

from datetime import date

import pytest

from phqc_pipeline.catalogue.expressions import FUNCTIONS, ExpressionError, parse_expression
from phqc_pipeline.catalogue.expressions.patterns import PatternError, portable_regex
from phqc_pipeline.catalogue.model import Derived
from tests.catalogue.language import FORM, WORDS, Words

REFUSED = [
    # names
    ("sbpp > 140", "没有字段 sbpp", "改为 sbp"),
    ("收缩压 > 140", "没有字段 收缩压", "改为 sbp"),
    ("高压 > 140", "没有字段 高压", "改为 sbp"),
    ("zzzz > 140", "没有字段 zzzz", "rules/forms/"),
    ("visit.sbp > 140", "带表名", "只写列名"),
    ("value > 140", "value 只能用在按字段展开的规则里", "per_field"),
    # functions
    ("lenght(note) > 1", "没有函数 lenght", "改为 length"),
    ("xyzzy(sbp, 2) > 1", "没有函数 xyzzy", "语言说明"),
    ("exists(select 1)", "没有函数 exists", ""),
    ("count(*) > 1", "没有函数 count", ""),
    ("substr(note) = 'a'", "参数个数不对（写了 1 个）", "substr(文本, 起始位, [长度])"),
    ("substr(note, 0, 1) = 'a'", "起始位从 1 起", ""),
    ("length(sbp) > 1", "不能是整数", "length(文本)"),
    ("round(weight_kg, 9) > 1", "小数位数", ""),
    ("raw(sbp + 1) = 'a'", "只能写字段名", ""),
    ("date_diff('week', visit_date, today) > 1", "单位是", ""),
    ("in_list(note, 'CL_DRUGS')", "没有代码表 CL_DRUGS", "改为 CL_DRUG"),
    ("in_list(note, drug_name)", "固定值或参数", ""),
    ("list_attr(note, 'CL_DRUG', 'max_dos') > 1", "没有属性 max_dos", "改为 max_dose"),
    ("regexp(note, '(?=a)')", "不能用", "正则"),
    # types
    ("sbp = '140'", "整数不能与文本比较", "数字不要加引号"),
    ("class_code = 1", "不能与整数比较", "代码要加引号"),
    ("visit_date > 20240101", "不能与整数比较", ""),
    ("visit_date > '2024-1-1'", "'2024-1-1' 不是日期", "2009-01-01"),
    ("visit_date > '2024-02-30'", "不是日期", ""),
    ("sbp", "这里要一个条件", ""),
    ("sbp and dbp > 1", "这里要一个条件", ""),
    ("visit_date + 30 > today", "日期不能直接加减", "interval"),
    ("today - visit_date > 30", "日期不能直接加减", "date_diff"),
    ("note + drug_name = 'ab'", "文本不能相加", "concat"),
    ("note * 2 > 1", "文本不能参加计算", "cast"),
    ("symptom_codes = '1'", "多选代码不能与文本比较", "'2' in x_codes"),
    ("symptom_codes in ('1')", "多选字段不能写在 in 的左边", "contains_any"),
    ("sbp in symptom_codes", "左边应是文本代码", ""),
    ("symptom_codes > ['1']", "只能与固定的代码列表比相等", ""),
    ("['1', sbp] = symptom_codes", "方括号里", ""),
    ("coalesce(sbp, note) = 'a'", "类型不同", ""),
    ("case when sbp > 1 then 1 else 'a' end = 1", "类型不同", ""),
    ("visit_date - interval sbp day > today", "推算日期的写法不对", ""),
    ("sbp + interval 1 day > today", "左边要是日期", ""),
    ("visit_date + interval 1 week > today", "推算日期的写法不对", ""),
    ("cast(visit_date as int) > 1", "不支持的转换", ""),
    ("cast(weight_kg as varchar) = '1'", "不支持的转换", "round"),
    ("visit_date + interval 2 hour > created_at", "日期没有时刻，不能加减小时", "dt"),
    ("date(created_at) + interval 5 minute > created_at", "日期没有时刻，不能加减分钟", ""),
    ("has_time(visit_date)", "不能是日期", "has_time(日期时间)"),
    ("growth_z('weight', weight_kg, sex_code, birth_date, visit_date) > 3", "没有指标 weight 的", "改为 weight_kg"),
    ("growth_z('xxxxxx', weight_kg, sex_code, birth_date, visit_date) > 3", "没有指标 xxxxxx 的", "可用的指标"),
    ("growth_z(note, weight_kg, sex_code, birth_date, visit_date) > 3", "固定值或参数", ""),
    ("(sbp > 1) > (dbp > 1)", "不能与判断", ""),
    # codes
    ("class_code = '9'", "没有 '9'", "1 控制满意"),
    ("class_code = '控制满意'", "没有 '控制满意'", "改为 '1'"),
    ("class_code not in ('1', '09')", "没有 '09'", ""),
    ("'99' in symptom_codes", "没有 '99'", ""),
    ("only(symptom_codes, '99')", "没有 '99'", ""),
    ("contains_any(symptom_codes, ['1', '99'])", "没有 '99'", ""),
    ("symptom_codes = ['99']", "没有 '99'", ""),
    # NULL and syntax
    ("sbp = null", "与 NULL 比较永远不成立", "is null"),
    ("sbp in (1, null)", "不能有 NULL", ""),
    ("sbp in ()", "列表里要有值", ""),
    ("sbp is true", "is 后面只能是 null", ""),
    ("sbp in (select 1)", "不支持子查询", "dbt"),
    ("case sbp when 1 then 2 end = 1", "不支持 case 后面直接跟值", "case when"),
    ("note like drug_name", "固定的文本样式", ""),
    ("note ilike 'a'", "不支持的写法", ""),
    ("interval 1 day", "interval 只能写在", ""),
    ("symptom_codes[1] = '1'", "不支持的写法", ""),
    ("sbp > 1; drop table x", "不支持的写法", ""),
    ("(sbp > 1", "写法不通", "括号"),
    ("sbp > 1 and", "写法不通", ""),
    ("note = 'a", "写法不通", "引号"),
    ("", "表达式是空的", ""),
    ("  ", "表达式是空的", ""),
]


def faults_of(text: str, **more: object) -> list[str]:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text, FORM, WORDS, **more)  # type: ignore[arg-type]
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(("text", "problem", "remedy"), REFUSED)
def test_refused_with_a_remedy(text: str, problem: str, remedy: str) -> None:
    faults = faults_of(text)
    assert len(faults) == 1, faults
    said, _, to_do = faults[0].partition("。处理：")
    assert problem in said
    assert remedy in to_do
    assert to_do.strip()
    assert "phqc__" not in faults[0]


def test_every_fault_is_reported_at_once() -> None:
    faults = faults_of("sbpp > 1 and lenght(note) > 2 or class_code = '9' and sbp = '140' and visit_date > '坏'")
    assert [fault.partition("。")[0] for fault in faults] == [
        "表单 visit 没有字段 sbpp，也没有这个派生名或参数",
        "没有函数 lenght",
        "字段 class_code 的代码表 CL_CLASS 里没有 '9'",
        "整数不能与文本比较：sbp = '140'",
        "'坏' 不是日期",
    ]


def test_one_fault_is_not_reported_twice() -> None:
    assert len(faults_of("sbpp > 1 or sbpp > 2")) == 1
    assert len(faults_of("abs(floor(sbpp) + 1) > 1")) == 1


def test_parameters_that_shadow_a_field_or_cannot_be_used() -> None:
    assert "重名" in faults_of("sbp > dbp", params={"sbp": 1})[0]
    assert "重名" in faults_of("sbp > 1", params={"age": 1})[0]
    assert "不能用在这里" in faults_of("sbp > limit_map", params={"limit_map": {"a": 1}})[0]
    assert "改为 sbp_limit" in faults_of("sbp > sbp_limt", params={"sbp_limit": 1})[0]


def test_parameters_take_their_place() -> None:
    params = {
        "n": 3,
        "x": 1.5,
        "codes": ["1", "2"],
        "first_day": date(2024, 1, 1),
        "flag": True,
        "values": [1, 2],
        "text": "a",
    }
    for text in (
        "sbp > n and weight_kg > x",
        "class_code in codes and class_code in (codes)",
        "contains_any(symptom_codes, codes)",
        "visit_date > first_day and flag",
        "sbp in values",
        "note = text",
        "visit_date > today - interval n day",
        "substr(note, n, n) = text",
    ):
        assert parse_expression(text, FORM, WORDS, params).type == "bool"


def test_derived_names_say_what_the_form_lacks() -> None:
    words = Words(WORDS.codes, {**WORDS.derived, "far": Derived("far", "远", "abs(longitude)")})
    with pytest.raises(ExpressionError, match=r"派生名 far（abs\(longitude\)）：.*没有字段 longitude"):
        parse_expression("far > 1", FORM, words)
    loop = Words(WORDS.codes, {"a": Derived("a", "甲", "b"), "b": Derived("b", "乙", "a")})
    with pytest.raises(ExpressionError, match="绕回自己"):
        parse_expression("a > 1", FORM, loop)


def test_result_type() -> None:
    assert "结果应为日期" in faults_of("sbp + 1", expect="date")[0]
    assert parse_expression("sbp + 1", FORM, WORDS, expect="num").type == "int"


@pytest.mark.parametrize(
    "pattern",
    [
        *("(?=a)", "(?!a)", "(?<=a)b", r"(a)\1", "(?P<x>a)", "(?m)a", r"\bword", "a{,3}", "[a&&b]", "[[:alpha:]]"),
        *(r"[^\W]", "(", "a**", "[a", "a\\", r"\u4e00", r"\p"),
    ],
)
def test_patterns_the_engines_would_not_share(pattern: str) -> None:
    with pytest.raises(PatternError):
        portable_regex(pattern)


def test_patterns_are_spelled_out() -> None:
    assert portable_regex(r"^\d{3}[\d-]+\s\.\w$") == r"^[0-9]{3}[0-9-]+[\t\n\f\r ]\.[0-9A-Za-z_]$"
    assert portable_regex(r"[[a]\D") == r"[\[a][^0-9]"
    assert portable_regex(r"[]a]\/") == r"[]a]/"


def test_signatures_read_well() -> None:
    assert FUNCTIONS["round"].signature == "round(数值, [小数位数])"
    assert FUNCTIONS["coalesce"].signature == "coalesce(值, …)"
    assert FUNCTIONS["required_count"].signature == "required_count()"
