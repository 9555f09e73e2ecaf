"""Record rules over all forms of a home that stands already: rule × record a second, findings with keys and texts.

    .venv/bin/python benchmarks/county_rules.py --home HOME [--date YYYY-MM-DD] [--times 1] [--write]

The home's lake must be filled: a night has run on it. Timed are the evaluation (reading, current rows, every rule, the
keys of violating records to Parquet, two forms at a time as at night) and everything the nightly runner does (wording,
results, subjects present besides). ``--times`` judges every institution so often, under other codes, so that one
demonstration institution makes a county: ``--times 20``. ``--write`` puts the table into README.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl

from phqc_pipeline.catalogue import Catalogue, Context, Form, load_catalogue
from phqc_pipeline.checks import judge_records
from phqc_pipeline.extracts import Books, Delivery
from phqc_pipeline.home import DEFAULT_RULES, Home

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.judging import batches_of, evaluation_of, violations
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
        evaluated, evaluated_cpu = timed(lambda: evaluate(cat, county, ctx, Path(folder)), given.repeats)
    judgements, findings = int(results["checked"].sum()), int(results["violated"].sum())
    records = sum(file.rows for delivery in county for file in delivery.files)
    institutions = len({delivery.institution_code for delivery in county})
    forms = len({delivery.form_id for delivery in county})
    size = (f"{institutions} 家机构，{forms} 张表单", *(f"{figure:,}" for figure in (records, judgements, findings)))
    rows = [
        (what, *size, seconds(clock), seconds(processor), f"{judgements / clock / 1e6:.0f}")
        for what, clock, processor in (
            ("判定：取现行行，全部规则，命中记录的编号写成 Parquet", evaluated, evaluated_cpu),
            ("夜间运行器的全部工作：另写提示、各规则结果、在场对象", wall, cpu),
        )
    ]
    header = ("做什么", "规模", "记录", "规则×记录", "问题", "秒", "CPU 秒", "百万次判定/秒")
    print(write_table("county_rules", header, rows, f"全部记录级规则，目标每秒一亿次判定；{versions()}", given.write))


def evaluate(cat: Catalogue, deliveries: Sequence[Delivery], ctx: Context, folder: Path) -> None:
    """Every form's violating records with their keys, in a file each."""

    def of_form(form: Form, theirs: Sequence[Delivery]) -> None:
        alike: dict[frozenset[str], list[Delivery]] = {}
        for delivery in theirs:
            alike.setdefault(form.blocking(delivery.missing_columns), []).append(delivery)
        keys: list[pl.DataFrame] = []
        for missing, group in alike.items():
            evaluation = evaluation_of(cat, ctx, form, missing)
            for batch in batches_of(evaluation, group):
                keys.extend(violations(evaluation, batch))
        if keys:
            pl.concat(keys).write_parquet(folder / f"{form.form_id}.keys.parquet")

    by_form: dict[str, list[Delivery]] = {}
    for delivery in deliveries:
        by_form.setdefault(delivery.form_id, []).append(delivery)
    longest_first = sorted(by_form.items(), key=lambda item: -sum(file.rows for one in item[1] for file in one.files))
    with ThreadPoolExecutor(2) as pool:
        for outcome in [pool.submit(of_form, cat.form(form_id), theirs) for form_id, theirs in longest_first]:
            outcome.result()


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
