"""Every kind of fault a catalogue can have: named with its file, its line and what to do."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from phqc_pipeline.catalogue import CatalogueError, load_catalogue
from tests.catalogue.small_catalogue import Small

ENVELOPE, VISIT, PROFILE, CODES = "forms/_envelope.yaml", "forms/visit.yaml", "forms/profile.yaml", "codes/general.yaml"
COMMON, RULES, CROSS = "checks/common.yaml", "checks/visit.yaml", "checks/cross.yaml"
REPORT, SCHEME, PLAN = "reports/r_archive.yaml", "schemes/default.yaml", "plans/nightly.yaml"


class Case(NamedTuple):
    """``old`` becomes ``new`` in ``file``; the fault, on the line of ``at``, says ``problem`` and ``remedy``."""

    file: str
    old: str
    new: str
    at: str
    problem: str
    remedy: str


CASES = {
    # --- YAML ---
    "syntax": Case(RULES, "severity: 严重", "severity: '严重", "severity: '严重", "YAML 语法错误", "引号"),
    "tab": Case(RULES, "    severity: 严重", "\tseverity: 严重", "\tseverity", "YAML 语法错误", "制表符"),
    "double key": Case(RULES, "    field: sbp\n", "    field: sbp\n    field: dbp\n", "field: dbp", "写了两遍", "删去"),
    "tag": Case(RULES, "title: 收缩压不大于舒张压", "title: !text 甲", "title: !text", "标签 !text", "加引号"),
    # --- keys and shapes ---
    "unknown key": Case(
        RULES, "severity: 严重", "severty: 严重", "severty", "不认识的键“severty”", "是否应为“severity”"
    ),
    "missing key": Case(RULES, "    basis: 逻辑\n", "", "- id: VIS-L-001", "缺少“basis”", "补上“basis"),
    "unknown severity": Case(RULES, "严重", "严仲", "severity: 严仲", "严仲", "可写：严重、一般、提示"),
    "unknown dimension": Case(RULES, "逻辑性", "逻辑", "dimension: 逻辑\n", "逻辑", "逻辑性"),
    "unknown grain": Case(CROSS, "grain: person", "grain: persons", "grain: persons", "persons", "是否应为“person”"),
    "wrong type": Case(RULES, "verified: false", "verified: 不", "verified: 不", "应是 true 或 false", "不加引号"),
    "version not whole": Case(RULES, "title: 收缩", "version: 甲\n    title: 收缩", "version: 甲", "应是整数", "整数"),
    "empty text": Case(
        RULES, "message: 血压 {sbp}/{dbp} 填反，{age} 岁", "message: ''", "message: ''", "是空的", "填上"
    ),
    "not a date": Case(RULES, "2017-02-28", "2017年", "valid_from: 2017年", "不是日期", "2017-02-28"),
    "entry no mapping": Case(PROFILE, "- {name: phone", "- 电话\n  - {name: phone", "- 电话", "应是“键: 值”", "name"),
    "list at top": Case(COMMON, "rules:\n", "regeln:\n", "regeln", "不认识的键“regeln”", "rules"),
    # --- forms and fields ---
    "field twice": Case(
        PROFILE,
        "  - {name: phone",
        "  - {name: archive_date, title: 日期, type: date}\n  - {name: phone",
        "- {name: archive_date, title: 日期",
        "“archive_date”与 forms/profile.yaml:6 重复",
        "字段名只用一次",
    ),
    "unknown type": Case(
        VISIT,
        "type: int, unit: mmHg, required: Y, hard: [60",
        "type: integer, hard: [60",
        "name: sbp",
        "不认识的类型“integer”",
        "dec(总位数,小数位)",
    ),
    "bad decimal": Case(VISIT, "dec(4,1)", "dec(1,4)", "name: weight_kg", "dec(1,4)", "dec(总位数,小数位)"),
    "unknown list": Case(
        VISIT, "CL_SYMPTOM", "CL_SYMTOM", "name: symptom_codes", "没有代码表 CL_SYMTOM", "是否应为“CL_SYMPTOM”"
    ),
    "code without list": Case(ENVELOPE, "codes: CL_STATUS, ", "", "name: record_status", "没有写 codes", "补上 codes"),
    "list on a date": Case(
        PROFILE, "type: date", "type: date, codes: CL_STATUS", "name: archive_date", "不能有代码表", "去掉 codes"
    ),
    "range reversed": Case(VISIT, "[60, 280]", "[280, 60]", "name: sbp", "下限 280 大于上限 60", "小的写在前面"),
    "range of one": Case(VISIT, "[60, 280]", "[60]", "name: sbp", "范围写成了 [60]", "[最小, 最大]"),
    "range on text": Case(
        VISIT,
        "type: s(50), required: N",
        "type: s(50), hard: [1, 2]",
        "name: drug_name",
        "不能写 hard 范围",
        "int 和 dec",
    ),
    "soft beyond hard": Case(VISIT, "soft: [90, 200]", "soft: [50, 200]", "name: sbp", "伸出硬范围", "硬范围之内"),
    "exclusive not multi": Case(
        VISIT,
        "type: s(50), required: N",
        "type: s(50), exclusive: ['1']",
        "name: drug_name",
        "只用于 multi",
        "去掉 exclusive",
    ),
    "exclusive unknown": Case(
        VISIT,
        "exclusive: ['1']",
        "exclusive: ['3']",
        "name: symptom_codes",
        "代码 3 不在代码表 CL_SYMPTOM",
        "表里有的代码",
    ),
    "other_of unknown field": Case(
        VISIT,
        "{field: symptom_codes, code",
        "{field: symptom_code, code",
        "name: symptom_other",
        "symptom_code 不存在",
        "是否应为“symptom_codes”",
    ),
    "other_of unknown code": Case(
        VISIT, "code: '9'}}", "code: '8'}}", "name: symptom_other", "代码 8 不在 symptom_codes", "“其他”的那个代码"
    ),
    "header twice": Case(
        VISIT, "title: 舒张压", "title: 舒张压, synonyms: [高 压]", "name: dbp", "表头“高 压”与字段 sbp", "synonyms"
    ),
    "reserved name": Case(
        VISIT, "name: weight_kg", "name: age", "name: age", "字段名 age 与表达式里的名字相同", "另一个字段名"
    ),
    "bad name": Case(VISIT, "name: weight_kg", "name: Weight", "name: Weight", "不是合法的英文名", "小写字母"),
    "required oddly": Case(
        PROFILE,
        "type: date, required: Y",
        "type: date, required: 是",
        "name: archive_date",
        "写成了 '是'",
        "{when: 表达式}",
    ),
    "condition unknown": Case(
        VISIT,
        "when: drug_name is not null",
        "when: drug_nam is not null",
        "name: drug_dose",
        "没有字段 drug_nam",
        "drug_name",
    ),
    "form id": Case(
        PROFILE, "form_id: profile", "form_id: profil", "form_id: profil", "文件名却是 profile.yaml", "profil.yaml"
    ),
    "service date unknown": Case(
        PROFILE,
        "service_date: archive_date",
        "service_date: archive_dat",
        "service_date",
        "archive_dat 不存在",
        "是否应为“archive_date”",
    ),
    "service date no date": Case(
        PROFILE, "service_date: archive_date", "service_date: phone", "service_date", "不是日期", "date 或 dt"
    ),
    "stage unknown": Case(
        VISIT,
        "service_date: visit_date",
        "service_date: visit_date\nstage: [month]",
        "stage:",
        "month 不存在",
        "字段名",
    ),
    # --- codes ---
    "code twice": Case(
        CODES, "{code: 2, name: 暂存", "{code: 1, name: 暂存", "name: 暂存", "代码 1 与第 5 行重复", "删去其一"
    ),
    "spelling twice": Case(CODES, "[草稿]", "[有效]", "name: 暂存", "“有效”同时指代码 1 和 2", "synonyms"),
    "list empty": Case(
        CODES, "lists:\n", "lists:\n  - {id: CL_NONE, title: 空, codes: []}\n", "CL_NONE", "没有代码", "列出代码"
    ),
    # --- derived names ---
    "derived unknown": Case(
        "derived.yaml",
        "age_at(service_date)",
        "age_at(servicedate)",
        "name: age",
        "servicedate",
        "是否应为“service_date”",
    ),
    "derived circle": Case(
        "derived.yaml", "expr: service_date()", "expr: age", "name: service_date", "绕回自己", "derived.yaml"
    ),
    # --- rules: scope, versions, examples ---
    "id form": Case(RULES, "id: VIS-L-001", "id: VISIT-1", "id: VISIT-1", "不合格式", "HTN-L-001"),
    "form unknown": Case(
        COMMON, "forms: person", "forms: [visits]", "forms: [visits]", "没有表单 visits", "是否应为“visit”"
    ),
    "no pass example": Case(
        RULES, "      pass: [{sbp: 120, dbp: 80, age: 50}]\n", "", "examples:", "没有通过的样例", "examples.pass"
    ),
    "no fail example": Case(
        RULES,
        "      fail: [{sbp: 80, dbp: 80, age: 50, note: 相等也算}]\n",
        "",
        "examples:",
        "没有不通过的样例",
        "examples.fail",
    ),
    "example no mapping": Case(
        RULES, "pass: [{sbp: 120, dbp: 80, age: 50}]", "pass: [120]", "pass: [120]", "样例不是“字段: 值”", "{字段: 值"
    ),
    "neither": Case(RULES, "    assert: sbp > dbp\n", "", "- id: VIS-L-001", "恰好写一个", "violated"),
    "both": Case(
        RULES,
        "    assert: sbp > dbp\n",
        "    assert: sbp > dbp\n    violated: sbp < dbp\n",
        "- id: VIS-L-001",
        "恰好写一个",
        "violated",
    ),
    "grain of a record rule": Case(
        RULES, "severity: 严重", "severity: 严重\n    grain: person", "grain: person", "一条记录判不了", "carrier: dbt"
    ),
    "validity reversed": Case(
        RULES, "2017-02-28", "2017-02-28\n    valid_to: 2016-01-01", "valid_from", "晚于失效日期", "valid_to"
    ),
    "parameter value": Case(RULES, "{least: 0}", "{least: {a: 1}}", "params:", "参数 least 的值不能用", "数、文字"),
    "suppressor unknown": Case(
        RULES, "field: sbp", "field: sbp\n    suppressed_by: [COM-C-999]", "suppressed_by", "COM-C-999 不存在", "编号"
    ),
    # --- rules: expressions ---
    "unknown column": Case(RULES, "assert: sbp > dbp", "assert: sbp > dpb", "assert:", "没有字段 dpb", "dbp"),
    "type error": Case(RULES, "assert: sbp > dbp", "assert: sbp > drug_name", "assert:", "整数不能与文本比较", "cast"),
    "function off the list": Case(RULES, "assert: sbp > dbp", "assert: sqrt(sbp) > dbp", "assert:", "sqrt", ""),
    "code not in the list": Case(
        RULES, "when: sbp is not null and", "when: \"'7' in symptom_codes\" # and", "when:", "没有 '7'", "1 无症状"
    ),
    "broken expression": Case(RULES, "assert: sbp > dbp", "assert: sbp > (dbp", "assert:", "写法不通", "括号"),
    "not a condition": Case(RULES, "assert: sbp > dbp", "assert: sbp", "assert:", "条件", ""),
    "generic unknown column": Case(
        COMMON,
        "violated: record_id is null",
        "violated: record_idd is null",
        "violated: record_idd",
        "没有一张表单有字段 record_idd",
        "是否应为“record_id”",
    ),
    "generic on no form": Case(
        COMMON,
        "violated: record_id is null",
        "violated: phone = drug_name",
        "- id: COM-C-001",
        "没有一张表单同时有它读的字段",
        "删去这条规则",
    ),
    "per field reaches nothing": Case(
        COMMON,
        "{types: [int, dec], has: hard}",
        "{types: [dec], has: soft}",
        "per_field: {types: [dec]",
        "没有一个字段符合",
        "per_field",
    ),
    "pseudo column": Case(RULES, "assert: sbp > dbp", "assert: value > dbp", "assert:", "按字段展开", "per_field"),
    "field unknown": Case(RULES, "field: sbp", "field: sbpp", "field: sbpp", "没有字段 sbpp", "是否应为“sbp”"),
    "field of a per-field rule": Case(
        COMMON, "when: required_now", "field: phone\n    when: required_now", "field: phone", "不写 field", "去掉 field"
    ),
    # --- rules: texts ---
    "message names unknown": Case(
        RULES, "{sbp}/{dbp}", "{sbp}/{dpb}", "message:", "{dpb} 不是已知的字段", "是否应为“dbp”"
    ),
    "message braces": Case(RULES, "{sbp}/{dbp}", "{sbp/{dbp}", "message:", "花括号", "{字段英文名}"),
    "message format": Case(RULES, "{sbp}/{dbp}", "{sbp:5}/{dbp}", "message:", "花括号", "{字段英文名}"),
    "suggestion text": Case(RULES, "{expr: dbp}", "{text: '改为 {dpb}'}", "suggestion:", "{dpb} 不是已知的字段", "dbp"),
    "suggestion expression": Case(RULES, "{expr: dbp}", "{expr: dpb}", "suggestion:", "没有字段 dpb", "dbp"),
    "certain text": Case(RULES, "{expr: dbp}", "{text: 改, certain: true}", "suggestion:", "写了 certain", "算得出值"),
    "certain of another kind": Case(
        RULES, "{expr: dbp}", "{expr: drug_name, certain: true}", "suggestion:", "放不进", "类型与字段一致"
    ),
    "doubt unknown": Case(
        RULES,
        "{expr: dbp}",
        "{expr: dbp, certain: true, doubted_by: [COM-C-999]}",
        "doubted_by",
        "COM-C-999 不存在",
        "编号",
    ),
    "doubt of nothing certain": Case(
        RULES, "{expr: dbp}", "{expr: dbp, doubted_by: [COM-C-001]}", "suggestion:", "没有 certain", "补上 certain"
    ),
    "suggestion of both": Case(RULES, "{expr: dbp}", "{expr: dbp, text: 改}", "suggestion:", "只写一个", "text"),
    # --- cross rules ---
    "no model": Case(CROSS, "    model: same_day\n", "", "- id: VIS-U-001", "缺少“model”", "dbt 模型"),
    "reads unknown form": Case(
        CROSS, "reads: {visit:", "reads: {visits:", "reads:", "没有表单 visits", "是否应为“visit”"
    ),
    "reads unknown column": Case(
        CROSS, "[archive_no, visit_date]", "[archive_no, visit_dat]", "reads:", "visit 没有字段 visit_dat", "visit_date"
    ),
    "home unknown": Case(
        CROSS, "form_id: visit", "form_id: visitt", "form_id: visitt", "没有表单 visitt", "是否应为“visit”"
    ),
    "reads of every person form": Case(
        CROSS,
        "reads: {visit: [archive_no, visit_date]}",
        "reads: {person: [archive_no, vist_date]}",
        "reads:",
        "没有一张表有字段 vist_date",
        "是否应为“visit_date”",
    ),
    "person_only beside the envelope": Case(
        VISIT,
        "title: 药名, type: s(50), required: N",
        "title: 药名, type: s(50), person_only: true",
        "- {name: drug_name",
        "person_only 只用于公共信封列",
        "required: N",
    ),
    "derived without its optional column": Case(
        "derived.yaml",
        "expr: age_at(service_date)",
        "expr: age_at(service_date), optional_columns: [hight_cm]",
        "- {name: age",
        "没有一张表单有字段 hight_cm",
        "",
    ),
    "checks_empty unknown": Case(
        CROSS, "checks_empty: [dbp]", "checks_empty: [dpb]", "checks_empty", "没有字段 dpb", "dbp"
    ),
    "cross with when": Case(
        CROSS, "model: same_day", "model: same_day\n    when: sbp > 1", "when:", "不写 when", "dbt 模型里"
    ),
    "cross suggestion": Case(
        CROSS, "basis: 规范三", "basis: 规范三\n    suggestion: {expr: dbp}", "suggestion:", "不能用 expr", "text"
    ),
    "cross suggestion with a name": Case(
        CROSS,
        "basis: 规范三",
        "basis: 规范三\n    suggestion: 留下 {observed}",
        "suggestion:",
        "{observed} 不是已知的",
        "参数名",
    ),
    "cross message": Case(CROSS, "{observed}", "{sbp}", "message:", "{sbp} 不是已知的", "参数名"),
    # --- reports, schemes, plans ---
    "item twice": Case(
        REPORT,
        "item: ehr_electronic",
        "item: ehr_archive",
        "电子档案人数",
        "“ehr_archive”与 reports/r_archive.yaml:4 重复",
        "只写一次",
    ),
    "item header twice": Case(
        REPORT, "[电子建档人数]", "[建档人数]", "item: ehr_electronic", "表头“建档人数”与 ehr_archive", "synonyms"
    ),
    "item nature": Case(
        REPORT,
        "[电子建档人数], type: int, nature: 时点",
        "[电子建档人数], type: int, nature: 累积",
        "item: ehr_electronic",
        "累积",
        "累计",
    ),
    "item type": Case(
        REPORT,
        "synonyms: [电子建档人数], type: int",
        "type: text",
        "item: ehr_electronic",
        "类型“text”不对",
        "int 或 dec",
    ),
    "report id": Case(
        REPORT, "report_id: r_archive", "report_id: r_archiv", "report_id", "文件名却是", "r_archiv.yaml"
    ),
    "scheme rule": Case(
        SCHEME, "rules: all", "rules: [VIS-L-002]", "rules: [", "没有规则 VIS-L-002", "是否应为“VIS-L-001”"
    ),
    "deductions": Case(SCHEME, ", 提示: 0", "", "deductions", "“提示”多余或缺少", "提示: 0"),
    "pass": Case(SCHEME, "pass: 无严重", "pass: 八十分", "pass: 八十分", "看不懂合格条件", "无严重"),
    "plan scheme": Case(
        PLAN, "scheme: default", "scheme: defualt", "scheme: defualt", "没有方案 defualt", "是否应为“default”"
    ),
    "plan form": Case(PLAN, "forms: all", "forms: [visit, profil]", "forms:", "没有表单 profil", "是否应为“profile”"),
    "schedule": Case(PLAN, "0 2 * * *", "0 25 * * *", "schedule", "看不懂时间表", "0 2 * * *"),
    "period": Case(
        PLAN, "natural_year", "natural_yaer", "period: natural_yaer", "natural_yaer", "是否应为“natural_year”"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_fault_names_file_line_and_remedy(small: Small, case: Case) -> None:
    small.change(case.file, case.old, case.new)
    line = small.line(case.file, case.at)
    fault = small.only_fault()
    assert (fault.file, fault.line) == (case.file, line), fault
    assert case.problem in fault.problem
    assert fault.remedy
    assert case.remedy in fault.remedy


def test_missing_folder(small: Small) -> None:
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(small.directory / "nowhere")
    (fault,) = caught.value.faults
    assert fault.problem == "规则目录不存在"
    assert "PHQC_RULES" in fault.remedy


@pytest.mark.parametrize("folder", ["codes", "checks", "schemes", "plans"])
def test_empty_folder(small: Small, folder: str) -> None:
    for path in (small.directory / folder).iterdir():
        path.unlink()
    fault = next(fault for fault in small.faults() if fault.file == f"{folder}/")
    assert fault.problem == "文件夹不存在或没有 .yaml 文件"
    assert ".yaml" in fault.remedy


@pytest.mark.parametrize("name", ["forms/_envelope.yaml", "derived.yaml"])
def test_missing_file_is_told_alone(small: Small, name: str) -> None:
    """Every rule leans on these two files; the rules are not blamed for them."""
    fault = small.remove(name).only_fault()
    assert (fault.file, fault.problem) == (name, "缺少文件")


def test_empty_file(small: Small) -> None:
    fault = small.write("reports/r_other.yaml", "# nothing yet\n").only_fault()
    assert (fault.file, fault.line, fault.problem) == ("reports/r_other.yaml", 1, "文件是空的")


def test_wrong_ending(small: Small) -> None:
    fault = small.write("reports/r_other.yml", "report_id: r_other\n").only_fault()
    assert (fault.file, fault.remedy) == ("reports/r_other.yml", "改名为 .yaml")


def test_not_utf8(small: Small) -> None:
    (small.directory / "reports/r_gbk.yaml").write_bytes("report_id: r_gbk\ntitle: 报表\n".encode("gb18030"))
    fault = small.only_fault()
    assert (fault.file, fault.line, fault.remedy) == ("reports/r_gbk.yaml", 2, "用编辑器另存为 UTF-8")


def test_alias_within_itself(small: Small) -> None:
    fault = small.append("forms/profile.yaml", "note: &a [*a]\n").faults()[0]
    assert "层次过深" in fault.problem
    assert fault.line == small.line("forms/profile.yaml", "note: &a")


def test_rule_id_twice_names_the_first_place(small: Small) -> None:
    first = f"checks/common.yaml:{small.line(COMMON, '- id: COM-C-002')}"
    small.change(RULES, "id: VIS-L-001", "id: COM-C-002")
    fault = small.only_fault()
    assert (fault.file, fault.line) == (RULES, small.line(RULES, "- id: COM-C-002"))
    assert first in fault.problem
    assert "version: 2" in fault.remedy


SECOND_VERSION = """\
  - id: VIS-L-001
    version: 2
    title: 收缩压不大于舒张压
    dimension: 逻辑性
    severity: 严重
    violated: sbp < dbp
    message: 填反
    basis: 逻辑
    verified: false
    valid_from: 2024-01-01
    examples: {pass: [{sbp: 80, dbp: 80}], fail: [{sbp: 79, dbp: 80}]}
"""


def test_versions_that_overlap(small: Small) -> None:
    small.append(RULES, SECOND_VERSION)
    fault = small.only_fault()
    assert (fault.file, fault.line) == (RULES, small.line(RULES, "version: 2"))
    assert fault.where == "规则 VIS-L-001 第 2 版"
    assert "适用期重叠" in fault.problem
    assert "valid_to" in fault.remedy


def test_versions_end_to_end_are_sound(small: Small) -> None:
    small.append(RULES, SECOND_VERSION).change(RULES, "valid_from: 2017-02-28", "valid_to: 2023-12-31")
    versions = small.load().versions("VIS-L-001")
    assert [rule.version for rule in versions] == [1, 2]
    assert len({rule.fingerprint for rule in versions}) == 2


def test_versions_that_share_a_day_overlap(small: Small) -> None:
    small.append(RULES, SECOND_VERSION).change(RULES, "valid_from: 2017-02-28", "valid_to: 2024-01-01")
    assert "适用期重叠" in small.only_fault().problem


def test_file_named_after_no_form(small: Small) -> None:
    text = (small.directory / RULES).read_text(encoding="utf-8")
    small.remove(RULES).write("checks/visits.yaml", text)
    fault = small.faults()[0]
    assert (fault.file, fault.line, fault.problem) == ("checks/visits.yaml", 1, "没有表单 visits")
    assert "是否应为“visit”" in fault.remedy


def test_file_names_that_could_be_two_forms(small: Small) -> None:
    small.change(PROFILE, "title: 基本信息表", "title: 基本信息表\naliases: [ 随访 表 ]")
    fault = small.only_fault()
    assert {fault.file} <= {VISIT, PROFILE}
    assert "认不出是哪一张" in fault.problem
    assert "aliases" in fault.remedy


def test_list_id_twice(small: Small) -> None:
    small.append(CODES, "  - {id: CL_STATUS, title: 又一张, codes: [{code: 1, name: 甲}]}\n")
    fault = small.only_fault()
    assert (fault.file, fault.line) == (CODES, small.line(CODES, "- {id: CL_STATUS"))
    assert fault.problem == "“CL_STATUS”与 codes/general.yaml:2 重复"


def test_codes_that_changed_meaning_may_return_later(small: Small) -> None:
    small.change(
        CODES,
        "- {code: 2, name: 暂存, synonyms: [草稿]}",
        "- {code: 2, name: 暂存, valid_to: 2019-12-31}\n      - {code: 2, name: 草稿, valid_from: 2020-01-01}",
    )
    assert [code.name for code in small.load().codes["CL_STATUS"].codes] == ["有效", "暂存", "草稿"]


def test_every_fault_at_once_in_order(small: Small) -> None:
    small.change(PLAN, "default", "none").change(VISIT, "CL_SYMPTOM", "CL_GONE").change(RULES, "field: sbp", "field: x")
    faults = small.faults()
    assert [fault.file for fault in faults] == [RULES, VISIT, PLAN]
    text = str(CatalogueError(faults))
    assert text.splitlines()[0].startswith("规则目录有 3 处错误")
    assert f"{PLAN}:{small.line(PLAN, 'scheme: none')}" in text


def test_a_broken_field_is_blamed_once(small: Small) -> None:
    """The rules that read the field, and the choice that leans on it, are not blamed for its faulty type."""
    small.change(VISIT, "title: 舒张压, type: int", "title: 舒张压, type: integer")
    assert "不认识的类型" in small.only_fault().problem


def test_a_fault_of_shape_hides_no_other_of_the_entry(small: Small) -> None:
    """A misspelt key, a severity there is none of, a missing text and a range upside down: the rest is checked too."""
    small.change(RULES, "severity: 严重", "severty: 严仲").change(RULES, "    basis: 逻辑\n", "")
    small.change(RULES, "field: sbp", "field: x")
    small.change(VISIT, "title: 舒张压, type: int", "title: 舒张压, hard: [9, 1], type: integer")
    problems = [fault.problem for fault in small.faults()]
    for said in ("不认识的键“severty”", "缺少“basis”", "没有字段 x", "不认识的类型", "大于上限"):
        assert any(said in problem for problem in problems), (said, problems)


def test_an_example_names_what_is_there(small: Small) -> None:
    small.change(RULES, "fail: [{sbp: ", "fail: [{spb: ")
    fault = small.only_fault()
    assert fault.where == "规则 VIS-L-001"
    assert (fault.problem, "sbp" in fault.remedy) == ("样例里的 spb 不是已知的字段", True)


def test_a_broken_form_is_blamed_once(small: Small) -> None:
    small.change(VISIT, "subject: person", "subject: [person")
    assert "YAML 语法错误" in small.only_fault().problem


def test_a_broken_rule_does_not_hide_the_next(small: Small) -> None:
    small.change(COMMON, "violated: record_id is null", "violated: record_id is nul")
    small.change(COMMON, "violated: archive_no is null", "violated: archive_no +")
    assert [fault.where for fault in small.faults()] == ["规则 COM-C-001", "规则 COM-C-002"]


def test_named_forms_must_have_the_columns(small: Small) -> None:
    """``*`` passes over forms that lack a column; a form that is named must have it."""
    small.change(COMMON, "title: 档案编号未填\n    forms: person", "title: 档案编号未填\n    forms: [visit, profile]")
    small.change(COMMON, "violated: archive_no is null", "violated: archive_no is null and sbp is null")
    fault = small.only_fault()
    assert fault.where == "规则 COM-C-002"
    assert "表单 profile 没有字段 sbp" in fault.problem
