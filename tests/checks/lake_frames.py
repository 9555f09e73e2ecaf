"""Lake frames made up column by column: every kind of cell a rule may meet, most of them faulty, reproducibly.

Not realistic people (that is the sample's business): what matters here is that every branch of a check is walked.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Catalogue, Field, Form
from phqc_pipeline.checks.lake import RAW_SUFFIX, lake_schema

TODAY = date(2024, 12, 31)
TEXTS = (None, "测试", "血压高", "无", "13912345678", "654301195001011234", "6.54301E+17", "  空格 ", "ABC", "子宫肌瘤", "500")


@dataclass(frozen=True)
class LakeFile:
    file_id: str
    path: Path
    rows: int


@dataclass(frozen=True)
class Delivery:
    """What the extracts hand over, as far as the checks look at it."""

    institution_code: str
    form_id: str
    files: tuple[LakeFile, ...]
    missing_columns: frozenset[str] = frozenset()
    snapshot_date: date = TODAY
    fingerprint: str = ""


def made_up(cat: Catalogue, form: Form, rows: int, seed: int = 0, institution: str = "654301101") -> pl.DataFrame:
    """``rows`` lake rows of the form with cells of all sorts."""
    chance = random.Random(f"{form.form_id} {rows} {seed} {institution}")
    columns: dict[str, list[Any]] = {
        "_row_number": list(range(2, rows + 2)),
        "_record_key": [f"R{number}" for number in range(rows)],
        "_institution_code": [institution] * rows,
        "station_code": [institution] * rows,
        "_null_reason": [None] * rows,
    }
    for field in form.fields:
        cells = [_cell(cat, field, chance) for _ in range(rows)]
        columns[field.name] = [value for value, _ in cells]
        columns[field.name + RAW_SUFFIX] = [raw for _, raw in cells]
    columns["record_id"] = columns["_record_key"]
    columns["record_id" + RAW_SUFFIX] = [None] * rows
    return pl.DataFrame(columns, schema=lake_schema(form), strict=False)


def delivered(
    folder: Path, form: Form, institution: str, *parts: pl.DataFrame, missing: Sequence[str] = ()
) -> Delivery:
    """The frames as one delivery in ``folder``, a lake file each."""
    files = []
    for number, frame in enumerate(parts):
        path = folder / f"{form.form_id}-{institution}-{number}.parquet"
        frame.write_parquet(path, row_group_size=50)
        files.append(LakeFile(path.stem, path, frame.height))
    return Delivery(institution, form.form_id, tuple(files), frozenset(missing))


def _cell(cat: Catalogue, field: Field, chance: random.Random) -> tuple[Any, str | None]:
    """(converted value, delivered text where the cell is irregular)."""
    roll = chance.random()
    if roll < 0.15:
        return None, None
    if roll < 0.22 and field.kind != "text":
        return None, chance.choice(["看不懂", "1o5", "2024-02-31", "654301195001011234"])
    raw = "１ 怪" if roll > 0.97 else None
    return _VALUES[field.kind](cat, field, chance), raw


def _text(cat: Catalogue, field: Field, chance: random.Random) -> Any:
    if field.codes and chance.random() < 0.5:
        return chance.choice(cat.codes[field.codes].codes).code
    if field.personal == "id_number" or field.name == "archive_no":
        return chance.choice(["654301195001011234", "65430119500101123X", "654301500101123", "65430110110100001", "12"])
    return chance.choice(TEXTS)


def _number(cat: Catalogue, field: Field, chance: random.Random) -> Any:
    low, high = field.hard or field.soft or (0, 100)
    low, high = low if low is not None else 0, high if high is not None else 200
    span = high - low
    value = chance.choice([low, high, low - 1, high + 1, low + span * chance.random(), low + span * chance.random()])
    return float(round(value)) if field.kind == "int" else round(value, chance.choice([0, 1, 2]))


def _code(cat: Catalogue, field: Field, chance: random.Random) -> Any:
    return chance.choice(cat.codes[field.codes].codes).code if field.codes else "1"


def _multi(cat: Catalogue, field: Field, chance: random.Random) -> Any:
    codes = [entry.code for entry in cat.codes[field.codes].codes] if field.codes else ["1", "2"]
    return sorted(set(chance.choices(codes, k=chance.choice([1, 1, 2, 3]))))


def _date(cat: Catalogue, field: Field, chance: random.Random) -> Any:
    far = chance.random() < 0.5
    return TODAY - timedelta(days=chance.randint(-40, 40_000 if far else 500))


def _time(cat: Catalogue, field: Field, chance: random.Random) -> Any:
    return datetime(2024, 12, 31, 8) - timedelta(hours=chance.randint(-200, 20_000))


_VALUES = {
    "text": _text,
    "int": _number,
    "dec": _number,
    "code": _code,
    "multi": _multi,
    "date": _date,
    "ym": _date,
    "dt": _time,
}
