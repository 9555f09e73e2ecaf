"""Authenticity measured: how many honest doctors the statistical rules name, and how many who make readings up.

    .venv/bin/python benchmarks/authenticity.py [--honest 300] [--fabricating 10] [--write]

Ten institutions of honest doctors (readings measured, last digits as they fall) and, in a second run, the same with a
few of each habit among them. The stated false-discovery rate is the rules' own (``false_rate``).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.tables import write_table
from phqc_pipeline.catalogue import Catalogue, Context, load_catalogue
from phqc_pipeline.home import DEFAULT_RULES, Home
from phqc_pipeline.warehouse import run_cross, stage
from tests.warehouse.fabricated import HABITS, fabricated_visits, honest_visits
from tests.warehouse.small_lake import deliver

TODAY = date(2024, 12, 31)
INSTITUTIONS = 10
FORMS = ("htn_followup", "t2dm_followup")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--honest", type=int, default=300)
    parser.add_argument("--fabricating", type=int, default=10, help="doctors of each habit")
    parser.add_argument("--visits", type=int, default=120)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    cat = load_catalogue(DEFAULT_RULES)
    rate = max(rule.params["false_rate"] for rule in cat.rules if rule.statistical)
    rows = []
    for title, fabricating in (("无造假", 0), ("有造假", given.fabricating)):
        named = _named(cat, given.honest, fabricating, given.visits)
        honest = sum(name.startswith("honest") for name in named)
        found = [sum(name.startswith(f"habit{n}.") for name in named) for n in range(len(HABITS))]
        false_share = honest / max(len(named), 1)
        rows.append(
            (
                title,
                f"{given.honest}",
                f"{honest}（{honest / given.honest:.1%}）",
                *(f"{count}/{fabricating}" if fabricating else "—" for count in found),
                f"{false_share:.1%}" if named else "0",
            )
        )
    header = (
        "数据",
        "诚实医生",
        "其中被点名",
        "七成取整十",
        "偏好 2、6、8",
        "血糖取整取半",
        "三分之一复制",
        "点名中的误报",
    )
    about = f"真实性规则对医生（每人 {given.visits} 次随访）；约定的误报率 {rate:.0%}（Benjamini–Hochberg，按规则）"
    print(write_table("authenticity", header, rows, about, given.write))


def _named(cat: Catalogue, honest: int, fabricating: int, visits: int) -> set[str]:
    """Every doctor whom a rule about doctors names."""
    random = np.random.default_rng(1)
    doctors: list[tuple[str, str]] = [(f"honest.{n}", "") for n in range(honest)]
    doctors += [(f"habit{h}.{n}", habit) for h, habit in enumerate(HABITS) for n in range(fabricating)]
    visits_of: dict[str, list[dict[str, Any]]] = {}
    for place, (name, habit) in enumerate(doctors):
        made = fabricated_visits(name, visits, random, habit) if habit else honest_visits(name, visits, random)
        visits_of.setdefault(f"6543010{place % INSTITUTIONS:02d}", []).extend(made)
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        deliveries = [
            deliver(home, cat, form_id, code, list(_of_form(cat, form_id, rows)), day=TODAY)
            for code, rows in visits_of.items()
            for form_id in FORMS
        ]
        rules = tuple(rule.rule_id for rule in cat.rules if rule.rule_id.startswith("AUT-A") and rule.grain == "doc")
        scheme = replace(cat.schemes["default"], rules=rules)
        ctx = Context.natural_year(TODAY)
        manifest = stage(home, cat, deliveries, ctx, scheme=scheme)
        run_cross(home, cat, deliveries, ctx, home.root / "out", scheme=scheme, manifest=manifest)
        return set(pl.read_parquet(home.root / "out" / "findings.parquet")["subject_id"].to_list())


def _of_form(cat: Catalogue, form_id: str, rows: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    form = cat.forms[form_id]
    return ({name: value for name, value in row.items() if form.has(name)} for row in rows)


if __name__ == "__main__":
    main()
