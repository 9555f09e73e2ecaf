"""The growth figures of children: ``rules/growth/*.csv``, the L, M, S parameters that ``growth_z`` computes with.

Belongs here: reading and checking those files. Does not belong here: the formula (the renderers of ``expressions``).

A file has the columns ``measure``, ``sex_code``, ``l``, ``m``, ``s`` and one of ``age_days`` and ``age_months`` (full
months); further columns are the reader's own. What is there for a measure counts together, so a national table replaces
these files without a change anywhere else. Thousands of rows are read at each start, so by columns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from io import BytesIO

import polars as pl

from phqc_pipeline.catalogue.faults import Fault
from phqc_pipeline.catalogue.model import GrowthTable
from phqc_pipeline.catalogue.reading import GROWTH_FOLDER, Reader

_AGES = ("age_days", "age_months")
_FIGURES = ("l", "m", "s")
_FARTHEST = 3  # standard deviations: beyond them the restricted formula goes on from the figures at ±2 and ±3
_COLUMNS_REMEDY = "第一行写 measure,sex_code,age_days（或 age_months）,l,m,s"


def read_growth(reader: Reader) -> tuple[Mapping[str, GrowthTable], str]:
    """The tables by measure (none when there is no such folder), and a digest of the files."""
    parts: list[pl.DataFrame] = []
    digest = hashlib.sha256()
    for path in sorted((reader.directory / GROWTH_FOLDER).glob("*.csv")):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(content)
        part = _read(reader, f"{GROWTH_FOLDER}/{path.name}", content)
        if part is not None:
            parts.append(part)
    if not parts:
        return {}, ""
    figures = pl.concat(parts)
    before = len(reader.faults)
    _check_figures(reader, figures)
    if len(reader.faults) > before:
        reader.broken.add(GROWTH_FOLDER)
        return {}, ""
    tables = {
        str(measure): table
        for (measure,), rows in figures.group_by("measure", maintain_order=True)
        if (table := _table(reader, str(measure), rows)) is not None
    }
    return tables, digest.hexdigest()


def _read(reader: Reader, file: str, content: bytes) -> pl.DataFrame | None:
    """file, line, measure, sex_code, unit, age, l, m, s of every row; None when the file has not these columns."""
    try:
        text = pl.read_csv(BytesIO(content), infer_schema=False, encoding="utf8")
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        reader.faults.append(Fault(file, 1, "生长数值", "读不出来，不是逗号分隔的 UTF-8 文本", _COLUMNS_REMEDY))
        reader.broken.add(GROWTH_FOLDER)
        return None
    ages = [name for name in _AGES if name in text.columns]
    lacking = [name for name in ("measure", "sex_code", *_FIGURES) if name not in text.columns]
    if lacking or len(ages) != 1:
        problem = f"缺少列 {'、'.join(lacking)}" if lacking else "age_days 和 age_months 应恰有一列"
        reader.faults.append(Fault(file, 1, "生长数值", problem, _COLUMNS_REMEDY))
        reader.broken.add(GROWTH_FOLDER)
        return None
    return text.with_row_index("line", offset=2).select(
        pl.lit(file).alias("file"),
        "line",
        pl.col("measure", "sex_code").str.strip_chars(),
        pl.lit(ages[0]).alias("unit"),
        pl.col(ages[0]).str.strip_chars().cast(pl.Int64, strict=False).alias("age"),
        pl.col(*_FIGURES).str.strip_chars().cast(pl.Float64, strict=False),
    )


def _check_figures(reader: Reader, figures: pl.DataFrame) -> None:
    """Every kind of fault, at the first row that has it."""
    spread = pl.col("l") * pl.col("s")
    kinds = (
        (pl.any_horizontal(pl.col("measure", "sex_code").is_null()), "measure 或 sex_code 是空的", "补上"),
        (pl.col("age").is_null() | (pl.col("age") < 0), "年龄不是 0 以上的整数", "写满几天、满几月"),
        (pl.any_horizontal(pl.col(*_FIGURES).is_null()), "l、m、s 不是数", "按公布的数值表改正"),
        (pl.any_horizontal(pl.col("m", "s") <= 0), "m、s 应大于 0", "按公布的数值表改正"),
        ((spread * _FARTHEST).abs() >= 1, f"l、s 太大，算不出 ±{_FARTHEST} 个标准差的数值", "按公布的数值表改正"),
        (~pl.struct("measure", "sex_code", "unit", "age").is_first_distinct(), "同一年龄有两行", "删去其一"),
    )
    for wrong, problem, remedy in kinds:
        for file, line in figures.filter(wrong).select("file", "line").head(1).iter_rows():
            reader.faults.append(Fault(file, line, "生长数值", problem, remedy))


def _table(reader: Reader, measure: str, rows: pl.DataFrame) -> GrowthTable | None:
    """One measure's figures in the order of ``GrowthTable``; None, with a fault, when an age or a sex is left out."""
    rows = rows.sort("sex_code", "unit", "age")  # age_days come before age_months
    sexes = rows["sex_code"].unique(maintain_order=True).to_list()
    spans: dict[str, tuple[int, int]] = {}
    for unit in _AGES:
        ages = rows.filter(pl.col("unit") == unit)
        each = ages.group_by("sex_code").len()
        low, high = ages.select(low=pl.col("age").min(), high=pl.col("age").max()).row(0)
        count = high - low + 1 if ages.height else 0
        if ages.height and not (each.height == len(sexes) and (each["len"] == count).all()):
            problem = f"{measure} 的年龄（{unit}）不连续，或各性别的年龄起止不同"
            remedy = "每个性别都从同一年龄起，一天（一月）一行，到同一年龄止"
            file, line = ages.select("file", "line").row(0)
            reader.faults.append(Fault(file, line, "生长数值", problem, remedy))
            reader.broken.add(GROWTH_FOLDER)
            return None
        spans[unit] = (low or 0, count)
    (first_day, days), (first_month, months) = spans["age_days"], spans["age_months"]
    lms = tuple(rows.select(*_FIGURES).iter_rows())
    return GrowthTable(measure, tuple(sexes), first_day, days, first_month, months, lms)
