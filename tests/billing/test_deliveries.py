"""Bills from delivered reports: whatever order they are taken in, the same versions with the same evidence."""

from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal
from itertools import permutations
from pathlib import Path

import polars as pl
import pytest

from phqc_pipeline.billing import bill_of
from phqc_pipeline.extracts import read_registry, take_in
from phqc_pipeline.home import Home
from tests.end_to_end.tiny import INSTITUTION, catalogue, register

DAY = date(2024, 12, 31)
#: Day of delivery → what the report says of (year, period): 2023 is charged by; None: the cell is left empty.
DELIVERIES: dict[str, dict[tuple[str, str], int | None]] = {
    "2024-10-20": {("2023", "Y"): 9000},
    "2024-11-05": {("2023", "Y"): 10129, ("2024", "Q1"): 5},
    "2024-11-20": {("2024", "Q2"): 7},  # says nothing of 2023
    "2024-12-01": {("2023", "Y"): 10129},
    "2024-12-10": {("2023", "Y"): None},
    "2024-12-20": {("2023", "Y"): 10000},
}


def deliver(home: Home, day: str) -> None:
    path = home.landing / INSTITUTION / day / "r_vision.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["institution_code", "institution_name", "year", "period", "screened", "poor_vision"])
        for (year, period), screened in DELIVERIES[day].items():
            rows.writerow([INSTITUTION, "小学", year, period, "" if screened is None else screened, 0])


def tables(home: Home) -> dict[str, pl.DataFrame]:
    cat = catalogue()
    return dict(bill_of(home, cat, read_registry(home, cat), DAY).tables)


def taken(folder: Path, order: tuple[str, ...]) -> Home:
    """Each delivery arrives only when it is its turn to be taken in."""
    home = register(folder)
    for day in order:
        deliver(home, day)
        take_in(home, catalogue(), read_registry(home), DAY, log=lambda _: None)
    return home


@pytest.fixture(scope="module")
def in_order(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    return tables(taken(tmp_path_factory.mktemp("in_order"), tuple(DELIVERIES)))


def test_versions_and_their_evidence(in_order: dict[str, pl.DataFrame]) -> None:
    """Signed on 2024-10-25: what the report said before is the bill; two deliveries since say otherwise."""
    versions = in_order["charge_version"]
    assert versions.select("version", "made_on", "quantity", "amount", "evidence_row", "evidence_column").rows() == [
        (1, date(2024, 10, 20), 9000, Decimal("5400.00"), 2, "screened"),
        (2, date(2024, 11, 5), 10129, Decimal("6077.00"), 2, "screened"),
        (3, date(2024, 12, 20), 10000, Decimal("6000.00"), 2, "screened"),
    ]
    assert in_order["adjustment"]["adjustment"].to_list() == [Decimal("677.00"), Decimal("-77.00")]
    assert in_order["charge"]["status"].to_list() == ["charged"]
    assert versions["evidence_sha256"].str.len_chars().unique().to_list() == [64]


@pytest.mark.parametrize("order", [*permutations(DELIVERIES)][::240], ids=lambda order: " ".join(d[5:] for d in order))
def test_the_order_of_arrival_does_not_matter(
    in_order: dict[str, pl.DataFrame], tmp_path: Path, order: tuple[str, ...]
) -> None:
    again = tables(taken(tmp_path, order))
    assert [name for name, table in in_order.items() if not again[name].equals(table)] == []
