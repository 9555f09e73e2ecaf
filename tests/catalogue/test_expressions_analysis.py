"""What a compiled expression knows about itself, and how it reads to people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from phqc_pipeline.catalogue import Field
from phqc_pipeline.catalogue.examples import lake_frame
from phqc_pipeline.catalogue.expressions import (
    ExpressionError,
    check_duckdb,
    check_polars,
    names_used,
    negated,
    parse_expression,
    to_chinese,
    to_duckdb,
)
from tests.catalogue.language import CONTEXT, FORM, WORDS, parsed, value_of

EMPTIES = [
    ("sbp is null", {"sbp"}),
    ("sbp is not null", set()),
    ("not (sbp is not null)", {"sbp"}),
    ("sbp is null or dbp is null and pulse > 1", {"sbp", "dbp"}),
    ("not (sbp is null or dbp > 1)", set()),
    ("not (sbp is not null and dbp > 1)", {"sbp"}),
    ("missing(note)", {"note"}),
    ("coalesce(sbp, dbp) is null", {"sbp", "dbp"}),
    ("age is null", set()),  # a computed value, no cell to fill
    ("abs(sbp) is null", set()),
    ("case when sbp is null then true else dbp is null end", {"sbp", "dbp"}),
    ("(sbp is null) = (dbp is null)", {"sbp", "dbp"}),
    ("required_missing_count() > 1", set()),
]


@pytest.mark.parametrize(("text", "expected"), EMPTIES)
def test_columns_whose_emptiness_counts(text: str, expected: set[str]) -> None:
    assert parsed(text).empties == expected


def test_columns_read() -> None:
    assert parsed("age >= 65 and sbp > 140").reads == {"birth_date", "visit_date", "sbp"}
    assert parsed("raw(sbp) = '1' and unreadable(dbp)").reads == {"sbp", "dbp"}
    counted = parsed("required_missing_count() > 0.2 * required_count() or sbp > 1")
    assert counted.reads == {"sbp"}  # a column that is merely counted may be lacking (ruling 0a.7)
    assert parsed("vaccine_code = 'B'").reads == {"vaccine_code"}  # the date is not what the rule asks for
    assert parsed("vaccine_code = 'B'").touches == {"vaccine_code", "visit_date"}
    assert counted.touches == {"sbp", "birth_date", "visit_date", "class_code", "symptom_other", "symptom_codes"}


def test_names_used_without_a_form() -> None:
    assert names_used("age >= elder_age and sbp > 1 and today > x", WORDS, ["elder_age"]) == {"sbp", "x", "birth_date"}
    assert names_used("bmi_calc > 1", WORDS) == {"weight_kg", "height_cm"}
    assert names_used("missing(value) and required_now", WORDS) == frozenset()
    with pytest.raises(ExpressionError):
        names_used("(sbp", WORDS)


def test_negated() -> None:
    assertion = parsed("sbp < 140 and dbp < 90")
    assert value_of(negated(assertion), sbp=140) is True  # one side settles it
    assert value_of(negated(assertion), sbp=139) is None
    assert negated(negated(assertion)).node == assertion.node


PER_FIELD: list[tuple[str, str, dict[str, Any], Any]] = [
    ("typed(value) < hard_min or typed(value) > hard_max", "sbp", {"sbp": 300}, True),
    ("typed(value) < hard_min or typed(value) > hard_max", "sbp", {"sbp": 280}, False),
    ("typed(value) < hard_min or typed(value) > hard_max", "dbp", {"dbp": 29}, True),
    ("typed(value) < hard_min or typed(value) > hard_max", "dbp", {"dbp": 300}, None),  # open above
    ("value < soft_min or value > soft_max", "sbp", {"sbp": 201}, True),
    ("value < soft_min or value > soft_max", "sbp", {"sbp": 300}, None),  # unusable: COM-F-014 has reported it
    ("decimal_places(raw(value)) > scale", "weight_kg", {"weight_kg": "65.25"}, True),
    ("decimal_places(raw(value)) > scale", "weight_kg", {"weight_kg": "65.50"}, None),
    ("decimal_places(raw(value)) > scale", "sbp", {"sbp": "140.5"}, True),
    ("required_now and missing(value)", "symptom_other", {"symptom_codes": ["10"]}, True),
    ("required_now and missing(value)", "symptom_other", {"symptom_codes": ["1"]}, False),
    ("required_now and missing(value)", "note", {}, False),
    ("required_now and missing(value)", "class_code", {}, True),
    ("other_chosen and missing(value)", "symptom_other", {"symptom_codes": ["2", "10"]}, True),
    ("other_chosen and missing(value)", "class_other", {"class_code": "3"}, True),
    ("other_chosen and missing(value)", "class_other", {"class_code": "3", "class_other": "甲"}, False),
    ("other_chosen", "note", {}, False),
    ("value = other_code", "symptom_other", {"symptom_other": "10"}, True),
    (
        "contains_any(value, exclusive_codes) and cardinality(value) > 1",
        "symptom_codes",
        {"symptom_codes": "1,2"},
        True,
    ),
    ("contains_any(value, exclusive_codes) and cardinality(value) > 1", "symptom_codes", {"symptom_codes": "1"}, False),
    ("unreadable(value)", "symptom_codes", {"symptom_codes": "99"}, True),
]


@pytest.mark.parametrize(("text", "field", "cells", "expected"), PER_FIELD)
def test_per_field_names(text: str, field: str, cells: dict[str, Any], expected: Any) -> None:
    compiled = parsed(text, field=FORM.field(field))
    assert value_of(compiled, **cells) is expected


def test_a_column_the_form_lacks_reads_as_empty_when_optional() -> None:
    compiled = parsed("insulin_type is null and drug_name is null", optional=["insulin_type"])
    assert value_of(compiled, drug_name=None) is True
    assert compiled.reads == {"drug_name"}
    assert value_of(parsed("insulin_type = '1' or sbp > 1", optional=["insulin_type"]), sbp=70) is True
    assert value_of(parsed("insulin_type = '1'", optional=["insulin_type"])) is None
    assert value_of(parsed("unreadable(insulin_type)", optional=["insulin_type"])) is False


@dataclass(frozen=True)
class Check:
    """As much of a RuleCheck as composing it needs."""

    when: Any
    violated: Any


CHECKS: list[tuple[str | None, str, Mapping[str, Any], tuple[bool, bool]]] = [
    (None, "sbp > 140", {"sbp": 150}, (True, True)),
    (None, "sbp > 140", {}, (True, False)),
    ("class_code = '1'", "sbp > 140", {"class_code": "1", "sbp": 150}, (True, True)),
    ("class_code = '1'", "sbp > 140", {"sbp": 150}, (False, False)),
    ("class_code = '1'", "sbp > 140", {"class_code": "1"}, (True, False)),
    ("class_code = '1'", "sbp > 140", {"class_code": "2", "sbp": 150}, (False, False)),
]


@pytest.mark.parametrize(("when", "violated", "cells", "expected"), CHECKS)
def test_a_check_is_applicable_and_violated_or_not(
    when: str | None, violated: str, cells: Mapping[str, Any], expected: tuple[bool, bool]
) -> None:
    import duckdb

    check: Any = Check(parsed(when) if when else None, parsed(violated))
    frame = lake_frame(FORM, WORDS, [cells])
    applicable, violation = check_polars(check, CONTEXT)
    found = frame.select(a=applicable, v=violation, n="note")
    assert (found["a"][0], found["v"][0]) == expected
    with duckdb.connect() as connection:
        connection.register("lake", frame.to_arrow())
        sql = ", ".join(check_duckdb(check, CONTEXT, table="lake"))
        assert connection.execute(f"SELECT {sql} FROM lake").fetchall() == [expected]


CHINESE = [
    ("sbp >= 140 and class_code = '1'", "收缩压 ≥ 140 且 随访分类 = 1（控制满意）"),
    ("class_code in ('1', '2') or note is null", "随访分类 是 1（控制满意）、2（控制不满意） 之一 或 备注 未填"),
    ("sbp > 1 and (dbp > 1 or pulse > 1)", "收缩压 > 1 且 （舒张压 > 1 或 脉率 > 1）"),
    ("sbp > 1 and dbp > 1 or pulse > 1", "（收缩压 > 1 且 舒张压 > 1） 或 脉率 > 1"),
    ("'2' not in symptom_codes", "症状 未选 2（头痛）"),
    ("symptom_codes = ['1']", "症状 只选了 1（无症状）"),
    ("contains_any(symptom_codes, ['2', '3'])", "症状 选了 2（头痛）、3（心悸） 中任一项"),
    ("not (sbp is null)", "收缩压 已填"),
    ("not (sbp > 1 or dbp > 1)", "并非（收缩压 > 1 或 舒张压 > 1）"),
    ("age < 14", "周岁 < 14"),
    ("abs(weight_kg - 1.5) > 0.3", "|体重 − 1.5| > 0.3"),
    ("sbp - (dbp - 1) > 1", "收缩压 − （舒张压 − 1） > 1"),
    ("created_at < visit_date - interval 1 year", "录入时间 < 随访日期 前 1 年"),
    ("date_diff('day', visit_date, next_visit_date) > 14", "随访日期到下次随访日期的天数 > 14"),
    ("in_list(substr(id_card_no, 1, 6), 'CL_DRUG')", "身份证号的第 1 位起 6 位 在代码表“降压药”里"),
    ("required_missing_count() > 2", "应填而未填的字段数 > 2"),
    ("sbp > case when age >= 65 then 150 else 140 end", "收缩压 > 〔周岁 ≥ 65时取 150，否则取 140〕"),
    ("today > '2024-01-01'", "快照日期 > 2024-01-01"),
    ("created_at > created_at + interval 2 hour", "录入时间 > 录入时间 后 2 小时"),
    ("not has_time(created_at)", "录入时间 没有写时刻"),
    (
        "growth_z('weight_kg', weight_kg, sex_code, birth_date, visit_date) > 3",
        "体重的 Z 值（按性别和出生日期到随访日期的年龄） > 3",
    ),
]


@pytest.mark.parametrize(("text", "expected"), CHINESE)
def test_reads_in_chinese(text: str, expected: str) -> None:
    assert to_chinese(parsed(text), WORDS) == expected


PLAIN = [
    ("sbp >= 140 and class_code = '1'", "sbp >= 140 AND class_code = '1'"),
    ("class_code not in ('1', '2')", "class_code NOT IN ('1', '2')"),
    ("sbp is not null", "sbp IS NOT NULL"),
    ("coalesce(sbp, dbp) is null", "coalesce(sbp, dbp) IS NULL"),
    ("weight_kg / height_cm > 0.5", "round(weight_kg / nullif(height_cm, 0), 6) > 0.5"),
    ("sbp - (dbp + 1) > 2", "sbp - (dbp + 1) > 2"),
    ("(sbp > 1 or dbp > 1) and not pulse > 1", "(sbp > 1 OR dbp > 1) AND NOT pulse > 1"),
    ("visit_date > today - interval 1 year", "visit_date > CAST(today - INTERVAL 1 YEAR AS DATE)"),
    ("required_count() > 1", "required_count() > 1"),
    ("created_at > created_at + interval 2 hour", "created_at > CAST(created_at + INTERVAL 2 HOUR AS TIMESTAMP)"),
    (
        "growth_z('weight_kg', weight_kg, sex_code, birth_date, visit_date) > 3",
        "growth_z('weight_kg', weight_kg, sex_code, birth_date, visit_date) > 3",
    ),
]


@pytest.mark.parametrize(("text", "expected"), PLAIN)
def test_plain_sql_for_readers(text: str, expected: str) -> None:
    assert to_duckdb(parsed(text), None, plain=True) == expected


def test_expressions_of_the_same_tree_are_equal() -> None:
    first, second = parsed("sbp > 140 and age > 65"), parse_expression("sbp>140 and age>65", FORM, WORDS)
    assert first.node == second.node
    assert hash(first.node) == hash(second.node)


def test_quotes_cannot_break_out_of_the_sql() -> None:
    assert value_of("note = 'a''b'", note="a'b") is True
    odd = Field(name='a"b', title="怪", type="text", kind="text")
    assert '"a""b"' in to_duckdb(parsed("value is null", field=odd), CONTEXT)
