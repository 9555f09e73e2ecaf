"""A small form and vocabulary to try the rule language on, and one expression judged on one record in both engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import duckdb

from phqc_pipeline.catalogue import CodeList, Context, Field, Form
from phqc_pipeline.catalogue.examples import lake_frame
from phqc_pipeline.catalogue.expressions import Expression, parse_expression, to_duckdb, to_polars
from phqc_pipeline.catalogue.growth import read_growth
from phqc_pipeline.catalogue.model import Code, DatedCodes, Derived, GrowthTable, OtherOf
from phqc_pipeline.catalogue.reading import Reader
from phqc_pipeline.home import DEFAULT_RULES

CONTEXT = Context.natural_year(date(2024, 12, 31))


@dataclass
class Words:
    """The part of a catalogue the language needs."""

    codes: dict[str, CodeList] = field(default_factory=dict)
    derived: dict[str, Derived] = field(default_factory=dict)
    growth: Mapping[str, GrowthTable] = field(default_factory=dict)


def _field(name: str, title: str, kind: Any, **more: Any) -> Field:
    return Field(name=name, title=title, type=kind, kind=kind, **more)


# B from 2024-02-29 on, C but from 2009 to 2023, D until 1999 and again from 2024-12-30 on; A always.
DATED = DatedCodes(
    "visit_date",
    "date",
    (
        (("B",), ((date(2024, 2, 29), None),)),
        (("C",), ((date(2009, 1, 1), date(2023, 12, 31)),)),
        (("D",), ((None, date(1999, 12, 31)), (date(2024, 12, 30), None))),
    ),
)

FORM = Form(
    "visit",
    "随访表",
    (
        _field("id_card_no", "身份证号", "text"),
        _field("birth_date", "出生日期", "date", required="always"),
        _field("sex_code", "性别", "code", codes="CL_SEX"),
        _field("visit_date", "随访日期", "date", required="always"),
        _field("next_visit_date", "下次随访日期", "date"),
        _field("onset_month", "发病年月", "ym"),
        _field("created_at", "录入时间", "dt"),
        _field("sbp", "收缩压", "int", hard=(60, 280), soft=(90, 200), synonyms=("高压",)),
        _field("dbp", "舒张压", "int", hard=(30, None)),
        _field("pulse", "脉率", "int", hard=(None, 200)),
        _field("height_cm", "身高", "dec", scale=1),
        _field("weight_kg", "体重", "dec", scale=1),
        _field("vision", "视力", "dec", scale=1, hard=(0, 5.3), text_values={"盲": "无光感", "光感": "仅有光感"}),
        _field("symptom_codes", "症状", "multi", codes="CL_SYMPTOM", exclusive=("1",)),
        _field(
            "symptom_other",
            "症状-其他",
            "text",
            other_of=OtherOf("symptom_codes", "10"),
            required="when",
            required_when="'10' in symptom_codes",
        ),
        _field("class_code", "随访分类", "code", codes="CL_CLASS", required="always"),
        _field("class_other", "随访分类-其他", "text", other_of=OtherOf("class_code", "3")),
        _field("drug_name", "药名", "text"),
        _field("vaccine_code", "疫苗", "code", codes="CL_VACCINE", dated_codes=DATED),
        _field("vaccine_codes", "疫苗（多选）", "multi", codes="CL_VACCINE", dated_codes=DATED),
        _field("note", "备注", "text"),
    ),
    service_date="visit_date",
)

WORDS = Words(
    codes={
        entry.list_id: entry
        for entry in (
            CodeList("CL_SEX", "性别", (Code("1", "男性", ("男",)), Code("2", "女性", ("女",)))),
            CodeList(
                "CL_SYMPTOM", "症状", (Code("1", "无症状"), Code("2", "头痛"), Code("3", "心悸"), Code("10", "其他"))
            ),
            CodeList("CL_VACCINE", "疫苗", tuple(Code(code, f"疫苗{code}") for code in "ABCD")),
            CodeList("CL_CLASS", "分类", (Code("1", "控制满意"), Code("2", "控制不满意"), Code("3", "其他"))),
            CodeList(
                "CL_DRUG",
                "降压药",
                (
                    Code("D1", "硝苯地平", ("心痛定",), attrs={"max_dose": 60, "group": "CCB"}),
                    Code("D2", "硝苯地平缓释片", attrs={"max_dose": 40.5, "group": "CCB"}),
                    Code("D3", "利血平", attrs={"group": "其他"}),
                    Code("D4", "a.b(c)", attrs={"max_dose": 1}),
                ),
            ),
        )
    },
    growth=read_growth(Reader(DEFAULT_RULES))[0],
    derived={
        entry.name: entry
        for entry in (
            Derived("service_date", "服务日期", "service_date()"),
            Derived("age", "周岁", "age_at(service_date)"),
            Derived("bmi_calc", "计算的体质指数", "weight_kg / ((height_cm / 100) * (height_cm / 100))"),
        )
    },
)


def parsed(text: str, **more: Any) -> Expression:
    """``text`` compiled on the small form, of any type unless ``expect`` says otherwise."""
    more.setdefault("expect", None)
    return parse_expression(text, FORM, WORDS, more.pop("params", None), **more)


def value_of(expression: Expression | str, context: Context = CONTEXT, **cells: Any) -> Any:
    """What the expression is on one record, written as a clerk would; both engines must say the same."""
    compiled = parsed(expression) if isinstance(expression, str) else expression
    frame = lake_frame(FORM, WORDS, [cells])
    ours = frame.with_row_index("_row").select("_row", found=to_polars(compiled, context))["found"].to_list()[0]
    with duckdb.connect() as connection:
        connection.register("lake", frame.to_arrow())
        theirs = connection.execute(f"SELECT {to_duckdb(compiled, context)} FROM lake").fetchall()[0][0]
    assert ours == theirs, f"Polars {ours!r}, DuckDB {theirs!r}: {compiled.text} on {cells}"
    return ours
