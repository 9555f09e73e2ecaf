"""Lake frames for the checks' tests: written out record by record, or made up with cells of every kind a rule may meet.

Made-up records are not realistic people (that is the sample's business): what matters is that every branch is walked.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Catalogue, Context, Field, Form
from phqc_pipeline.checks import RecordJudgement, judge_records
from phqc_pipeline.checks.lake import RAW_SUFFIX, lake_schema
from phqc_pipeline.extracts import Delivery, LakeFile

TODAY = date(2024, 12, 31)
TEXTS = (
    None,
    "测试",
    "血压高",
    "无",
    "13912345678",
    "654301195001011234",
    "6.54301E+17",
    "  空格 ",
    "ABC",
    "子宫肌瘤",
    "500",
)


CONTEXT = Context.natural_year(TODAY)


@dataclass(frozen=True)
class Night:
    """What ``judge_records`` left, read back."""

    judgement: RecordJudgement
    findings: pl.DataFrame
    results: pl.DataFrame
    present: pl.DataFrame

    def violations(self, *columns: str) -> list[tuple[Any, ...]]:
        """The findings as sorted tuples of the given columns."""
        return sorted(self.findings.select(columns).iter_rows(), key=repr)

    def status(self, rule_id: str, field: str = "", institution: str = "A") -> str:
        return str(self.result(rule_id, field, institution)["status"])

    def result(self, rule_id: str, field: str = "", institution: str = "A") -> dict[str, Any]:
        """The one results row of a rule (and field) at an institution."""
        wanted = pl.col("rule_id").eq(rule_id) & pl.col("field").eq(field) & pl.col("institution_code").eq(institution)
        return self.results.row(by_predicate=wanted, named=True)


def judge(cat: Catalogue, deliveries: Sequence[Delivery], out: Path, **options: Any) -> Night:
    """One night's record rules over the deliveries, today being 2024-12-31."""
    judgement = judge_records(cat, deliveries, options.pop("ctx", CONTEXT), out, **options)
    return Night(
        judgement,
        pl.read_parquet(out / "findings" / "*.parquet"),
        pl.read_parquet(out / "results.parquet"),
        pl.read_parquet(out / "present" / "*.parquet"),
    )


def records(form: Form, *rows: Mapping[str, Any]) -> pl.DataFrame:
    """Lake rows with the given cells (``sbp``, ``sbp__raw``, ``_null_reason`` …); the others are empty.

    Without ``_record_key``, the record's number is its key.
    """
    schema = lake_schema(form)
    filled = [
        {
            "_row_number": number,
            "_record_key": row.get("record_id", f"#{number}"),
            "_institution_code": "A",
            "station_code": "A",
            **row,
        }
        for number, row in enumerate(rows, start=2)
    ]
    assert all(row.keys() <= schema.keys() for row in filled), "a cell of a column that the form does not have"
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in filled], schema=schema)


def made_up(cat: Catalogue, form: Form, rows: int, seed: int = 0, institution: str = "654301101") -> pl.DataFrame:
    """``rows`` lake rows of the form with cells of all sorts."""
    chance = random.Random(f"{form.form_id} {rows} {seed} {institution}")
    columns: dict[str, list[Any]] = {
        "_row_number": list(range(2, rows + 2)),
        "_record_key": [f"R{seed}-{number}" for number in range(rows)],
        "_institution_code": [institution] * rows,
        "station_code": [institution] * rows,
        "_null_reason": [None] * rows,
        "_extra": [None] * rows,
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
    """The frames as one delivery in ``folder``, a lake file each. ``missing``: columns the extract did not have."""
    files = []
    for number, frame in enumerate(parts):
        path = folder / f"{form.form_id}-{institution}-{number}.parquet"
        frame.with_columns(pl.lit(institution).alias("_institution_code")).write_parquet(path, row_group_size=50)
        files.append(LakeFile(path.stem, path, frame.height))
    return Delivery(institution, form.form_id, TODAY, tuple(files), frozenset(missing), "")


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
    return datetime.fromisoformat("2024-12-31T08:00:00") - timedelta(hours=chance.randint(-200, 20_000))


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
