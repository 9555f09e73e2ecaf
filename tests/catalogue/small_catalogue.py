"""A small sound catalogue in a folder, for tests that break it one way at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from phqc_pipeline.catalogue import Catalogue, CatalogueError, Fault, load_catalogue

ENVELOPE = """\
fields:
  - {name: record_id, title: 记录编号, type: s(32), required: Y, role: identifier, business: false}
  - {name: archive_no, title: 健康档案编号, type: s(17), required: Y, role: identifier, business: false}
  - {name: birth_date, title: 出生日期, type: date, required: Y, business: false}
  - {name: record_status, title: 记录状态, type: code, codes: CL_STATUS, required: Y, absent_ok: true}
"""
VISIT = """\
form_id: visit
title: 随访表
aliases: [随访记录]
subject: person
service_date: visit_date
fields:
  - {name: visit_date, title: 随访日期, type: date, required: Y}
  - {name: symptom_codes, title: 症状, type: multi, codes: CL_SYMPTOM, required: Y, exclusive: ['1']}
  - {name: symptom_other, title: 症状-其他, type: s(100), required: {when: "'9' in symptom_codes"},
     other_of: {field: symptom_codes, code: '9'}}
  - {name: sbp, title: 收缩压, synonyms: [高压], type: int, unit: mmHg, required: Y, hard: [60, 280], soft: [90, 200]}
  - {name: dbp, title: 舒张压, type: int, unit: mmHg, required: Y, hard: [30, 160]}
  - {name: weight_kg, title: 体重, type: "dec(4,1)", unit: kg, required: N, hard: [20, 250]}
  - {name: drug_name, title: 药名, type: s(50), required: N}
  - {name: drug_dose, title: 用量, type: s(50), required: {when: drug_name is not null}}
"""
PROFILE = """\
form_id: profile
title: 基本信息表
subject: person
service_date: archive_date
fields:
  - {name: archive_date, title: 建档日期, type: date, required: Y}
  - {name: phone, title: 电话, type: s(20), required: Y, role: phone, personal: phone}
"""
PATROL = """\
form_id: patrol
title: 巡查登记表
subject: institution
service_date: patrol_date
fields:
  - {name: patrol_date, title: 巡查日期, type: dt, required: Y}
  - {name: archive_no, title: 编号, type: s(17), required: N}
"""
CODES = """\
lists:
  - id: CL_STATUS
    title: 记录状态
    codes:
      - {code: 1, name: 有效}
      - {code: 2, name: 暂存, synonyms: [草稿]}
  - id: CL_SYMPTOM
    title: 症状
    verified: true
    codes:
      - {code: '1', name: 无症状, synonyms: [无]}
      - {code: '02', name: 头痛}
      - {code: '9', name: 其他}
"""
DERIVED = """\
derived:
  - {name: service_date, title: 服务日期, expr: service_date()}
  - {name: age, title: 周岁, expr: age_at(service_date)}
"""
COMMON = """\
rules:
  - id: COM-C-001
    title: 记录编号未填
    dimension: 完整性
    severity: 严重
    violated: record_id is null
    field: record_id
    message: 缺少记录编号
    basis: 工程约定
    verified: true
    examples: {pass: [{record_id: A1}], fail: [{record_id: null}]}
  - id: COM-C-002
    title: 档案编号未填
    forms: person
    dimension: 完整性
    severity: 严重
    violated: archive_no is null
    field: archive_no
    message: 缺少档案编号
    basis: 工程约定
    verified: true
    examples: {pass: [{archive_no: '1'}], fail: [{archive_no: null}]}
  - id: COM-C-013
    title: 必填项未填
    dimension: 完整性
    severity: 一般
    per_field: {has: required}
    when: required_now
    violated: missing(value)
    message: "{title}未填"
    basis: 表单字典
    verified: true
    examples:
      pass: [{form: visit, field: sbp, sbp: 120}]
      fail: [{form: visit, field: sbp}]
  - id: COM-F-014
    title: 超出可能范围
    dimension: 规范性
    severity: 严重
    per_field: {types: [int, dec], has: hard}
    violated: typed(value) < hard_min or typed(value) > hard_max
    message: "{title} {value} 不可能"
    basis: 表单字典
    verified: true
    examples:
      pass: [{form: visit, field: sbp, sbp: 60}]
      fail: [{form: visit, field: sbp, sbp: 59}]
"""
VISIT_RULES = """\
rules:
  - id: VIS-L-001
    title: 收缩压不大于舒张压
    dimension: 逻辑性
    severity: 严重
    params: {least: 0}
    when: sbp is not null and age >= least
    assert: sbp > dbp
    field: sbp
    message: 血压 {sbp}/{dbp} 填反，{age} 岁
    suggestion: {expr: dbp}
    basis: 逻辑
    verified: false
    valid_from: 2017-02-28
    examples:
      pass: [{sbp: 120, dbp: 80, age: 50}]
      fail: [{sbp: 80, dbp: 80, age: 50, note: 相等也算}]
"""
CROSS = """\
rules:
  - id: VIS-U-001
    title: 同日重复
    form_id: visit
    carrier: dbt
    dimension: 唯一性
    severity: 严重
    grain: person
    model: same_day
    reads: {visit: [archive_no, visit_date]}
    params: {most: 1}
    expression: 同一档案同一天多于 {most} 条
    message: 同一天有 {observed} 条
    checks_empty: [dbp]
    basis: 规范三
    verified: false
"""
REPORT = """\
report_id: r_archive
title: 健康档案报表
items:
  - {item: ehr_archive, title: 建档人数, type: int, nature: 时点, recomputed: true}
  - {item: ehr_electronic, title: 电子档案人数, synonyms: [电子建档人数], type: int, nature: 时点, recomputed: true}
"""
SCHEME = """\
scheme_id: default
title: 基本方案
rules: all
deductions: {严重: 10, 一般: 3, 提示: 0}
pass: 无严重
"""
PLAN = """\
plan_id: nightly
scheme: default
institutions: all
forms: all
period: natural_year
schedule: "0 2 * * *"
records_from: null
"""
FILES = {
    "forms/_envelope.yaml": ENVELOPE,
    "forms/visit.yaml": VISIT,
    "forms/profile.yaml": PROFILE,
    "forms/patrol.yaml": PATROL,
    "codes/general.yaml": CODES,
    "derived.yaml": DERIVED,
    "checks/common.yaml": COMMON,
    "checks/visit.yaml": VISIT_RULES,
    "checks/cross.yaml": CROSS,
    "reports/r_archive.yaml": REPORT,
    "schemes/default.yaml": SCHEME,
    "plans/nightly.yaml": PLAN,
}


def write_files(directory: Path, files: Mapping[str, str]) -> Path:
    """Files of a catalogue by their name below ``directory``; the directory."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory


class Small:
    """The small catalogue in a folder; ``change`` replaces one passage of one file, which must be there once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        write_files(directory, FILES)

    def write(self, name: str, text: str) -> Small:
        write_files(self.directory, {name: text})
        return self

    def change(self, name: str, old: str, new: str) -> Small:
        text = (self.directory / name).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        return self.write(name, text.replace(old, new))

    def append(self, name: str, text: str) -> Small:
        return self.write(name, (self.directory / name).read_text(encoding="utf-8") + text)

    def remove(self, name: str) -> Small:
        (self.directory / name).unlink()
        return self

    def line(self, name: str, passage: str) -> int:
        """The line on which ``passage`` begins."""
        text = (self.directory / name).read_text(encoding="utf-8")
        assert text.count(passage) == 1, f"{passage!r} stands {text.count(passage)} times in {name}"
        return text[: text.index(passage)].count("\n") + 1

    def load(self) -> Catalogue:
        return load_catalogue(self.directory)

    def faults(self) -> list[Fault]:
        with pytest.raises(CatalogueError) as caught:
            self.load()
        return caught.value.faults

    def only_fault(self) -> Fault:
        """The one fault there must be."""
        faults = self.faults()
        assert len(faults) == 1, "\n".join(map(str, faults))
        return faults[0]
