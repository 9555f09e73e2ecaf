"""Two nights by two plans: scores and their parts, a waiver, an answered workbook, a sample, a replay, changed rules.

One small home for all of it: a night costs seconds.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
import xlsxwriter

from phqc_pipeline.catalogue import Catalogue, for_plan, load_catalogue
from phqc_pipeline.home import Home
from phqc_pipeline.orchestration import stages
from phqc_pipeline.orchestration.replay import ReplayError, replay
from phqc_pipeline.orchestration.rule_diff import Version, compare_rules
from phqc_pipeline.orchestration.rule_diff_text import describe_diff
from phqc_pipeline.orchestration.session import Session
from phqc_pipeline.warehouse.night import finding_id
from tests.end_to_end.conftest import table
from tests.end_to_end.tiny import BAD, INSTITUTION, NAME, RULES, deliver, register, visits

FIRST, SECOND = "2024-12-29", "2024-12-30"
ELSEWHERE = "3101010020"
STRICT = """\
scheme_id: strict
title: 从严
extends: default
rule_deductions: {VIS-L-001: 25}
pass_lines: {institution: 60}
"""
SAMPLE = """\
plan_id: spot
title: 抽查
scheme: strict
sampling: {size: 2, seed: 3}
schedule: "0 5 1 * *"
"""


def _finding(number: int) -> str:
    return finding_id("VIS-L-001", INSTITUTION, "vision_screening", f"V{number}", "advice_codes", "")


#: 问题编号, 处理结果, 处理说明, 规则编号, 记录编号, 姓名
ANSWERED: Sequence[tuple[str, str, str, str, str, str]] = (
    (_finding(1), "申诉", "甲同学已在外院就诊，家长电话13912345678", "VIS-L-001", "V1", "甲同学"),
    (_finding(2), "已改", "", "VIS-L-001", "V2", "甲同学"),
    (_finding(3), "", "", "VIS-L-001", "V3", "甲同学"),
    (_finding(4), "说明", "", "VIS-L-001", "V4", "甲同学"),
    (_finding(2), "已改", "", "VIS-L-001", "V5", "甲同学"),
    ("f" * 32, "已改", "", "VIS-L-001", "V9", "甲同学"),
    ("", "申诉", "不知道是哪一条", "VIS-L-001", "V1", "甲同学"),
)


def _answer(home: Home, day: str) -> None:
    path = home.landing / INSTITUTION / day / "整改清单_周校医（已填）.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        book.add_worksheet("说明").write_string(0, 0, f"{NAME} 整改清单")
        sheet = book.add_worksheet("周校医")
        sheet.write_row(0, 0, ["级别", "问题编号", "处理结果", "处理说明", "规则编号", "记录编号", "姓名"])
        for row, cells in enumerate(ANSWERED, start=1):
            sheet.write_row(row, 0, ["严重", *cells])


def _judge(home: Home, cat: Catalogue, day: str, plan_id: str = "nightly") -> Session:
    session = Session(home, for_plan(cat, plan_id), plan_id, "test", base=cat)
    snapshot, quiet = date.fromisoformat(day), lambda _: None
    stages.recover(session)
    stages.take_in(session, snapshot, quiet)
    stages.judge_records(session, snapshot, quiet)
    stages.judge_cross(session, snapshot)
    stages.lay_down(session, snapshot)
    return session


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rules") / "rules"
    shutil.copytree(RULES, folder)
    (folder / "schemes" / "strict.yaml").write_text(STRICT, encoding="utf-8")
    (folder / "plans" / "spot.yaml").write_text(SAMPLE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, rules: Path) -> Home:
    cat = load_catalogue(rules)
    home = register(tmp_path_factory.mktemp("two_plans"))
    with (home.registry / "institution.csv").open("a", encoding="utf-8") as registry:
        registry.write(f"{ELSEWHERE},第三小学,学校,,310101000000\n")
    (home.registry / "waiver.csv").write_text(
        "rule_id,institution_code,subject_id,field,reason,approved_by,from_date,until_date\n"
        f"VIS-L-001,{INSTITUTION},V3,,外院就诊,李,2024-12-30,2024-12-30\n",
        encoding="utf-8",
    )
    deliver(home, FIRST, visits(6, v1=BAD, v2=BAD, v3=BAD))
    _judge(home, cat, FIRST)
    deliver(home, SECOND, visits(6, v1=BAD, v3=BAD, v4=BAD))
    _answer(home, SECOND)
    _judge(home, cat, SECOND, "spot")
    session = _judge(home, cat, SECOND)
    stages.settle_later(session, [date.fromisoformat(SECOND)], lambda _: None)
    stages.follow(session)
    stages.charge(session)
    stages.build(session)
    stages.publish(session)
    return home


def test_states_and_their_history(home: Home) -> None:
    states = table(home.root, "SELECT subject_id, state FROM qc.finding WHERE rule_id = 'VIS-L-001' ORDER BY 1")
    assert states == [("V1", "open"), ("V2", "fixed"), ("V3", "waived"), ("V4", "open")]
    changes = table(
        home.root,
        "SELECT f.subject_id, h.snapshot_date::VARCHAR, h.from_state, h.to_state, h.cause FROM qc.finding_history h "
        "JOIN qc.finding f USING (finding_id) WHERE h.snapshot_date = DATE '2024-12-30' ORDER BY 1",
    )
    assert changes == [
        ("V2", SECOND, "open", "fixed", "复查已符合"),
        ("V3", SECOND, "open", "waived", "豁免"),
        ("V4", SECOND, None, "open", "首次发现"),
    ]
    night = "SELECT sum(new_findings), sum(fixed_findings), sum(waived_findings), any_value(previous_date)::VARCHAR "
    assert table(home.root, f"{night}FROM mart.night_change WHERE snapshot_date = DATE '2024-12-30'") == [
        (1, 1, 1, FIRST)
    ]
    age = "SELECT open_findings, fixed_findings, oldest_open_days, mean_days_to_fix FROM mart.finding_age"
    assert table(home.root, f"{age} WHERE rule_id = 'VIS-L-001'") == [(2, 1, 1, 1.0)]


def test_scores_by_both_schemes_and_what_makes_them_up(home: Home) -> None:
    scores = table(
        home.root,
        "SELECT scheme_id, judging, level, records, records_passed, round(score, 3), round(mean_record_score, 3), "
        "reached FROM mart.score ORDER BY ALL",
    )
    passed, mean = round(400 / 6, 3), (round((400 + 180) / 6, 3), round((400 + 150) / 6, 3))
    assert scores == [
        ("default", True, "doctor", 6, 4, passed, mean[0], None),
        ("default", True, "institution", 6, 4, passed, mean[0], None),
        ("strict", False, "doctor", 6, 4, passed, mean[1], None),
        ("strict", False, "institution", 6, 4, passed, mean[1], True),
    ]
    parts = "SELECT scheme_id, rule_id, findings, points, round(lost, 6) FROM mart.score_part "
    assert table(home.root, f"{parts} WHERE level = 'institution' ORDER BY 1") == [
        ("default", "VIS-L-001", 2, 20.0, round(200 / 6, 6)),
        ("strict", "VIS-L-001", 2, 50.0, round(200 / 6, 6)),
    ]


def test_each_plans_night_says_whom_it_judged(home: Home) -> None:
    runs = table(
        home.root,
        "SELECT plan_id, scheme_id, snapshot_date::VARCHAR, sampled, is_leading, records_checked FROM qc.run "
        "ORDER BY 3, 1",
    )
    assert runs == [
        ("nightly", "default", FIRST, False, True, 6),
        ("nightly", "default", SECOND, False, True, 6),
        ("spot", "strict", SECOND, True, False, 2),
    ]
    told = "SELECT institution_code, judged, reason, records FROM qc.run_institution WHERE plan_id = 'nightly' "
    assert table(home.root, f"{told} AND snapshot_date = DATE '2024-12-30' ORDER BY 1") == [
        (INSTITUTION, True, None, 6),
        (ELSEWHERE, False, "没有交付过任何文件", 0),
    ]


def test_the_answered_workbook_is_read_back(home: Home) -> None:
    answers = table(
        home.root,
        "SELECT finding_id, answer, explanation, row_number, accepted, reason FROM qc.answer ORDER BY row_number",
    )
    assert [(row[0], row[1], row[3], row[4]) for row in answers] == [
        (_finding(1), "申诉", 2, True),
        (_finding(2), "已改", 3, True),
        (_finding(4), "说明", 5, False),
        (_finding(2), "已改", 6, False),
        ("f" * 32, "已改", 7, False),
    ]
    assert "甲同学" not in answers[0][2]
    assert "13912345678" not in answers[0][2]
    assert "已在外院就诊" in answers[0][2]
    assert [row[5][:6] for row in answers[2:]] == ["申诉和说明要", "这一行被改动", "没有这个问题"]
    book = (
        "SELECT status, rows_read, rows_loaded, rows_rejected FROM ingest.file WHERE form_id = 'rectification_answer'"
    )
    assert table(home.root, book) == [("accepted", 6, 5, 1)]


def test_a_past_night_is_judged_again_and_is_the_same(home: Home, tmp_path: Path) -> None:
    (told,) = replay(home, date.fromisoformat(FIRST), keep=tmp_path / "kept")
    assert told.is_same, told.describe()
    assert told.findings == 3
    assert (tmp_path / "kept" / f"{FIRST}.nightly" / "findings.parquet").is_file()
    assert not (home.warehouse / "aside" / "replay").exists()
    with pytest.raises(ReplayError, match=f"现有：{FIRST}、{SECOND}"):
        replay(home, date(2024, 12, 1))


def test_a_dbt_project_that_is_not_understood_is_refused_or_replaced(home: Home, rules: Path, tmp_path: Path) -> None:
    """Written for an earlier program: it asks for a var that nobody sets any more."""
    (kept,) = home.kept.glob("project-*")
    shutil.copytree(kept, tmp_path / "project")
    macro = Path("macros", "quality.sql")
    whole = (kept / macro).read_text(encoding="utf-8")
    earlier = whole.replace("catalogue_forms()", "var('forms')")
    assert earlier != whole
    (tmp_path / "project" / macro).write_text(earlier, encoding="utf-8")
    try:
        (kept / macro).write_text(earlier, encoding="utf-8")
        with pytest.raises(ReplayError, match="今天的程序运行不了；请用当时那一版程序重放"):
            replay(home, date.fromisoformat(FIRST))
    finally:
        (kept / macro).write_text(whole, encoding="utf-8")
    cat = load_catalogue(rules)
    told = compare_rules(home, Version(cat, tmp_path / "project"), Version(cat))
    assert (told.cross_judged, told.own_project, told.uncompared) == (True, False, ())
    assert (int(told.findings["appears"].sum()), int(told.findings["stays"].sum())) == (0, 3)
    assert "旧版的 dbt 项目今天的程序运行不了" in describe_diff(told, cat)


def test_what_a_changed_threshold_does(home: Home, rules: Path, tmp_path: Path) -> None:
    shutil.copytree(rules, tmp_path / "rules")
    changed = tmp_path / "rules" / "checks" / "vision_screening.yaml"
    text = changed.read_text(encoding="utf-8").replace("poor: 4.9}", "poor: 4.8}", 1)
    head, tail = text.split("examples:", 1)
    changed.write_text(head + "examples:" + tail.replace("naked_left: 4.8", "naked_left: 4.7"), encoding="utf-8")
    second = changed.read_text(encoding="utf-8").replace("naked_right: 4.8", "naked_right: 4.7", 1)
    changed.write_text(second, encoding="utf-8")
    before, after = load_catalogue(rules), load_catalogue(tmp_path / "rules")
    told = compare_rules(home, Version(before), Version(after))
    assert told.rules.rows() == [("VIS-L-001", "改动")]
    assert not told.cross_judged
    (row,) = told.findings.filter(told.findings["rule_id"] == "VIS-L-001").to_dicts()
    assert (row["appears"], row["vanishes"], row["stays"]) == (0, 3, 0)
    assert sorted(row["vanishing"]) == [f"vision_screening/V{number}" for number in (1, 3, 4)]
    (score,) = told.scores.to_dicts()
    assert (score["passed_before"], score["passed_after"], score["score_after"]) == (3, 6, 100.0)
    assert (score["mean_before"], score["mean_after"]) == (round((3 * 100 + 3 * 90) / 6, 6), 100.0)
    assert "消失的例子：vision_screening/V1" in describe_diff(told, after)
    back = compare_rules(home, Version(after), Version(before))
    assert int(back.findings["appears"].sum()) == 3
    alike = compare_rules(home, Version(before), Version(dataclasses.replace(before)))
    assert (alike.rules.height, int(alike.findings["appears"].sum() + alike.findings["vanishes"].sum())) == (0, 0)
