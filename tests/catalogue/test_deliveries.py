"""``repeats:``, ``repairs.yaml`` and ``sources/*.yaml``: what they say is checked at load, by file and line."""

from __future__ import annotations

import pytest

from phqc_pipeline.catalogue.deliveries import header_key, marks
from tests.catalogue.small_catalogue import Small

REPEATS = """\
repeats:
  by: symptom_codes
  groups:
    '1': [第1次, '1']
    '2': [第2次, '2']
  fields: [sbp, dbp, visit_date]
  last: [drug_dose]
  alone: sbp
"""
REPAIRS = """\
rewrites:
  - {id: letters, title: 字母, kinds: [int], pattern: '(\\d+)O', becomes: '${1}0'}
units:
  - units: [mmHg]
    written: [毫米汞柱]
    others: [{written: [kpa], factor: 7.5, fields: [sbp]}]
pairs:
  - {id: bp, title: 血压, pattern: '(\\d+)/(\\d+)', fields: [[sbp, dbp]], headers: {sbp: [血压]}}
"""
SOURCE = """\
source_id: vendor
title: 某系统
institutions: ['6543*', '654301101']
headers:
  '*': {BH: record_id}
  visit: {GY: sbp}
codes:
  CL_SYMPTOM: {a: '1', z: null}
  visit.symptom_codes: {b: '02'}
  '*.record_status': {x: '1'}
dates: ['%d/%m/%Y']
"""
VISIT, REPAIRS_FILE, SOURCE_FILE = "forms/visit.yaml", "repairs.yaml", "sources/vendor.yaml"


@pytest.fixture
def catalogue(small: Small) -> Small:
    small.change(VISIT, "fields:\n", REPEATS + "fields:\n")
    (small.directory / REPAIRS_FILE).write_text(REPAIRS, encoding="utf-8")
    (small.directory / "sources").mkdir()
    (small.directory / SOURCE_FILE).write_text(SOURCE, encoding="utf-8")
    return small


def test_a_sound_catalogue_says_it_all(catalogue: Small) -> None:
    cat = catalogue.load()
    repeats = cat.forms["visit"].repeats
    assert repeats is not None
    assert marks(repeats) == {"第1次": ("1",), "1": ("1",), "第2次": ("2",), "2": ("2",)}
    assert (repeats.fields, repeats.last, repeats.alone) == ({"sbp", "dbp", "visit_date"}, {"drug_dose"}, "sbp")
    assert [one.repair_id for one in (*cat.repairs.rewrites, *cat.repairs.pairs)] == ["letters", "bp"]
    source = cat.source_of("654301999")
    assert source is not None
    assert source.headers_of("visit") == {"BH": "record_id", "GY": "sbp"}
    assert source.codes_of("visit", "symptom_codes", "CL_SYMPTOM") == {"a": "1", "z": None, "b": "02"}
    assert cat.source_of("659001") is None


@pytest.mark.parametrize(
    ("file", "old", "new", "at", "problem", "remedy"),
    [
        (VISIT, "by: symptom_codes", "by: symptom_code", "by:", "字段 symptom_code 不存在", "symptom_codes"),
        (VISIT, "fields: [sbp, dbp,", "fields: [sbp, symptom_codes,", "fields: [sbp", "由表头决定", "去掉"),
        (VISIT, "last: [drug_dose]", "last: [drug]", "last:", "字段 drug 不存在", "drug_name"),
        (VISIT, "'2': [第2次, '2']", "'2': [第1次, '2']", "groups:", "“第1次”同时指 1 和 2", "一个值"),
        (VISIT, "'2': [第2次, '2']", "'2': []", "groups:", "不是文字的列表", "[写法, 写法]"),
        (VISIT, "  alone: sbp", "  marks: ['第{x}次']", "marks:", "应恰有 symptom_codes", "花括号"),
        (VISIT, "alone: sbp", "alon: sbp", "alon:", "不认识的键“alon”", "alone"),
        (REPAIRS_FILE, "(\\d+)O", "(\\d+O", "letters", "正则写法有误", "RE2"),
        (REPAIRS_FILE, "id: bp,", "id: letters,", "id: letters, title: 血压", "编号 letters 重复", "另一个编号"),
        (REPAIRS_FILE, "units: [mmHg]", "units: [mmhgg]", "units: [mmhgg]", "没有一个字段用单位“mmhgg”", "照字典"),
        (REPAIRS_FILE, "fields: [sbp]", "fields: [spb]", "others:", "没有一张表单有字段 spb", "sbp"),
        (REPAIRS_FILE, "{sbp: [血压]}", "{dbp: [血压]}", "血压]", "dbp 不是哪一对的第一个字段", "第一个"),
        (REPAIRS_FILE, "factor: 7.5", "factor: 0", "others:", "factor", "README"),
        (REPAIRS_FILE, "kinds: [int]", "kinds: [text]", "letters", "不在允许之列", "int"),
        (SOURCE_FILE, "source_id: vendor", "source_id: other", "source_id", "文件名却是 vendor.yaml", "改名"),
        (SOURCE_FILE, "'6543*'", "'65*3'", "institutions", "“65*3”写法不对", "加一个 *"),
        (SOURCE_FILE, "  visit: {GY", "  visits: {GY", "visits:", "没有表单 visits", "visit"),
        (SOURCE_FILE, "GY: sbp", "GY: spb", "GY:", "没有字段 spb", "sbp"),
        (SOURCE_FILE, "{GY: sbp}", "{GY: sbp, gy: dbp}", "GY:", "“gy”同时指 sbp 和 dbp", "一个字段"),
        (SOURCE_FILE, "BH: record_id", "BH: recordid", "BH:", "没有字段 recordid", "record_id"),
        (SOURCE_FILE, "CL_SYMPTOM: {a", "CL_SYMPTON: {a", "CL_SYMPTON", "没有代码表 CL_SYMPTON", "CL_SYMPTOM"),
        (SOURCE_FILE, "a: '1'", "a: '7'", "CL_SYMPTOM", "代码 7 不在代码表 CL_SYMPTOM 里", "null"),
        (
            SOURCE_FILE,
            "visit.symptom_codes",
            "visit.symptomcodes",
            "visit.symptomcodes",
            "没有字段 symptomcodes",
            "symptom_codes",
        ),
        (SOURCE_FILE, "visit.symptom_codes", "vist.symptom_codes", "vist.", "没有表单 vist", "visit"),
        (SOURCE_FILE, "'*.record_status': {x: '1'}", "'*.record_status': {x: '9'}", "'*.record", "代码 9", "null"),
        (SOURCE_FILE, "%d/%m/%Y", "%d/%m", "dates:", "读不出年月日", "%d/%m/%Y"),
    ],
)
def test_fault(catalogue: Small, file: str, old: str, new: str, at: str, problem: str, remedy: str) -> None:
    catalogue.change(file, old, new)
    line = catalogue.line(file, at)
    fault = catalogue.only_fault()
    assert (fault.file, fault.line) == (file, line), fault
    assert problem in fault.problem
    assert remedy in fault.remedy


def test_one_institution_in_two_maps(catalogue: Small) -> None:
    text = SOURCE.replace("source_id: vendor", "source_id: another").replace("'6543*', ", "")
    (catalogue.directory / "sources/another.yaml").write_text(text, encoding="utf-8")
    fault = catalogue.only_fault()
    assert "机构 654301101 也写在来源 another 里" in fault.problem


def test_an_envelope_synonym_yields_to_a_field_of_the_form(small: Small) -> None:
    """责任医生 is the doctor of the envelope, but where a form has a field of that title it is that field's."""
    doctor = "{name: doctor, title: 医生, synonyms: [收缩压, 责任医生], type: s(50)}\n  - "
    small.change("forms/_envelope.yaml", "{name: record_id", doctor + "{name: record_id")
    cat = small.load()
    assert cat.forms["visit"].field("doctor").synonyms == ("责任医生",)
    assert cat.forms["profile"].field("doctor").synonyms == ("收缩压", "责任医生")
    assert header_key(" 责任 医生") == "责任医生"
