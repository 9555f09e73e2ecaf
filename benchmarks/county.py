"""Whole nights measured: the founding institution, and a county with peak memory and time against rows.

    .venv/bin/python benchmarks/county.py [--residents 75000,300000] [--write]

Each night is the installed program in a process of its own: landing to published, through Dagster. Time should grow no
faster than rows. ``--write`` puts the table into README.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.tables import write_table

PHQC = Path(sys.executable).with_name("phqc")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--residents", default="75000,300000", help="sizes of the county, comma separated")
    parser.add_argument("--institutions", type=int, default=20)
    parser.add_argument("--home", type=Path, help="a home with delivered extracts to use instead of a sample")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        if given.home:
            rows.append(_night(given.home, given.home.name))
        else:
            rows.append(_sampled(Path(folder) / "founding", [], "首家机构"))
            for residents in map(int, given.residents.split(",")):
                arguments = ["--institutions", str(given.institutions), "--residents", str(residents)]
                rows.append(
                    _sampled(Path(folder) / str(residents), arguments, f"{given.institutions} 家机构 {residents:,} 人")
                )
    header = ("规模", "记录", "规则×记录", "墙钟秒", "处理器秒", "峰值内存 MB", "每万条记录秒")
    print(write_table("county", header, rows, "phqc nightly，从交付到发布", given.write))


def _sampled(home: Path, arguments: list[str], title: str) -> tuple[str, ...]:
    subprocess.run([str(PHQC), "sample", "--home", str(home), *arguments], check=True, stdout=subprocess.DEVNULL)
    return _night(home, title)


def _night(home: Path, title: str) -> tuple[str, ...]:
    started = time.perf_counter()
    process = subprocess.Popen([str(PHQC), "nightly", "--home", str(home)], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if status:
        raise SystemExit(f"the night of {title} failed")
    with duckdb.connect(str(home / "published" / "phqc.duckdb"), read_only=True) as connection:
        records, judged = connection.execute(
            "SELECT (SELECT records_checked FROM qc.run ORDER BY snapshot_date DESC LIMIT 1), "
            "(SELECT sum(checked) FROM qc.rule_result WHERE snapshot_date = (SELECT max(snapshot_date) FROM qc.run))"
        ).fetchone() or (0, 0)
    cpu = used.ru_utime + used.ru_stime
    return (
        title,
        f"{records:,}",
        f"{judged:,}",
        f"{wall:.0f}",
        f"{cpu:.0f}",
        f"{used.ru_maxrss / 1024:.0f}",
        f"{wall / max(records, 1) * 10_000:.1f}",
    )


if __name__ == "__main__":
    main()
