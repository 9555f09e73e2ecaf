"""A small catalogue whose rules walk every way the runner can go: versions, validity, suppression, per-field, masks."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from phqc_pipeline.catalogue import Catalogue, load_catalogue
from tests.catalogue.small_catalogue import PLAN, SCHEME, write_files

FILES = {
    "forms/_envelope.yaml": """\
fields:
  - {name: record_id, title: 记录编号, type: s(32), required: Y, role: identifier, business: false}
  - {name: archive_no, title: 健康档案编号, type: s(17), required: Y, role: identifier, business: false}
  - {name: person_name, title: 姓名, type: s(50), required: Y, personal: name, business: false}
  - {name: id_card_no, title: 身份证号, type: s(18), required: N, personal: id_number, role: identifier}
  - {name: birth_date, title: 出生日期, type: date, required: Y, business: false}
  - {name: institution_code, title: 机构编码, type: s(22), required: Y, role: identifier, business: false}
  - {name: doctor_name, title: 责任医生, type: s(50), required: Y, role: signature, business: false}
  - {name: updated_at, title: 修改时间, type: dt, required: N, business: false}
  - {name: record_status, title: 记录状态, type: code, codes: CL_RECORD_STATUS, required: Y, absent_ok: true}
""",
    "forms/visit.yaml": """\
form_id: visit
title: 随访表
subject: person
service_date: visit_date
fields:
  - {name: visit_date, title: 随访日期, type: date, required: Y}
  - {name: sbp, title: 收缩压, type: int, unit: mmHg, required: Y, hard: [60, 280]}
  - {name: dbp, title: 舒张压, type: int, unit: mmHg, required: Y, hard: [30, 160]}
  - {name: weight_kg, title: 体重, type: "dec(4,1)", unit: kg, required: N, hard: [20, 250]}
  - {name: symptom_codes, title: 症状, type: multi, codes: CL_SYMPTOM, required: N}
  - {name: class_code, title: 分类, type: code, codes: CL_CLASS, required: N}
  - {name: onset_month, title: 发病年月, type: ym, required: N}
  - {name: phone, title: 电话, type: s(20), required: N, role: phone, personal: phone}
  - {name: address, title: 住址, type: s(100), required: N, personal: address}
  - {name: remark, title: 备注, type: s(200), required: N}
""",
    "forms/card.yaml": """\
form_id: card
title: 登记卡
subject: person
service_date: card_date
fields:
  - {name: card_date, title: 登记日期, type: date, required: N}
  - {name: household_id, title: 家庭编号, type: s(20), required: N, role: identifier}
""",
    "codes/general.yaml": """\
lists:
  - id: CL_RECORD_STATUS
    title: 记录状态
    codes:
      - {code: '1', name: 有效}
      - {code: '2', name: 暂存}
      - {code: '3', name: 作废}
      - {code: '4', name: 退回}
      - {code: '5', name: 已审核}
  - id: CL_SYMPTOM
    title: 症状
    codes: [{code: '1', name: 无症状}, {code: '2', name: 头痛}, {code: '3', name: 心悸}]
  - id: CL_CLASS
    title: 随访分类
    codes: [{code: '1', name: 控制满意}, {code: '2', name: 控制不满意}]
""",
    "derived.yaml": """\
derived:
  - {name: service_date, title: 服务日期, expr: service_date()}
  - {name: age, title: 周岁, expr: age_at(service_date)}
  - {name: id_birth_date, title: 证号中的出生日期, expr: id_birth_date(id_card_no)}
""",
    "checks/common.yaml": """\
rules:
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
      pass: [{form: visit, field: dbp, dbp: 80}]
      fail: [{form: visit, field: dbp}]
  - id: COM-F-014
    title: 超出可能范围
    dimension: 规范性
    severity: 严重
    per_field: {types: [int, dec], has: hard}
    violated: typed(value) < hard_min or typed(value) > hard_max
    message: "{title} {value}{unit} 不在 {hard_min}～{hard_max} 之内"
    basis: 表单字典
    verified: true
    examples:
      pass: [{form: visit, field: sbp, sbp: 60}]
      fail: [{form: visit, field: sbp, sbp: 59}]
  - id: COM-F-021
    title: 数值无法识别
    dimension: 规范性
    severity: 严重
    per_field: {types: [int, dec]}
    violated: unreadable(value)
    message: "{title}“{value}”无法识别"
    basis: 工程约定
    verified: true
    examples:
      pass: [{form: visit, field: sbp, sbp: 60}]
      fail: [{form: visit, field: sbp, sbp: 一百}]
""",
    "checks/visit.yaml": r"""
rules:
  - id: VIS-L-001
    title: 收缩压不大于舒张压
    dimension: 逻辑性
    severity: 严重
    params: {least_age: 18}
    when: sbp is not null and dbp is not null and age >= least_age
    assert: sbp > dbp
    field: sbp
    message: "{age} 岁（{least_age} 岁起判），血压 {sbp}/{dbp}，体重 {weight_kg}，{visit_date}，起病 {onset_month}，\
      症状 {symptom_codes}，分类 {class_code}"
    expected: 大于 {dbp}
    suggestion: {expr: dbp + 40}
    basis: 逻辑
    verified: false
    examples:
      pass: [{sbp: 120, dbp: 80, age: 50}]
      fail: [{sbp: 80, dbp: 80, age: 50}]
  - id: VIS-L-002
    version: 1
    title: 收缩压高（旧口径）
    dimension: 逻辑性
    severity: 提示
    params: {limit: 160}
    when: sbp is not null
    assert: sbp < limit
    field: sbp
    message: 收缩压 {sbp} 达 {limit}
    basis: 旧口径
    verified: false
    valid_to: 2019-12-31
    examples: {pass: [{sbp: 159}], fail: [{sbp: 160}]}
  - id: VIS-L-002
    version: 2
    title: 收缩压高
    dimension: 逻辑性
    severity: 提示
    params: {limit: 140}
    when: sbp is not null
    assert: sbp < limit
    field: sbp
    message: 收缩压 {sbp} 达 {limit}
    basis: 新口径
    verified: false
    valid_from: 2020-01-01
    examples: {pass: [{sbp: 139}], fail: [{sbp: 140}]}
  - id: VIS-F-001
    title: 证号损坏
    dimension: 规范性
    severity: 严重
    violated: contains(id_card_no, 'E+')
    field: id_card_no
    message: 证号 {id_card_no} 被改写
    basis: 工程约定
    verified: true
    examples: {pass: [{id_card_no: '1'}], fail: [{id_card_no: 6.5E+17}]}
  - id: VIS-F-002
    title: 证号位数
    dimension: 规范性
    severity: 严重
    violated: length(id_card_no) not in (15, 18)
    field: id_card_no
    suppressed_by: [VIS-F-001]
    message: "{person_name}（{phone}，{address}）的证号 {id_card_no} 位数不对，备注 {remark}"
    suggestion: {expr: upper(person_name)}
    basis: 工程约定
    verified: true
    examples: {pass: [{id_card_no: '654301195001010012'}], fail: [{id_card_no: '12'}]}
  - id: VIS-L-003
    title: 出生日期与证号不符
    dimension: 逻辑性
    severity: 严重
    violated: id_birth_date <> birth_date
    field: birth_date
    message: 证号中是 {id_birth_date}，填的是 {birth_date}
    suggestion: {expr: id_birth_date}
    root: id_card_no
    basis: 工程约定
    verified: true
    examples:
      pass: [{id_card_no: '654301195001010012', birth_date: 1950-01-01}]
      fail: [{id_card_no: '654301195001010012', birth_date: 1951-01-01}]
  - id: VIS-X-001
    title: 分类与症状
    dimension: 逻辑性
    severity: 一般
    violated: class_code = '1' and '2' in symptom_codes
    message: 症状 {symptom_codes} 而分类 {class_code}
    suggestion: {text: 核对分类}
    basis: 工程约定
    verified: true
    examples:
      pass: [{class_code: '1', symptom_codes: ['1']}]
      fail: [{class_code: '1', symptom_codes: ['2']}]
""",
    "schemes/default.yaml": SCHEME,
    "plans/nightly.yaml": PLAN,
}


def write_catalogue(folder: Path) -> Path:
    """The catalogue folder, written out."""
    return write_files(folder, FILES)


@cache
def small_catalogue() -> Catalogue:
    """The catalogue, loaded once. To be called where Hypothesis would print a fixture of it with every example."""
    with tempfile.TemporaryDirectory() as folder:
        return load_catalogue(write_catalogue(Path(folder)))
