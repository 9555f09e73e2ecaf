"""When nights run by themselves: a delivery still being written is left alone, one that lies still is taken once."""

from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from dagster import DagsterInstance, RunRequest, build_schedule_context, build_sensor_context

from phqc_pipeline.catalogue import load_catalogue
from phqc_pipeline.home import DEFAULT_RULES, Home
from phqc_pipeline.orchestration.jobs import build_definitions
from phqc_pipeline.orchestration.sensors import changed_and_still, judged_since, look


def deliver(home: Home, day: str, text: str, name: str = "htn_followup.csv") -> Path:
    path = home.landing / "654301101000" / day / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_that_grows_between_two_looks_waits(tmp_path: Path) -> None:
    home = Home(tmp_path)
    path = deliver(home, "2024-12-31", "record_id\n")
    first = look(home)
    path.write_text("record_id\nR1\n", encoding="utf-8")
    second = look(home)
    assert changed_and_still(second, first, {}) == []
    assert changed_and_still(look(home), second, {}) == ["2024-12-31"]


def test_a_replaced_file_of_the_same_size_is_seen(tmp_path: Path) -> None:
    home = Home(tmp_path)
    path = deliver(home, "2024-12-31", "record_id\nR1\n")
    before = look(home)
    path.write_text("record_id\nR2\n", encoding="utf-8")
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    assert look(home) != before


def test_folders_that_are_no_dates_are_left_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    deliver(home, "2024-13-01", "record_id\n")
    deliver(home, "2999-01-01", "record_id\n")
    assert look(home) == {}


def test_an_asked_date_is_not_asked_again(tmp_path: Path) -> None:
    home = Home(tmp_path)
    deliver(home, "2024-12-31", "record_id\n")
    seen = look(home)
    assert changed_and_still(seen, seen, seen) == []


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory):
    return build_definitions(Home(tmp_path_factory.mktemp("home")), load_catalogue(DEFAULT_RULES))


def test_sensor_asks_for_a_still_delivery_once(tmp_path: Path, definitions, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    monkeypatch.setenv("PHQC_HOME", str(home.root))
    deliver(home, "2024-12-31", "record_id\n")
    sensor = definitions.get_sensor_def("landing_sensor")
    cursor: str | None = None
    asked: list[RunRequest] = []
    with DagsterInstance.ephemeral() as instance:
        for _ in range(4):
            context = build_sensor_context(instance=instance, cursor=cursor)
            asked += [event for event in sensor(context) if isinstance(event, RunRequest)]
            cursor = context.cursor
    assert [request.partition_key for request in asked] == ["2024-12-31"]


def test_a_home_with_a_history_is_not_run_again_from_the_start(tmp_path: Path) -> None:
    home = Home(tmp_path)
    path = deliver(home, "2024-12-31", "record_id\n")
    assert not judged_since(home, "2024-12-31")
    night = home.night(date(2024, 12, 31), "nightly")
    night.mkdir(parents=True)
    (night / "night.json").write_text("{}", encoding="utf-8")
    assert judged_since(home, "2024-12-31")
    later = path.stat().st_mtime_ns + 3_600_000_000_000
    os.utime(path, ns=(later, later))
    assert not judged_since(home, "2024-12-31")


def test_schedule_judges_the_previous_day(definitions) -> None:
    schedule = definitions.get_schedule_def("nightly_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 2 * * *", "Asia/Shanghai")
    at = datetime(2025, 1, 1, 2, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
    request = schedule(build_schedule_context(scheduled_execution_time=at))
    assert request.partition_key == "2024-12-31"
