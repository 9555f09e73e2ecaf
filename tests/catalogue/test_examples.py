"""Examples judged: what a rule's author writes, and what is said when it does not come out so."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from phqc_pipeline.catalogue import Catalogue, Field, Form, Rule, RuleCheck
from phqc_pipeline.catalogue.examples import ExampleFailure, lake_frame, run_examples
from phqc_pipeline.catalogue.expressions import negated, parse_expression, render_duckdb
from phqc_pipeline.catalogue.model import Example, PerField, Place
from tests.catalogue.language import FORM, WORDS

OTHER_FORM = Form(
    "exam", "体检表", (FORM.field("sbp"), FORM.field("birth_date"), FORM.field("visit_date")), "visit_date"
)


def catalogue(*rules: dict[str, Any], forms: tuple[Form, ...] = (FORM,)) -> Catalogue:
    """A catalogue of rules given as YAML would give them (``pass_`` and ``fail`` lists of records)."""
    by_form: dict[str, list[RuleCheck]] = {form.form_id: [] for form in forms}
    made = []
    for source in rules:
        rule = Rule(
            rule_id=source.get("id", "TST-L-001"),
            version=1,
            title="试",
            forms=tuple(by_form),
            form_ids=tuple(source.get("form_ids", by_form)),
            carrier="pandera",
            dimension="逻辑性",
            severity="一般",
            grain="row",
            message="",
            when=source.get("when"),
            per_field=PerField() if "fields" in source else None,
            pass_examples=tuple(Example(values, place=Place("checks/t.yaml", 7)) for values in source.get("pass_", ())),
            fail_examples=tuple(Example(values, place=Place("checks/t.yaml", 9)) for values in source.get("fail", ())),
        )
        made.append(rule)
        for form in forms:
            if form.form_id in rule.form_ids:
                for name in source.get("fields", [""]):
                    by_form[form.form_id].append(_check(rule, source, form, form.field(name) if name else None))
    checks = {form_id: tuple(found) for form_id, found in by_form.items()}
    return Catalogue(
        Path("rules"),
        {form.form_id: form for form in forms},
        WORDS.codes,
        WORDS.derived,
        tuple(made),
        checks_by_form=checks,
    )


def _check(rule: Rule, source: dict[str, Any], form: Form, field: Field | None) -> RuleCheck:
    params = source.get("params", {})
    when = parse_expression(rule.when, form, WORDS, params, field=field) if rule.when else None
    judged = parse_expression(source.get("violated") or source["assert"], form, WORDS, params, field=field)
    violated = judged if "violated" in source else negated(judged)
    return RuleCheck(rule, form.form_id, field.name if field else "", when, violated, violated.reads)


def failures(*rules: dict[str, Any], forms: tuple[Form, ...] = (FORM,)) -> list[ExampleFailure]:
    return run_examples(catalogue(*rules, forms=forms))


CONTROLLED = {
    "when": "class_code = '1' and sbp is not null and dbp is not null and age is not null",
    "assert": "dbp < 90 and sbp < case when age >= 65 then 150 else 140 end",
}


def test_examples_that_come_out_as_written() -> None:
    rule = {
        **CONTROLLED,
        "pass_": [
            {"class_code": "1", "sbp": 139, "dbp": 89, "age": 50},
            {
                "class_code": "控制满意",
                "sbp": 149,
                "dbp": 89,
                "birth_date": date(1950, 1, 1),
                "visit_date": "2024-05-01",
            },
            {"class_code": "1", "sbp": 400, "dbp": 89, "age": 50},
        ],
        "fail": [
            {"class_code": "1", "sbp": 140, "dbp": 89, "age": 50},
            {"class_code": "1", "sbp": 140, "dbp": 89, "birth_date": "1959-05-02", "visit_date": "2024-05-01"},
        ],
    }
    assert failures(rule) == []


def test_examples_that_do_not() -> None:
    rule = {
        **CONTROLLED,
        "pass_": [
            {"class_code": "1", "sbp": 140, "dbp": 89, "age": 50},
            {"class_code": "1", "sbp": 1, "dbp": 1, "age": 5},
        ],
        "fail": [{"class_code": "1", "sbp": 140, "dbp": 89, "age": 65}, {"class_code": "2", "sbp": 200, "dbp": 89}],
    }
    said = [str(failure) for failure in failures(rule)]
    assert said[0] == (
        "checks/t.yaml:7  规则 TST-L-001（visit）应通过的示例 {class_code: 1, sbp: 140, dbp: 89, age: 50}："
        "却判为违规（前提成立、违规条件成立）"
    )
    assert said[1].startswith("checks/t.yaml:9")
    assert "却没有判为违规（前提成立、违规条件不成立）" in said[1]
    assert "却没有判为违规（前提不成立、违规条件" in said[2]
    assert len(said) == 3


def test_passing_examples_that_show_nothing() -> None:
    rule = {
        **CONTROLLED,
        "pass_": [{"class_code": "2", "sbp": 139, "dbp": 89, "age": 50}, {"class_code": "1", "sbp": 400}],
        "fail": [{"class_code": "1", "sbp": 140, "dbp": 89, "age": 50}],
    }
    assert ["应通过的示例没有一条满足前提" in failure.problem for failure in failures(rule)] == [True]


def test_a_given_derived_name_or_context_wins() -> None:
    rule = {
        "violated": "age >= 65 and visit_date > period_start and today > '2023-06-01'",
        "pass_": [
            {"age": 64, "birth_date": "1900-01-01", "visit_date": "2024-05-01"},
            {"age": None, "birth_date": "1900-01-01", "visit_date": "2024-05-01"},
            {"age": 70, "visit_date": "2024-05-01", "period_start": "2024-06-01"},
            {"age": 70, "visit_date": "2024-05-01", "today": "2023-06-01"},
        ],
        "fail": [
            {"birth_date": "1900-01-01", "visit_date": "2024-05-01"},
            {"age": 70, "visit_date": "2023-05-01", "today": date(2023, 7, 1)},  # the period is today's year
        ],
    }
    assert failures(rule) == []
    hidden = {"violated": "age is null", "fail": [{"age": None, "birth_date": "坏"}], "pass_": [{"birth_date": "坏"}]}
    assert failures(hidden) == []


def test_unknown_names_are_pointed_out() -> None:
    rule = {"violated": "sbp > 140", "pass_": [{"sbpp": 100}], "fail": [{"sbp": 150}]}
    assert "示例里的 sbpp 不是字段" in failures(rule)[0].problem
    assert "是否应为 sbp" in failures(rule)[0].problem


def test_a_generic_rule_is_tried_on_every_form_that_has_the_columns() -> None:
    rule = {
        "violated": "sbp > 140",
        "pass_": [{"sbp": 100}],
        "fail": [{"sbp": 150}, {"sbp": 150, "note": "只有一张表有"}],
    }
    assert failures(rule, forms=(FORM, OTHER_FORM)) == []
    wrong = {"violated": "sbp > 140", "pass_": [{"sbp": 150, "form": "exam"}], "fail": [{"sbp": 150, "form": "none"}]}
    found = failures(wrong, forms=(FORM, OTHER_FORM))
    assert [(failure.kind, failure.form_id) for failure in found] == [("fail", "visit,exam"), ("pass", "exam")]
    assert "用 form: 指明表单" in found[0].problem


def test_per_field_examples() -> None:
    rule = {
        "violated": "typed(value) < hard_min or typed(value) > hard_max",
        "fields": ["sbp", "dbp", "pulse"],
        "pass_": [{"sbp": 280}, {"field": "dbp", "value": 300}, {"sbp__raw": "不清"}, {"value": 60}],
        "fail": [{"sbp": 281}, {"pulse": 201}, {"field": "pulse", "value": 201}, {"sbp": 100, "dbp": 1}],
    }
    assert failures(rule) == []
    rule["fail"] = [{"field": "sbp", "value": 100}, {"field": "note", "value": 1}]
    assert [failure.field for failure in failures(rule)] == ["", "sbp"]


def test_engines_that_disagree_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(render_duckdb._SPECIAL, "like", lambda renderer, node: "FALSE")
    rule = {"violated": "note like '%a%'", "pass_": [{"note": "b"}], "fail": [{"note": "a"}]}
    found = failures(rule)
    assert [failure.kind for failure in found] == ["fail"]
    assert "两种引擎判得不一样：Polars 前提成立、违规条件成立；DuckDB 前提成立、违规条件不成立" in found[0].problem


def test_only_the_rules_asked_for() -> None:
    rules = [
        {"id": f"TST-L-00{n}", "violated": "sbp > 1", "pass_": [{"sbp": 100}], "fail": [{"sbp": 0}]} for n in (1, 2)
    ]
    found = run_examples(catalogue(*rules), ["TST-L-002"])
    assert {failure.rule_id for failure in found} == {"TST-L-002"}


CELLS: list[tuple[str, Any, Any, str | None]] = [
    ("sbp", 140, 140.0, None),
    ("sbp", "140", 140.0, None),
    ("sbp", "约140", None, "约140"),
    ("sbp", "拒查", None, None),
    ("sbp", "140.5", 140.5, "140.5"),
    ("weight_kg", 65.5, 65.5, None),
    ("weight_kg", "65.50", 65.5, None),
    ("weight_kg", 65.25, 65.25, "65.25"),
    ("vision", "盲", None, "盲"),
    ("visit_date", date(2024, 1, 2), date(2024, 1, 2), None),
    ("visit_date", "2024-02-30", None, "2024-02-30"),
    ("visit_date", "2024/1/2", date(2024, 1, 2), None),
    ("visit_date", "20240102", date(2024, 1, 2), None),
    ("visit_date", "2024年1月2日", date(2024, 1, 2), None),
    ("visit_date", "2024.1.2 8:30", date(2024, 1, 2), None),
    ("visit_date", "2024-05", None, "2024-05"),
    ("visit_date", "2024-W01-1", None, "2024-W01-1"),
    ("onset_month", "2024年5月", date(2024, 5, 1), None),
    ("visit_date", "/", None, None),
    ("onset_month", "2024-05", date(2024, 5, 1), None),
    ("created_at", "2024-05-01 08:30", datetime.fromisoformat("2024-05-01 08:30"), None),
    ("created_at", date(2024, 5, 1), datetime.fromisoformat("2024-05-01"), None),
    ("class_code", "控制满意", "1", None),
    ("class_code", 1, "1", None),
    ("class_code", "9", None, "9"),
    ("class_code", "-", None, None),
    ("symptom_codes", ["1", "头痛"], ["1", "2"], None),
    ("symptom_codes", "2；10", ["2", "10"], None),
    ("symptom_codes", ["2", "99"], None, "2,99"),
    ("symptom_codes", [], None, None),
    ("note", " 空格", "空格", " 空格"),
    ("note", "无", "无", None),
    ("note", "", None, None),
]


@pytest.mark.parametrize(("name", "written", "value", "raw"), CELLS)
def test_cells_are_converted_as_on_delivery(name: str, written: Any, value: Any, raw: str | None) -> None:
    frame = lake_frame(FORM, WORDS, [{name: written}])
    found = frame[name].to_list()[0]
    assert (found, frame[name + "__raw"][0]) == (value, raw)


def test_the_frame_has_the_lakes_types() -> None:
    frame = lake_frame(FORM, WORDS, [{}])
    assert frame.columns == [column for field in FORM.fields for column in (field.name, field.name + "__raw")]
    expected = {
        "note": pl.String,
        "class_code": pl.String,
        "sbp": pl.Float64,
        "weight_kg": pl.Float64,
        "visit_date": pl.Date,
        "onset_month": pl.Date,
        "created_at": pl.Datetime("us"),
        "symptom_codes": pl.List(pl.String),
        "sbp__raw": pl.String,
    }
    assert {name: frame.schema[name] for name in expected} == expected
