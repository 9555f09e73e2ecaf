"""Record rules over all forms of a home that stands already: rule × record a second, findings with keys and texts.

    .venv/bin/python benchmarks/county_rules.py --home HOME [--date YYYY-MM-DD] [--times 1] [--write]

The home's lake must be filled: a night has run on it. Everything the nightly runner does is timed: reading, judging,
wording, results, subjects present. ``--times`` judges every institution so often, under other codes, so that one
demonstration institution makes a county: ``--times 20``. ``--write`` puts the table into README.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl

from phqc_pipeline.catalogue import Context, load_catalogue
from phqc_pipeline.checks import judge_records
from phqc_pipeline.extracts import Books, Delivery
from phqc_pipeline.home import DEFAULT_RULES, Home

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.record_rules import seconds, timed, versions
from benchmarks.tables import write_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--date", type=date.fromisoformat, default=date(2024, 12, 31))
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    cat = load_catalogue(DEFAULT_RULES)
    in_force = [one for one in Books(Home(given.home), cat).in_force(given.date) if one.form_id in cat.forms]
    if not in_force:
        raise SystemExit(f"{given.home}: nothing is in force on {given.date}")
    ctx = Context.natural_year(given.date)
    with tempfile.TemporaryDirectory(dir=given.home) as folder:
        out = Path(folder) / "judged"
        county = multiplied(in_force, given.times, Path(folder)) if given.times > 1 else in_force
        wall, cpu = timed(lambda: judge_records(cat, county, ctx, out), given.repeats)
        results = pl.read_parquet(out / "results.parquet")
    judgements, findings = int(results["checked"].sum()), int(results["violated"].sum())
    records = sum(file.rows for delivery in county for file in delivery.files)
    institutions = len({delivery.institution_code for delivery in county})
    forms = len({delivery.form_id for delivery in county})
    row = (
        f"{institutions} 家机构，{forms} 张表单",
        *(f"{figure:,}" for figure in (records, judgements, findings)),
        seconds(wall),
        seconds(cpu),
        f"{judgements / wall / 1e6:.0f}",
    )
    header = ("规模", "记录", "规则×记录", "问题", "秒", "CPU 秒", "百万次判定/秒")
    about = f"全部记录级规则，夜间运行器的全部工作；{versions()}"
    print(write_table("county_rules", header, [row], about, given.write))


def multiplied(once: Sequence[Delivery], times: int, folder: Path) -> list[Delivery]:
    """Every delivery so many times, each under an institution code of its own and with files of its own."""
    many = []
    for number in range(times):
        for delivery in once:
            code = f"{delivery.institution_code}-{number:04d}"
            files = []
            for file in delivery.files:
                path = folder / code / f"{delivery.form_id}-{file.path.name}"
                path.parent.mkdir(exist_ok=True)
                os.link(file.path, path)  # footers are read anew
                files.append(replace(file, path=path))
            many.append(replace(delivery, institution_code=code, files=tuple(files)))
    return many


if __name__ == "__main__":
    main()
