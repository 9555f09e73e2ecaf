"""The project's own rules in time: each record by the version, limits and codes of its service date (ruling 0a.16)."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from phqc_pipeline.catalogue import Catalogue, Context, load_catalogue
from phqc_pipeline.catalogue.commands import show
from phqc_pipeline.home import DEFAULT_RULES
from tests.checks.lake_frames import Night, delivered, judge, records

LATER = Context.natural_year(date(2025, 12, 31))


def judged(cat: Catalogue, lake: Path, form_id: str, rule_id: str, *rows: Mapping[str, Any]) -> Night:
    """One rule over records numbered from 0, by the end of 2025."""
    form = cat.form(form_id)
    numbered = [{"record_id": f"R{number}", "record_status": "1", **row} for number, row in enumerate(rows)]
    delivery = delivered(lake, form, "A", records(form, *numbered))
    return judge(cat, [delivery], lake / "out", ctx=LATER, rules=[rule_id])


def told(night: Night) -> list[tuple[Any, ...]]:
    return night.findings.sort("record_id").select("record_id", "rule_version").rows()


def test_the_immunisation_programme_of_the_day(real: Catalogue, lake: Path) -> None:
    """The second dose of DTaP: at 4 months by the programme of 2021, which those born before 2025 may still go by; at 4
    months by that of 2025 too, the first at 2 instead of 3. HPV is of the programme from 2025-11-10."""
    dose = {"vaccine_code": "DTAP", "dose_no": 1.0}
    hpv = {"vaccine_code": "HPV2", "dose_no": 1.0, "birth_date": date(2014, 1, 1)}
    rows = [
        {**dose, "birth_date": date(2024, 10, 15), "dose_date": date(2024, 12, 31)},  # 2 months, programme of 2021
        {**dose, "birth_date": date(2024, 10, 15), "dose_date": date(2025, 1, 1)},  # the next day: 2 months are enough
        {**dose, "birth_date": date(2025, 1, 1), "dose_date": date(2025, 2, 28)},  # 1 month
        {**dose, "birth_date": date(2025, 9, 20), "dose_date": date(2025, 11, 10)},
        {**hpv, "dose_date": date(2025, 11, 9)},
        {**hpv, "dose_date": date(2025, 11, 10)},
    ]
    night = judged(real, lake, "vaccination_dose", "VAC-L-001", *rows)
    assert told(night) == [("R0", 1), ("R2", 2), ("R3", 3), ("R5", 3)]
    result = night.result("VAC-L-001", "dose_date")
    assert (result["checked"], result["violated"]) == (6, 4)


def test_the_rules_on_copd_begin_in_september_2024(real: Catalogue, lake: Path) -> None:
    visit = {"visit_mode_code": "1", "fev1_fvc": 70.0}
    days = [date(2024, 8, 31), date(2024, 9, 1), date(2025, 3, 1), None]  # without a date: as of today
    night = judged(real, lake, "copd_followup", "CPD-L-001", *({**visit, "visit_date": day} for day in days))
    assert told(night) == [("R1", 1), ("R2", 1), ("R3", 1)]
    assert night.result("CPD-L-001", "fev1_fvc")["checked"] == 3, "a record before the rule is not checked by it"


def test_the_elders_limit_from_the_65th_birthday_on(real: Catalogue, lake: Path) -> None:
    birthday = date(2025, 5, 1)
    visit = {"birth_date": date(1960, 5, 1), "class_code": "1", "dbp": 89.0}
    rows = [
        {**visit, "visit_date": birthday - timedelta(days=1), "sbp": 140.0},  # 64: below 140
        {**visit, "visit_date": birthday, "sbp": 140.0},
        {**visit, "visit_date": birthday, "sbp": 149.0},
        {**visit, "visit_date": birthday, "sbp": 150.0},
    ]
    assert told(judged(real, lake, "htn_followup", "HTN-L-001", *rows)) == [("R0", 1), ("R3", 1)]


@pytest.fixture(scope="module")
def from_sixty(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """The catalogue with a second version of HTN-L-001: elders from 60 years on, since July 2024."""
    rules = tmp_path_factory.mktemp("versions") / "rules"
    shutil.copytree(DEFAULT_RULES, rules)
    path = rules / "checks" / "htn_followup.yaml"
    text = path.read_text(encoding="utf-8")
    (entry,) = re.findall(r"(?ms)^  - id: HTN-L-001\n.*?(?=^  - id: )", text)
    assert "valid_from: 2017-02-28" in entry
    newer = entry.replace("id: HTN-L-001", "id: HTN-L-001\n    version: 2").replace("elder_age: 65", "elder_age: 60")
    newer = newer.replace("valid_from: 2017-02-28", "valid_from: 2024-07-01")
    older = entry.replace("valid_from: 2017-02-28", "valid_from: 2017-02-28\n    valid_to: 2024-06-30")
    path.write_text(text.replace(entry, older + newer), encoding="utf-8")
    return load_catalogue(rules)


def test_each_version_with_its_own_threshold(from_sixty: Catalogue, lake: Path) -> None:
    visit = {"birth_date": date(1964, 1, 1), "class_code": "1", "dbp": 80.0}  # 60 years old in 2024
    rows = [
        {**visit, "visit_date": date(2017, 2, 27), "sbp": 150.0},  # before the rule
        {**visit, "visit_date": date(2024, 6, 30), "sbp": 145.0},
        {**visit, "visit_date": date(2024, 7, 1), "sbp": 145.0},
        {**visit, "visit_date": date(2024, 7, 1), "sbp": 150.0},
        {**visit, "visit_date": None, "sbp": 150.0},  # no age without a date
    ]
    night = judged(from_sixty, lake, "htn_followup", "HTN-L-001", *rows)
    assert told(night) == [("R1", 1), ("R3", 2)]
    messages = night.findings.sort("record_id")["message"].to_list()
    assert ["满 65 岁" in messages[0], "满 60 岁" in messages[1]] == [True, True]
    result = night.result("HTN-L-001", "class_code")
    assert (result["checked"], result["applicable"], result["violated"]) == (4, 3, 2)


def test_versions_are_shown_together(from_sixty: Catalogue) -> None:
    text = show(from_sixty, "HTN-L-001")
    assert text.index("（第 1 版，共 2 版）") < text.index("（第 2 版，共 2 版）")
    assert "2017-02-28 起至 2024-06-30" in text
    assert "2024-07-01 起" in text
    assert "elder_age = 65" in text.split("（第 2 版，共 2 版）")[0]
    assert "elder_age = 60" in text.split("（第 2 版，共 2 版）")[1]


def test_a_code_out_of_its_time_is_reported_and_read_by_no_other_rule(real: Catalogue, lake: Path) -> None:
    """Avian influenza H7N9 left the list on 2025-09-01; reported on that day, it is no code."""
    form = real.form("infectious_report")
    card = {
        "record_status": "1",
        "disease_code": "人感染H7N9禽流感",
        "disease_class_code": "B",
        "diagnosis_time": datetime.fromisoformat("2025-08-31T09:00:00"),
    }
    times = ["2025-08-31T15:00:00", "2025-09-01T08:00:00"]
    rows = [
        {**card, "record_id": f"R{number}", "report_time": datetime.fromisoformat(moment)}
        for number, moment in enumerate(times)
    ]
    delivery = delivered(lake, form, "A", records(form, *rows))
    night = judge(real, [delivery], lake / "out", ctx=LATER, rules=["COM-F-012", "COM-C-013"])
    told = night.findings.filter(field="disease_code")
    assert told.select("record_id", "rule_id", "observed").rows() == [("R1", "COM-F-012", "人感染H7N9禽流感")]
    assert "须在服务日期适用" in told["message"][0]
