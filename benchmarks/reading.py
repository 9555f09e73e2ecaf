"""Reading measured: GB18030 CSV to the lake, against DuckDB's own read_csv to Parquet of the same rows in UTF-8.

    .venv/bin/python benchmarks/reading.py [--rows 300000] [--write]

Ours also converts every cell, keeps the books and accounts for every row; DuckDB keeps everything as text.
``--write`` puts the table into README.md.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from datetime import date
from pathlib import Path

import duckdb
import polars as pl

from phqc_pipeline.catalogue import Catalogue, load_catalogue
from phqc_pipeline.extracts import read_registry, take_in
from phqc_pipeline.home import DEFAULT_RULES, Home
from phqc_pipeline.sample import write_sample

if __package__ in (None, ""):
    import sys

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.tables import write_table

FORM = "htn_followup"
SNAPSHOT = date(2024, 12, 31)
REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    cat = load_catalogue(DEFAULT_RULES)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        text = _rows(base, given.rows)
        utf8, gb18030 = base / "utf8.csv", base / "gb18030.csv"
        utf8.write_bytes(text.encode("utf-8"))
        gb18030.write_bytes(text.encode("gb18030"))
        registry = base / "sample" / "registry" / "institution.csv"
        ours = min(_ours(base / f"home{turn}", gb18030, registry, cat, given.rows) for turn in range(REPEATS))
        theirs = min(_duckdb(utf8, base / "duckdb.parquet") for _ in range(REPEATS))
        rows = [
            (f"DuckDB read_csv → Parquet（UTF-8，全文本，{utf8.stat().st_size / 1e6:.0f} MB）", f"{theirs:.2f}", "1.0"),
            (
                f"phqc 入湖（GB18030，逐格转换，{gb18030.stat().st_size / 1e6:.0f} MB）",
                f"{ours:.2f}",
                f"{ours / theirs:.1f}",
            ),
        ]
    print(write_table("reading", ("读法", "秒（三次最快）", "倍"), rows, f"{given.rows:,} 行 {FORM}", given.write))


def _rows(base: Path, rows: int) -> str:
    """The demonstration's hypertension visits as UTF-8 CSV text, repeated under new record numbers."""
    home = Home(base / "sample")
    cat = load_catalogue(DEFAULT_RULES)
    write_sample(home, cat, institutions=1, residents=2_000, snapshot=SNAPSHOT)
    take_in(home, cat, read_registry(home), SNAPSHOT)
    files = list((home.lake / FORM).rglob("*.parquet"))
    form = cat.forms[FORM]
    visits = pl.read_parquet(files).select(
        (pl.col(column.name).list.join(",") if column.kind == "multi" else pl.col(column.name).cast(pl.String))
        for column in form.fields
    )
    copies = -(-rows // visits.height)
    many = pl.concat(
        visits.with_columns(record_id=pl.format("{}-{}", pl.lit(copy), "record_id")) for copy in range(copies)
    ).head(rows)
    return many.write_csv()


def _ours(root: Path, path: Path, registry: Path, cat: Catalogue, rows: int) -> float:
    home = Home(root)
    target = home.landing / "654301104901" / SNAPSHOT.isoformat() / f"{FORM}.csv"
    target.parent.mkdir(parents=True)
    os.link(path, target)
    home.registry.mkdir()
    (home.registry / "institution.csv").write_bytes(registry.read_bytes())
    started = time.perf_counter()
    intake = take_in(home, cat, read_registry(home), SNAPSHOT)
    elapsed = time.perf_counter() - started
    assert [record.rows_loaded for record in intake.taken] == [rows], "every row belongs to the institution"
    return elapsed


def _duckdb(path: Path, target: Path) -> float:
    started = time.perf_counter()
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT * FROM read_csv('{path}', all_varchar = true)) TO '{target}' (FORMAT parquet)"
        )
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
