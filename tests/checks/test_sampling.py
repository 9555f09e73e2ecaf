"""A plan's stratified sample: the same one whenever it is drawn, whatever the order of files and rows."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phqc_pipeline.catalogue import Catalogue, Form, Sampling
from phqc_pipeline.checks import draw_sample, sampling
from phqc_pipeline.checks.lake import Piece, read_batch
from tests.checks.lake_frames import delivered, records
from tests.checks.visit_catalogue import small_catalogue

ROWS = 60


def _rows(number: int) -> dict[str, object]:
    """Two doctors, three months, one record in ten voided, one in twelve without a number (its content is its key)."""
    key = {} if number % 12 == 0 else {"record_id": f"R{number}"}
    return {
        "_record_key": f"#{number:040d}", **key, "archive_no": f"A{number % 20}", "doctor_name": f"医生{number % 2}",
        "visit_date": date(2024, 1 + number % 3, 9), "record_status": "3" if number % 10 == 9 else "1",
    }  # fmt: skip


def _drawn(cat: Catalogue, form: Form, how: Sampling, order: Sequence[int], cuts: Sequence[int]) -> pl.DataFrame:
    """The sample of the records in this order, cut into part files there."""
    edges = [0, *sorted({*cuts}), len(order)]
    parts = [records(form, *map(_rows, order[start:end])) for start, end in pairwise(edges) if start < end]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "sample.parquet"
        draw_sample(cat, [delivered(Path(folder), form, "A", *parts)], how, out)
        return pl.read_parquet(out)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(-(2**40), 2**40),
    size=st.integers(1, 8),
    order=st.permutations(range(ROWS)),
    cuts=st.lists(st.integers(1, ROWS - 1), max_size=4),
    strata=st.sets(st.sampled_from(["institution", "form", "doctor", "month"])),
)
def test_the_same_seed_draws_the_same_records(
    seed: int, size: int, order: list[int], cuts: list[int], strata: set[str]
) -> None:
    cat = small_catalogue()
    form = cat.form("visit")
    how = Sampling(None, size, 1, seed, tuple(sorted(strata)))
    first = _drawn(cat, form, how, range(ROWS), [])
    assert first.equals(_drawn(cat, form, how, order, cuts))
    judged = pl.DataFrame([{"key": row.get("record_id", row["_record_key"]), **row} for row in map(_rows, range(ROWS))])
    judged = judged.filter(record_status="1")
    names = [{"doctor": "doctor_name", "month": "visit_date"}[one] for one in strata & {"doctor", "month"}]
    there = judged.group_by(names).len() if names else judged.select(pl.len())
    assert first.height == int(there.select(pl.col("len").clip(upper_bound=size).sum()).item())
    assert first["record_key"].is_unique().all()


def test_another_seed_draws_others(cat: Catalogue, visit: Form) -> None:
    drawn = [_drawn(cat, visit, Sampling(None, 10, 1, seed, ()), range(ROWS), []) for seed in range(5)]
    assert len({tuple(one["record_key"]) for one in drawn}) == 5


def test_drawing_reads_the_keys_and_nothing_else(
    cat: Catalogue, visit: Form, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a county's millions of records only what tells and stratifies them is held at once."""
    asked: list[set[str]] = []

    def told_of(batch: tuple[Piece, ...], columns: list[str], schema: dict[str, pl.DataType]) -> pl.DataFrame:
        asked.append({*columns})
        return read_batch(batch, columns, schema)

    monkeypatch.setattr(sampling, "read_batch", told_of)
    delivery = delivered(lake, visit, "A", records(visit, *map(_rows, range(ROWS))))
    draw_sample(cat, [delivery], Sampling(0.1, None, 1, 1, ("doctor", "month")), lake / "sample.parquet")
    told = {"_record_key", "archive_no", "doctor_name", "record_status", "record_status__raw", "visit_date"}
    assert asked
    assert set().union(*asked) <= told
