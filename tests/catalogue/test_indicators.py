"""Indicators, services and how report items are counted: what the catalogue takes, and every fault it names."""

from __future__ import annotations

from .small_catalogue import Small

INDICATORS = """\
indicators:
  - id: I-02
    title: 电子档案占比
    numerator: ehr_electronic
    denominator: ehr_archive
    targets:
      - {year: 2024, value: 90}
      - {year: 2024, region: '6543', value: 85}
"""
SERVICES = """\
services:
  - {id: visits, title: 随访, form_id: visit, disease: HTN, times: 4, interval_days: 92}
"""


def test_an_indicator_with_its_targets(small: Small) -> None:
    cat = small.write("indicators/work.yaml", INDICATORS).write("services.yaml", SERVICES).load()
    one = cat.indicators["I-02"]
    assert (one.numerator, one.denominator, one.factor, one.direction) == (
        ("ehr_electronic",),
        ("ehr_archive",),
        100,
        "up",
    )
    assert [(target.year, target.region, target.value) for target in one.targets] == [
        (2024, "", 90.0),
        (2024, "6543", 85.0),
    ]
    assert (cat.services["visits"].times, cat.services["visits"].interval_days) == (4, 92)


def test_an_unknown_item_is_a_fault(small: Small) -> None:
    wrong = INDICATORS.replace("denominator: ehr_archive", "denominator: ehr_archives")
    (fault,) = small.write("indicators/work.yaml", wrong).faults()
    assert (fault.file, fault.line) == ("indicators/work.yaml", 5)
    assert "没有报表项 ehr_archives" in fault.problem
    assert "ehr_archive" in fault.remedy


def test_two_targets_for_one_year_and_a_wrong_number_are_faults(small: Small) -> None:
    wrong = INDICATORS.replace(", region: '6543'", "").replace("I-02", "I-2")
    said = [fault.problem for fault in small.write("indicators/work.yaml", wrong).faults()]
    assert any("两个目标值" in problem for problem in said)
    assert any("不合格式" in problem for problem in said)


def test_a_service_on_an_unknown_form_or_of_nobody_is_a_fault(small: Small) -> None:
    wrong = SERVICES.replace("form_id: visit", "form_id: visits_").replace("disease: HTN, ", "")
    said = [fault.problem for fault in small.write("services.yaml", wrong).faults()]
    assert any("没有表单 visits_" in problem for problem in said)
    assert any("恰好写一个" in problem for problem in said)


def test_an_item_counted_from_what_there_is_not_is_a_fault(small: Small) -> None:
    report = """\
report_id: r_archive
title: 健康档案报表
items:
  - {item: ehr_archive, title: 建档人数, type: int, recomputed: true, model: recount_archive, reads: {visit: [sbpp]}}
  - {item: ehr_electronic, title: 电子档案人数, type: int, recomputed: true, model: counted, reads: {nowhere: []}}
"""
    said = [fault.problem for fault in small.write("reports/r_archive.yaml", report).faults()]
    assert said == ["visit 没有字段 sbpp", "没有表单 nowhere"]
