"""A run killed at any moment, then run again, leaves what an undisturbed run leaves."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from phqc_pipeline.extracts import Books
from phqc_pipeline.home import Home

from .conftest import DAY, Landing, csv_of, write_registry

PROJECT = Path(__file__).parent.parent.parent
RUN = """
import sys
from pathlib import Path
from tests.extracts.conftest import Landing
from phqc_pipeline.home import Home

print("ready", flush=True)
Landing(Home(Path(sys.argv[1]))).take()
"""
FILES, ROWS, KILLS = 12, 4000, 5


def filled(root: Path) -> Landing:
    home = Home(root)
    write_registry(home)
    landing = Landing(home)
    for number in range(FILES):
        rows = ((f"V{number}-{row}", "654301101" if row % 50 else "999", "120") for row in range(ROWS))
        day = DAY + timedelta(days=number // 3)
        landing.put(f"visit_{number % 3}.csv", csv_of(*rows, header=("记录编号", "机构编码", "收缩压")), day=day)
    return landing


def outcome(landing: Landing) -> tuple[object, ...]:
    books = Books(landing.home, landing.cat)
    lake = {str(path.relative_to(landing.home.lake)) for path in landing.home.lake.rglob("*.parquet")}
    in_force = books.in_force(date(2030, 1, 1))[0]
    return (
        books.files(date(2030, 1, 1)).to_dicts(),
        sorted(lake),
        pl.concat(pl.read_parquet(file.path) for file in in_force.files).hash_rows().to_list(),
        pl.concat(pl.read_parquet(path) for path in books.rejected(date(2030, 1, 1))).rows(),
    )


def test_killed_runs_converge(tmp_path: Path) -> None:
    undisturbed = filled(tmp_path / "one")
    started = time.monotonic()
    undisturbed.take()
    whole = time.monotonic() - started
    disturbed = filled(tmp_path / "two")
    chance = random.Random(20241231)
    killed = 0
    for _ in range(KILLS):
        run = subprocess.Popen(
            [sys.executable, "-c", RUN, str(disturbed.home.root)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
        )
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, whole / 2))
        run.send_signal(signal.SIGKILL)
        killed += run.wait() == -signal.SIGKILL
        run.stdout.close()
    assert killed, "every run had ended before it was to be killed"
    disturbed.take()
    assert outcome(disturbed) == outcome(undisturbed)
    assert not list((disturbed.home.lake / "_aside").iterdir())
