"""Order, repetition and lateness cannot matter; a kill at any moment and running again converges."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from phqc_pipeline.home import Home
from phqc_pipeline.orchestration import stages
from tests.end_to_end.conftest import ROOT, SAME_FINDINGS, SAME_RESULTS, phqc, table
from tests.end_to_end.tiny import BAD, RULES, deliver, judge, register, visits

FOREIGN_HOME = RULES.parent / "home"
_NO_END = 3600.0  # seconds, longer than any night
NIGHTS = {
    "2024-12-29": visits(6, v1=BAD, v2=BAD, v3=BAD),
    "2024-12-30": visits(6, v1=BAD, v4=BAD),  # 2 and 3 put right
    "2024-12-31": visits(5, v2=BAD, v4=BAD),  # 1 put right, 2 again, 6 gone
}


def states(home: Home) -> dict[str, tuple]:
    rows = table(
        home.root,
        "SELECT subject_id, state, first_seen::VARCHAR, last_seen::VARCHAR FROM qc.finding "
        "WHERE rule_id = 'VIS-L-001' ORDER BY subject_id",
    )
    return {subject: tuple(rest) for subject, *rest in rows}


@pytest.fixture(scope="module", autouse=True)
def _without_reports() -> Iterator[None]:
    """Nobody reads here what is drawn from the published file, and drawing is a quarter of so small a night; the kill
    test's nights, in processes of their own, write everything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "write_reports", lambda *_: [])
        yield


@pytest.fixture(scope="module")
def in_order(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = register(tmp_path_factory.mktemp("in_order"))
    for day, rows in NIGHTS.items():
        deliver(home, day, rows)
        judge(home, day, published=day == max(NIGHTS))
    return home


def test_states_in_order(in_order: Home) -> None:
    assert states(in_order) == {
        "V1": ("fixed", "2024-12-29", "2024-12-30"),
        "V2": ("reopened", "2024-12-29", "2024-12-31"),
        "V3": ("fixed", "2024-12-29", "2024-12-29"),
        "V4": ("open", "2024-12-30", "2024-12-31"),
    }


@pytest.mark.parametrize(
    "order",
    [["2024-12-31", "2024-12-30", "2024-12-29"], ["2024-12-30", "2024-12-29", "2024-12-31"]],
    ids=["backwards", "middle first"],
)
def test_nights_that_arrive_late_converge(in_order: Home, tmp_path: Path, order: list[str]) -> None:
    """Each delivery arrives only when its own night is run, so later nights are judged again on what they lacked."""
    home = register(tmp_path)
    for day in order:
        deliver(home, day, NIGHTS[day])
        judge(home, day, published=day == order[-1])
    assert table(home.root, SAME_FINDINGS) == table(in_order.root, SAME_FINDINGS)
    assert table(home.root, SAME_RESULTS) == table(in_order.root, SAME_RESULTS)


def test_the_same_night_twice_changes_nothing(in_order: Home, tmp_path: Path) -> None:
    shutil.copytree(in_order.root, tmp_path / "home")
    home = Home(tmp_path / "home")
    before = table(home.root, SAME_FINDINGS)
    judge(home, "2024-12-31", published=False)
    judge(home, "2024-12-30")
    assert table(home.root, SAME_FINDINGS) == before
    assert table(home.root, "SELECT count(*) FROM qc.run") == [(3,)]


def test_a_late_correction_reaches_the_nights_behind_it(tmp_path: Path) -> None:
    """Two nights, the second without a file: what it judged was carried forward, and must follow the correction."""
    home = register(tmp_path)
    deliver(home, "2024-12-29", visits(4, v1=BAD))
    judge(home, "2024-12-29", published=False)
    judge(home, "2024-12-31")
    assert states(home)["V1"][0] == "open"
    path = deliver(home, "2024-12-30", visits(4, v2=BAD))
    judge(home, "2024-12-30")
    assert states(home) == {
        "V1": ("fixed", "2024-12-29", "2024-12-29"),
        "V2": ("open", "2024-12-30", "2024-12-31"),
    }
    assert path.exists()


def test_a_shrunken_delivery_is_held_until_accepted(tmp_path: Path) -> None:
    home = register(tmp_path)
    deliver(home, "2024-12-30", visits(10, v1=BAD, v9=BAD))
    judge(home, "2024-12-30", published=False)
    deliver(home, "2024-12-31", visits(4))
    judge(home, "2024-12-31")
    held = table(home.root, "SELECT file_id, status, reason FROM ingest.file WHERE snapshot_date = '2024-12-31'")
    assert [row[1] for row in held] == ["quarantined"]
    assert states(home)["V1"] == ("open", "2024-12-30", "2024-12-30")  # not judged: neither state nor last_seen moves
    assert table(home.root, "SELECT count(*) FROM records.vision_screening") == [(10,)]

    phqc("accept", held[0][0], "--home", home.root, "--rules", RULES)
    judge(home, "2024-12-31")
    assert table(home.root, "SELECT count(*) FROM records.vision_screening") == [(4,)]
    assert states(home)["V1"][0] == "fixed"
    assert states(home)["V9"][0] == "retired"  # its record is gone


def test_a_failed_night_leaves_the_published_file(
    in_order: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(in_order.root, tmp_path / "home")
    home = Home(tmp_path / "home")
    before = home.published_db.read_bytes()

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stages, "build_marts", full_disk)
    deliver(home, "2024-12-31", visits(5))
    with pytest.raises(OSError, match="No space left"):
        judge(home, "2024-12-31")
    assert home.published_db.read_bytes() == before
    monkeypatch.undo()
    judge(home, "2024-12-31")
    assert states(home)["V2"][0] == "fixed"


def test_a_reader_keeps_reading_what_it_opened(in_order: Home, tmp_path: Path) -> None:
    shutil.copytree(in_order.root, tmp_path / "home")
    home = Home(tmp_path / "home")
    with duckdb.connect(str(home.published_db), read_only=True) as reader:
        before = reader.execute(SAME_FINDINGS).fetchall()
        deliver(home, "2024-12-31", visits(5))
        judge(home, "2024-12-31")
        assert reader.execute(SAME_FINDINGS).fetchall() == before
    assert table(home.root, SAME_FINDINGS) != before


#: ``phqc nightly`` again and again, each in a process of its own that need not read the modules first: a third of a
#: small night goes into that, and a kill there proves nothing. A line in: home and seconds to live; out: exit status.
NIGHTS_TO_KILL = """
import os, signal, sys, time
from dbt.cli.main import dbtRunner
from phqc_pipeline import reports
from phqc_pipeline.cli import main
from phqc_pipeline.orchestration import jobs, run, session_resource

for line in sys.stdin:
    home, seconds = line.rstrip("\\n").split("\\t")
    until = time.monotonic() + float(seconds)
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.argv = ["phqc", "nightly", "--home", home, "--rules", sys.argv[1]]
        try:
            main()
        except SystemExit as end:
            os._exit(end.code or 0)  # what Polars does at the end waits for a thread that was not forked
    ended = 0
    while not ended and time.monotonic() < until:
        time.sleep(0.01)
        ended, status = os.waitpid(pid, os.WNOHANG)
    if not ended:
        os.killpg(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


@pytest.fixture
def night_for(tmp_path: Path) -> Iterator[Callable[[Path, float], int]]:
    """``night_for(home, seconds)``: a night that is killed if it is not done by then; its exit status."""
    starter = [sys.executable, "-c", NIGHTS_TO_KILL, str(RULES)]
    with subprocess.Popen(starter, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as running:
        assert running.stdin is not None
        assert running.stdout is not None

        def night(home: Path, seconds: float) -> int:
            print(home, seconds, sep="\t", file=running.stdin, flush=True)
            return int(running.stdout.readline())  # type: ignore[union-attr]

        yield night


def test_killed_at_ten_random_moments_then_run_again(tmp_path: Path, night_for: Callable[[Path, float], int]) -> None:
    """Nothing lost, nothing doubled, whatever the moment; the seed is printed so that a failure can be repeated."""
    home, reference = (Path(shutil.copytree(FOREIGN_HOME, tmp_path / name)) for name in ("home", "reference"))
    seed = int(os.environ.get("PHQC_KILL_SEED", time.time_ns() % 100_000))
    print(f"PHQC_KILL_SEED={seed}")
    chance = random.Random(seed)
    started = time.monotonic()
    assert night_for(reference, _NO_END) == 0
    whole = time.monotonic() - started
    tenths = chance.sample(range(10), 10)  # one moment in every tenth of a night, so that no stage is left out
    for tenth in tenths:
        status = night_for(home, (tenth + chance.random()) / 10 * whole)
        assert status in (0, -signal.SIGKILL)  # it finished before: that, too, is a moment
        if (home / "published" / "phqc.duckdb").exists():
            assert table(home, "SELECT count(*) > 0 FROM qc.finding") == [(True,)]  # never half a file
    assert night_for(home, _NO_END) == 0
    assert table(home, SAME_FINDINGS) == table(reference, SAME_FINDINGS)
    assert table(home, SAME_RESULTS) == table(reference, SAME_RESULTS)
    assert table(home, "SELECT count(*), sum(rows_loaded) FROM ingest.file") == table(
        reference, "SELECT count(*), sum(rows_loaded) FROM ingest.file"
    )
    leftovers = [path for path in home.rglob("*") if path.name.startswith((".aside", ".before", ".partial"))]
    assert leftovers == []
