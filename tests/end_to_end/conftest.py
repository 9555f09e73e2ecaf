"""Homes that were judged by the installed program, made once for all workers of a test run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PHQC = Path(sys.executable).with_name("phqc")
TRACKED_SAMPLE = ROOT / "data" / "sample"


def phqc(
    *arguments: str | Path, check: int | None = 0, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program as an operator would; its exit status must be ``check`` unless that is None."""
    done = subprocess.run(
        [str(PHQC), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DO_NOT_TRACK": "1", **(env or {})},
        cwd=ROOT,
    )
    if check is not None:
        assert done.returncode == check, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def copy_sample(target: Path) -> Path:
    """A home with the tracked small sample: two institutions, about 300 residents."""
    for folder in ("landing", "registry", "sample"):
        shutil.copytree(TRACKED_SAMPLE / folder, target / folder)
    return target


def _judge_sample(home: Path) -> None:
    copy_sample(home)
    (home / "nightly.out").write_text(phqc("nightly", "--home", home).stdout, encoding="utf-8")


def judge_founding(home: Path) -> None:
    phqc("sample", "--home", home)
    (home / "nightly.out").write_text(phqc("nightly", "--home", home).stdout, encoding="utf-8")


@pytest.fixture(scope="session")
def small_home(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """The tracked sample, judged once. Read only: tests that change a home copy it."""
    return made_once("small_home", _judge_sample)


@pytest.fixture(scope="session")
def founding_home(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """The founding institution at full size, judged once. Read only."""
    return made_once("founding_home", judge_founding)


@pytest.fixture
def small(small_home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(small_home / "published" / "phqc.duckdb"), read_only=True) as connection:
        yield connection


@pytest.fixture
def founding(founding_home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(founding_home / "published" / "phqc.duckdb"), read_only=True) as connection:
        yield connection


def table(home: Path, sql: str) -> list[tuple]:
    """The rows of a query on a home's published warehouse."""
    with duckdb.connect(str(home / "published" / "phqc.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


#: What two runs over the same deliveries must agree on: everything but run ids and times.
SAME_FINDINGS = """
    SELECT finding_id, root_id, snapshot_date, period, institution_code, form_id, subject_kind, subject_id, rule_id,
           field, observed, expected, message, suggestion, state, first_seen, last_seen
    FROM qc.finding ORDER BY finding_id
"""
SAME_RESULTS = """
    SELECT institution_code, form_id, rule_id, field, status, checked, applicable, violated, reason
    FROM qc.rule_result WHERE snapshot_date = (SELECT max(snapshot_date) FROM qc.run) ORDER BY ALL
"""
