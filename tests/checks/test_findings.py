"""How a finding reads, where its columns come from, and that no personal data is in it."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from phqc_pipeline.catalogue import Catalogue, Form
from phqc_pipeline.checks import FINDING_SCHEMA
from phqc_pipeline.checks.wording import constant_text, value_text
from tests.checks.lake_frames import delivered, judge, made_up, records

VISIT: dict[str, Any] = {
    "record_id": "R1",
    "archive_no": "65430110110100001",
    "person_name": "张三丰",
    "birth_date": date(1950, 1, 1),
    "institution_code": "A",
    "doctor_name": "李医生",
    "visit_date": date(2024, 5, 1),
    "sbp": 80.0,
    "dbp": 90.0,
    "record_status": "1",
}


def _found(cat: Catalogue, form: Form, lake: Path, rule_id: str, **cells: Any) -> dict[str, Any]:
    """The one finding of the rule on VISIT with these cells changed."""
    night = judge(cat, [delivered(lake, form, "A", records(form, {**VISIT, **cells}))], lake / "out")
    return night.findings.row(by_predicate=pl.col("rule_id") == rule_id, named=True)


def test_every_column_of_a_finding(cat: Catalogue, visit: Form, lake: Path) -> None:
    rule = next(rule for rule in cat.rules if rule.rule_id == "VIS-L-001")
    cells = {"weight_kg": 62.5, "onset_month": date(2019, 3, 1), "symptom_codes": ["2", "3"], "class_code": "1"}
    assert _found(cat, visit, lake, "VIS-L-001", **cells) == {
        "institution_code": "A",
        "form_id": "visit",
        "rule_id": "VIS-L-001",
        "rule_version": 1,
        "rule_fingerprint": rule.fingerprint,
        "field": "sbp",
        "subject_kind": "record",
        "subject_id": "R1",
        "record_id": "R1",
        "archive_no": "65430110110100001",
        "doctor_name": "李医生",
        "service_date": date(2024, 5, 1),
        "period": "",
        "dimension": "逻辑性",
        "severity": "严重",
        "observed": "80",
        "expected": "大于 90",
        "message": "74 岁（18 岁起判），血压 80/90，体重 62.5，2024-05-01，起病 2019-03，"
        "症状 2 头痛、3 心悸，分类 1 控制满意",
        "suggestion": "130",
        "root_item": None,
    }


def test_what_is_not_there_reads_so(cat: Catalogue, visit: Form, lake: Path) -> None:
    message = _found(cat, visit, lake, "VIS-L-001", weight_kg__raw="六十", _null_reason='{"onset_month": "不详"}')[
        "message"
    ]
    assert message.endswith("体重 六十，2024-05-01，起病 未填（不详），症状 未填，分类 未填")


def test_per_field_rules_name_their_field(cat: Catalogue, visit: Form, lake: Path) -> None:
    found = _found(cat, visit, lake, "COM-F-014", sbp=300.0)
    assert (found["field"], found["observed"], found["expected"]) == ("sbp", "300", "60～280 mmHg")
    assert found["message"] == "收缩压 300mmHg 不在 60～280 之内"
    unreadable = _found(cat, visit, lake, "COM-F-021", sbp=None, sbp__raw="一百二")
    assert (unreadable["observed"], unreadable["message"]) == ("一百二", "收缩压“一百二”无法识别")
    missing = _found(cat, visit, lake, "COM-C-013", doctor_name=None)
    assert (missing["field"], missing["observed"], missing["message"]) == ("doctor_name", "未填", "责任医生未填")


def test_roots_and_computed_suggestions(cat: Catalogue, visit: Form, lake: Path) -> None:
    found = _found(cat, visit, lake, "VIS-L-003", id_card_no="654301195203010012")
    assert (found["root_item"], found["suggestion"]) == ("id_card_no", "1952-03-01")
    assert found["message"] == "证号中是 1952-03-01，填的是 1950-01-01"
    assert _found(cat, visit, lake, "VIS-F-001", id_card_no="6.54301E+17")["root_item"] == "id_card_no"


def test_a_rule_without_field_shows_no_cell(cat: Catalogue, visit: Form, lake: Path) -> None:
    found = _found(cat, visit, lake, "VIS-X-001", class_code="1", symptom_codes=["2"])
    assert (found["field"], found["observed"], found["suggestion"]) == ("", None, "核对分类")


def test_personal_data_is_masked_wherever_a_text_shows_it(cat: Catalogue, visit: Form, lake: Path) -> None:
    cells = {
        "id_card_no": "6543011950010100",
        "phone": "13912345678",
        "address": "阿勒泰市阿拉哈克镇三村三号",
        "remark": "女儿电话13812345678",
    }
    found = _found(cat, visit, lake, "VIS-F-002", **cells)
    assert found["observed"] == "6543********0100"
    assert found["message"] == (
        "张*（139****5678，阿勒泰市阿拉****）的证号 6543********0100 位数不对，备注 女儿电话138****5678"
    )
    assert found["suggestion"] == "张*"


@pytest.mark.parametrize(
    ("archive_no", "expected"),
    [
        ("65430110110100001", "65430110110100001"),
        ("654301195001010012", "6543**********0012-9130"),
        ("654301500101001", "6543*******1001-fa24"),
        ("654301991399010012", "654301991399010012"),
        (None, None),
    ],
)
def test_an_identity_number_in_place_of_the_archive_number(
    cat: Catalogue, visit: Form, lake: Path, archive_no: str | None, expected: str | None
) -> None:
    assert _found(cat, visit, lake, "VIS-L-001", archive_no=archive_no)["archive_no"] == expected


def test_no_personal_value_of_the_input_is_in_any_column(real: Catalogue, lake: Path) -> None:
    """Every rule of the catalogue, on records whose every personal and free text cell holds a person's data."""
    name, number, phone = "欧阳测试丰", "654301195001010012", "13958674321"
    address = "阿勒泰市阿拉哈克镇乌图布拉克村三组四号"
    secrets = (name, number, phone, address, address[6:], number[6:14] + number[14:], phone[3:7])
    given = {"name": name, "id_number": number, "phone": phone, "address": address}
    deliveries = []
    for form in real.forms.values():
        personal = [
            pl.lit(given[field.personal]).alias(field.name + suffix)
            for field in form.fields
            if field.personal
            for suffix in ("", "__raw")
        ]
        other = [
            pl.lit(f"见{number}，{phone}").alias(field.name + suffix)
            for field in form.fields
            if not field.personal and field.name not in ("record_id", "archive_no", "doctor_name")
            for suffix in (["", "__raw"] if field.kind == "text" else ["__raw"])
        ]
        frame, more = made_up(real, form, 150), made_up(real, form, 150, seed=1)
        deliveries.append(delivered(lake, form, "A", frame.with_columns(personal), more.with_columns(other)))
    findings = judge(real, deliveries, lake / "out").findings
    assert findings["rule_id"].n_unique() > 150
    for column, kind in findings.schema.items():
        if kind == pl.String and column != "doctor_name":
            leaks = findings.filter(pl.any_horizontal(pl.col(column).str.contains(s, literal=True) for s in secrets))
            assert leaks.is_empty(), (column, leaks.select("rule_id", "field", column).row(0))


def test_the_files_have_the_agreed_columns_even_without_findings(cat: Catalogue, visit: Form, lake: Path) -> None:
    night = judge(cat, [delivered(lake, visit, "A", records(visit))], lake / "out")
    assert night.findings.schema == pl.Schema(FINDING_SCHEMA)
    assert night.findings.is_empty()
    assert night.present.is_empty()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (140.0, "140"),
        (24.5, "24.5"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (date(2024, 1, 31), "2024-01-31"),
        (datetime.fromisoformat("2024-01-31T08:30:00"), "2024-01-31 08:30"),
        (True, "是"),
        (False, "否"),
        ("文字", "文字"),
        (["1", "2"], "1、2"),
    ],
)
def test_values_and_constants_read_alike(value: Any, expected: str) -> None:
    frame = pl.DataFrame({"value": [value]}, strict=False)
    assert frame.select(value_text(pl.col("value"), frame.schema["value"])).item() == expected
    assert constant_text(value) == expected
