"""Report extracts: wide as delivered → long in the lake, every value with the cell it was read from.

Belongs here: the columns of a report file, years and periods as written. Does not belong here: what a report's figure
should be (reconciliation), forms (``rows``).

An empty cell is a value not reported and keeps its row, with ``value`` null; 0 is a value reported (reports.md, 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from phqc_pipeline.catalogue.model import Field, Report
from phqc_pipeline.extracts.cells import ERROR_MARK, converter, narrowed, one_column, stripped
from phqc_pipeline.extracts.header import INSTITUTION_CODE, Known, Mapped, known_headers
from phqc_pipeline.extracts.rows import (
    REJECTED_SCHEMA,
    Loaded,
    Owner,
    foreign_rows,
    own_codes,
    rejected_rows,
    turned_away,
)
from phqc_pipeline.extracts.shapes import ROW_NUMBER, Batch, UnreadableError

YEAR, PERIOD, INSTITUTION_NAME = "year", "period", "institution_name"

#: Columns beside a report's items (contract, section 2) and the headers they are known by.
REPORT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    INSTITUTION_CODE: ("机构编码", "机构代码", "机构编号", "单位编码", "单位代码"),
    INSTITUTION_NAME: ("机构名称", "单位名称", "填报单位", "填报机构"),
    YEAR: ("年度", "年份", "年", "统计年度", "报告年度", "报表年度"),
    PERIOD: ("期间", "报告期", "统计期", "报表期", "期别", "统计周期"),
}

REPORT_SCHEMA: Mapping[str, pl.DataType] = {
    INSTITUTION_CODE: pl.String(),
    YEAR: pl.Int64(),
    PERIOD: pl.String(),
    "item": pl.String(),
    "value": pl.Float64(),
    "raw": pl.String(),
    "row_number": pl.Int64(),
    "column_name": pl.String(),
    "column_number": pl.Int64(),
}

#: What one row of a report is about; of several in a file the last stands.
REPORT_KEY = (INSTITUTION_CODE, YEAR, PERIOD)

_YEAR = r"^((?:19|20)\d\d)年?度?$"
_WHOLE_YEAR = ("Y", "年", "全年", "年度", "年报", "年累计")
_QUARTER = r"^(?:Q|第)?([1-4])(?:季度?)?$"
_MONTH = r"^M?(0?[1-9]|1[0-2])月?$"
_NUMERALS = {"一": "1", "二": "2", "三": "3", "四": "4"}


# No number of decimals is asked of a report's figure here: reconciliation compares values.
_FIGURES = converter(Field("figure", "figure", "dec", "dec", scale=15), {})


@dataclass(frozen=True)
class ReportRows:
    """Batches of one file of a report → ``Loaded`` whose rows are long (``REPORT_SCHEMA``)."""

    report: Report
    mapped: Mapped
    owner: Owner
    headers: tuple[str, ...]

    def __post_init__(self) -> None:
        missing = [name for name in (YEAR, PERIOD) if name not in self.mapped.fields]
        if missing:
            named = "、".join(f"{REPORT_COLUMNS[name][0]}（{name}）" for name in missing)
            raise UnreadableError(f"缺少关键列：{named}，不知是哪一期的数；请补上后重新导出")

    @property
    def schema(self) -> dict[str, pl.DataType]:
        return dict(REPORT_SCHEMA)

    def load(self, batch: Batch) -> Loaded:
        cells = batch.cells
        own = own_codes(self._text(cells, INSTITUTION_CODE), cells.height)
        theirs = (own.is_not_null() & ~own.is_in(list(self.owner.codes))).fill_null(False)
        foreign = pl.DataFrame(schema=REJECTED_SCHEMA)
        if theirs.any():
            foreign = foreign_rows(cells.filter(theirs), own.filter(theirs), self.owner.code)
            cells, own = cells.filter(~theirs), own.filter(~theirs)
        keys = self._keys(cells, own)
        undated = (keys[YEAR].is_null() | keys[PERIOD].is_null()).rename("undated")
        if undated.any():
            rejected = turned_away(cells.filter(undated), pl.lit(_which_period(keys.filter(undated))))
            foreign = pl.concat([foreign, rejected]).sort("row_number")
            cells, keys = cells.filter(~undated), keys.filter(~undated)
        items = [item for item in self.report.by_item if item in self.mapped.fields]
        long = [self._values(cells, keys, item) for item in items]
        empty = pl.DataFrame(schema=REPORT_SCHEMA)
        rows = pl.concat([empty, *long]).sort("row_number", "column_number")
        return Loaded(rows, rejected_rows(batch, foreign), cells.height, batch.span, batch.blank)

    def _text(self, cells: pl.DataFrame, name: str) -> pl.Series | None:
        places = self.mapped.fields.get(name)
        item = self.report.by_item.get(name)
        return one_column(cells, places, item.title if item else name) if places else None

    def _keys(self, cells: pl.DataFrame, own: pl.Series) -> pl.DataFrame:
        year, period = self._text(cells, YEAR), self._text(cells, PERIOD)
        assert year is not None
        assert period is not None
        years, periods = read_years(year), read_periods(period)
        return pl.DataFrame(
            [
                own.fill_null(self.owner.code).alias(INSTITUTION_CODE),
                years.alias(YEAR),
                periods.alias(PERIOD),
                cells[ROW_NUMBER].alias("row_number"),
                year.set(years.is_not_null(), None).alias("year_raw"),
                period.set(periods.is_not_null(), None).alias("period_raw"),
            ]
        )

    def _values(self, cells: pl.DataFrame, keys: pl.DataFrame, item: str) -> pl.DataFrame:
        text = self._text(cells, item)
        assert text is not None
        place = self.mapped.fields[item][0]
        value = _FIGURES(text).value
        return keys.with_columns(
            pl.lit(item).alias("item"),
            value.alias("value"),
            text.str.strip_prefix(ERROR_MARK).alias("raw"),
            pl.lit(self.headers[place]).alias("column_name"),
            pl.lit(place + 1, pl.Int64).alias("column_number"),
        ).select(*REPORT_SCHEMA)


def report_headers(report: Report) -> Known:
    fixed = [(name, (name, *headers), ()) for name, headers in REPORT_COLUMNS.items()]
    return known_headers([*fixed, *((entry.item, entry.headers, (entry.unit,)) for entry in report.items)])


def _which_period(keys: pl.DataFrame) -> pl.Series:
    """Why rows say no period: a figure of nobody knows when can neither be compared nor charged."""
    faults = []
    for name, remedy in ((YEAR, "请写四位年份，如 2023"), (PERIOD, "请写 Y、Q1 至 Q4 或 M01 至 M12")):
        said, title = pl.col(f"{name}_raw"), REPORT_COLUMNS[name][0]
        wrong = (
            pl.when(said.is_null())
            .then(pl.lit(f"{title}未填，{remedy}"))
            .otherwise(pl.format(f"{title}“{{}}”无法识别，{remedy}", said))
        )
        faults.append(pl.when(pl.col(name).is_null()).then(wrong))
    return keys.select(pl.concat_str(faults, separator="；", ignore_nulls=True)).to_series()


def read_years(text: pl.Series) -> pl.Series:
    """``2024``, ``2024年``, ``2024年度`` → Int64, else null."""
    return narrowed(stripped(text)).str.extract(_YEAR).cast(pl.Int64)


def read_periods(text: pl.Series) -> pl.Series:
    """``Y``, ``Q1``…``Q4``, ``M01``…``M12`` of what is written (全年, 第1季度, 一季度, 1月), else null."""
    narrow = narrowed(stripped(text)).str.to_uppercase()
    narrow = narrow.str.replace_many(list(_NUMERALS), list(_NUMERALS.values()))
    quarter, month = narrow.str.extract(_QUARTER), narrow.str.extract(_MONTH)
    frame = pl.DataFrame({"text": narrow, "quarter": quarter, "month": month})
    is_month = pl.col("text").str.starts_with("M") | pl.col("text").str.ends_with("月")
    return frame.select(
        pl.when(pl.col("text").is_in(_WHOLE_YEAR))
        .then(pl.lit("Y"))
        .when(is_month & pl.col("month").is_not_null())
        .then(pl.format("M{}", pl.col("month").str.zfill(2)))
        .when(pl.col("quarter").is_not_null() & pl.col("text").str.contains("[Q季]"))
        .then(pl.format("Q{}", pl.col("quarter")))
    ).to_series()
