"""Another field's forms and rules, in YAML alone: school health (tests/foreign), run by the installed program.

Whatever about a form needs Python would fail here: this catalogue has its own envelope, no identity numbers, no archive
status, an institution's form without residents, a report and an order of its own. One rule is made to fail, so that
what a broken cross model costs is seen from outside, too: its own rule and nothing else.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.end_to_end.conftest import ROOT, phqc, table

FOREIGN = ROOT / "tests" / "foreign"

#: A rule whose model asks for columns the form has not (class_code, referral_reason).
BROKEN = """
  - id: SCH-L-001
    title: 连续两次视力不良
    form_id: vision_screening
    carrier: dbt
    model: consecutive_uncontrolled
    dimension: 逻辑性
    severity: 一般
    grain: person
    params: {uncontrolled: ['2'], look_back_days: 366}
    reads: {vision_screening: [archive_no, screened_on]}
    message: 连续两次视力不良（{observed}）。
    expression: 相邻两次筛查都是视力不良
    basis: 学校卫生（示例）
    verified: false
"""


def _judge(home: Path) -> None:
    rules = home / "rules"
    shutil.copytree(FOREIGN / "rules", rules)
    with (rules / "checks" / "common.yaml").open("a", encoding="utf-8") as file:
        file.write(BROKEN)
    for folder in ("landing", "registry"):
        shutil.copytree(FOREIGN / "home" / folder, home / folder)
    (home / "nightly.out").write_text(phqc("nightly", "--home", home, "--rules", rules).stdout, encoding="utf-8")


@pytest.fixture(scope="module")
def home(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    return made_once("foreign_home", _judge)


def test_exactly_what_is_wrong_is_found(home: Path) -> None:
    found = table(home, "SELECT rule_id, form_id, subject_id, field FROM qc.finding ORDER BY ALL")
    assert found == [
        ("CLS-L-001", "classroom_check", "C2", "passed_code"),
        ("SCH-C-001", "vision_screening", "S04", "corrected_right"),
        ("SCH-C-001", "vision_screening", "S04", "grade"),
        ("SCH-R-001", "r_vision", "3101010010", "poor_vision"),
        ("SCH-U-001", "vision_screening", "S05", "record_id"),
        ("SCH-U-002", "vision_screening", "S01", "archive_no"),
        ("SCH-U-002", "vision_screening", "S09", "archive_no"),
        ("VIS-L-001", "vision_screening", "S03", "advice_codes"),
        ("VIS-L-002", "vision_screening", "S04", "corrected_left"),
        ("VIS-L-003", "vision_screening", "S08", "grade"),  # 5 years in grade 3: within version 1's slack, not 2's
    ]


def test_a_model_that_fails_costs_its_own_rule(home: Path) -> None:
    unjudged = table(home, "SELECT rule_id, status FROM qc.rule_result WHERE status IN ('error', 'not_evaluable')")
    assert unjudged == [("SCH-L-001", "error")]


def test_the_forms_are_published_with_their_own_names(home: Path) -> None:
    records = "SELECT count(*), count(DISTINCT record_id) FROM records.{}"
    assert table(home, records.format("vision_screening")) == [(8, 8)]
    assert table(home, records.format("classroom_check")) == [(3, 3)]
    comments = "SELECT column_name, comment FROM duckdb_columns() WHERE schema_name = 'records' AND column_name = '{}'"
    assert table(home, comments.format("desk_lux")) == [("desk_lux", "课桌面照度（lx）")]


def test_the_order_is_charged_from_the_foreign_report(home: Path) -> None:
    charge = "SELECT quantity, amount_exact, amount, amount_words, quantity_from_records FROM billing.charge"
    assert table(home, charge) == [(9, Decimal("11.2500"), Decimal("11.25"), "壹拾壹元贰角伍分", None)]
