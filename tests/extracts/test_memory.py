"""Memory does not grow with the file: the same peak for three times the rows, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

ROWS = 300_000  # some 30 MB: every thread has its blocks and a few wait to be written
GROWTH_MB = 48  # what allocators keep differs by less; a reader that held three times the file would need far more

MEASURE = """
import sys
from datetime import date
from pathlib import Path
import polars as pl
from tests.extracts.conftest import DAY, INSTITUTION, Landing, write_registry
from phqc_pipeline.home import Home

root, ending, rows = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
home = Home(root)
write_registry(home)
landing = Landing(home)
assert len(landing.take().taken) == 1
(delivery,) = landing.books.in_force(DAY)
assert delivery.rows == rows, delivery.rows
# of this process alone: getrusage would count what the process that started it held
(peak,) = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(int(peak) // 1024)
"""


def write_visits(folder: Path, ending: str, rows: int) -> None:
    """A delivery of that many rows of some 120 bytes; the Parquet is of a single row group."""
    folder.mkdir(parents=True)
    number = pl.int_range(rows).alias("number")
    digits = {"month": number % 12 + 1, "day": number % 28 + 1, "minute": number % 60}
    two = {name: expr.cast(pl.String).str.zfill(2) for name, expr in digits.items()}
    frame = pl.select(number, **two).select(
        pl.format("V{}", "number").alias("记录编号"),
        pl.format("654301101101{}", pl.col("number").cast(pl.String).str.zfill(5)).alias("健康档案编号"),
        pl.format("6543011950{}", pl.col("number").cast(pl.String).str.zfill(8)).alias("身份证号"),
        pl.lit("测试").alias("姓名"),
        pl.lit("男").alias("性别"),
        pl.format("2024-{}-{}", "month", "day").alias("随访日期"),
        pl.format("2024-{}-{} 08:{}:00", "month", "day", "minute").alias("录入时间"),
        (pl.col("number") % 90 + 90).cast(pl.String).alias("收缩压"),
        pl.lit("1,2").alias("症状"),
        pl.format("心电图{}", "number").alias("辅助检查"),
    )
    if ending == ".parquet":
        frame.write_parquet(folder / "visit.parquet", row_group_size=rows)
    else:
        (folder / "visit.csv").write_bytes(frame.write_csv().encode("gb18030"))


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_peak_does_not_grow_with_the_file(tmp_path: Path, ending: str) -> None:
    peaks: list[int] = []
    for times in (1, 3):
        home = tmp_path / str(times)
        write_visits(home / "landing" / "654301101" / "2024-12-31", ending, ROWS * times)
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(home), ending, str(ROWS * times)],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parent.parent.parent,
        )
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] - peaks[0] < GROWTH_MB, f"{peaks[0]} MB became {peaks[1]} MB"
