"""Rows as delivered → rows of the lake: one form's columns, whose row it is, under which key.

Belongs here: the lake's columns, the institution ruling, completing archive numbers, record keys, unknown columns.
Does not belong here: single cells (``cells``), files (``take_in``), reports (``reports``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

import duckdb
import polars as pl

from phqc_pipeline.catalogue.delivered import Repairs, SourceMap
from phqc_pipeline.catalogue.expressions.cells import RAW_SUFFIX as RAW_SUFFIX
from phqc_pipeline.catalogue.model import CodeList, Field, Form
from phqc_pipeline.extracts.cells import (
    EMPTY,
    ERROR_MARK,
    NO_REPAIRS,
    VALUE_TYPES,
    Cells,
    Converter,
    Converters,
    empty_cells,
    narrowed,
    one_column,
    repaired,
    stripped,
)
from phqc_pipeline.extracts.dates import Serials
from phqc_pipeline.extracts.header import INSTITUTION_CODE, Mapped
from phqc_pipeline.extracts.pairs import PairSplitter
from phqc_pipeline.extracts.shapes import ROW_NUMBER, Batch, Table, UnreadableError
from phqc_pipeline.extracts.wide import Unfolder

RECORD_KEY = "_record_key"
INSTITUTION = "_institution_code"
STATION = "station_code"
NULL_REASON = "_null_reason"
EXTRA = "_extra"

# Columns of the envelope that the pipeline itself reads (forms.md, section 1).
RECORD_ID = "record_id"
ARCHIVE_NO = "archive_no"
DOCTOR = "doctor_name"

REJECTED_SCHEMA: Mapping[str, pl.DataType] = {"row_number": pl.Int64(), "reason": pl.String(), "raw": pl.String()}

# The last 8 digits of an archive number, as printed on follow-up forms: □□□-□□□□□ (0a.22).
_SHORT_ARCHIVE_NO = r"^(\d{3})-?(\d{5})$"
_ESCAPES = {"\\": "\\\\", '"': '\\"', **{chr(code): f"\\u{code:04x}" for code in range(32)}}


@dataclass(frozen=True)
class Owner:
    """The institution a file was delivered by.

    ``codes``: those a row of its files may carry: its own and those of the institutions below it. ``regions``: of them
    that begin with their nine-digit region, code → region.
    """

    code: str
    codes: frozenset[str]
    regions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Loaded:
    """A batch of the lake: ``rows`` in the lake's columns, rejected rows; numbers count from 1 within the batch.

    ``loaded`` of the file's rows made ``rows`` (of a report each makes as many as it has items; of a wide export each
    visit counts as one). ``span`` is how many rows of the file the batch covers, ``blank`` how many of them hold
    nothing, ``folded`` how many no visit. ``repaired``: field → cells put right.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame
    loaded: int
    span: int
    blank: int
    folded: int = 0
    repaired: Mapping[str, int] = field(default_factory=dict)


def lake_schema(form: Form) -> dict[str, pl.DataType]:
    """Column → type of a lake file of the form."""
    schema: dict[str, pl.DataType] = {
        ROW_NUMBER: pl.Int64(),
        RECORD_KEY: pl.String(),
        INSTITUTION: pl.String(),
        STATION: pl.String(),
    }
    for column in form.fields:
        schema[column.name] = VALUE_TYPES[column.kind]
        schema[column.name + RAW_SUFFIX] = pl.String()
    return {**schema, NULL_REASON: pl.String(), EXTRA: pl.String()}


class FormRows:
    """Batches of one file of a form → ``Loaded``. Has no state between batches: any thread may call ``load``."""

    def __init__(
        self,
        form: Form,
        codes: Mapping[str, CodeList],
        mapped: Mapped,
        table: Table,
        owner: Owner,
        repairs: Repairs = NO_REPAIRS,
        source: SourceMap | None = None,
        converters: Converters | None = None,
    ) -> None:
        if RECORD_ID not in mapped.columns:
            named = form.field(RECORD_ID)
            raise UnreadableError(f"缺少关键列：{named.title}（{RECORD_ID}），无法识别每条记录；请补上该列后重新导出")
        self.form = form
        self.mapped = mapped
        self.owner = owner
        self.schema = lake_schema(form)
        self.codes = pl.Series(sorted(owner.codes), dtype=pl.String)
        self.unfolder = Unfolder(form, codes, mapped, RECORD_ID) if mapped.groups else None
        serials = Serials(table.serial_dates, table.epoch_1904)
        converters = converters or Converters(codes, repairs)
        self.convert: dict[str, Converter] = {
            column.name: converters.of(
                column,
                serials,
                errors=table.serial_dates,
                mapped=source.codes_of(form.form_id, column.name, column.codes) if source else None,
                dates=source.dates if source else (),
            )
            for column in form.fields
            if column.name in mapped.columns
        }
        self.splitters = [
            PairSplitter(pair, form.field(first), form.field(second), regular=first in mapped.held_together)
            for pair in repairs.pairs
            for first, second in pair.fields
            if form.has(first) and form.has(second) and {first, second} & set(mapped.columns)
        ]
        self.mendable = [column for column in form.fields if column.kind != "text" and column.name in mapped.columns]

    def load(self, batch: Batch) -> Loaded:
        cells, own, foreign = self._without_foreign(batch.cells)
        marks: pl.Series | None = None
        texts: dict[str, pl.Series] = {}
        folded = 0
        if self.unfolder is not None:
            own_by_row = pl.DataFrame([cells[ROW_NUMBER], own.alias("own")])
            unfolded = self.unfolder.unfold(cells)
            cells, texts, marks, folded = unfolded.cells, unfolded.texts, unfolded.marks, unfolded.folded
            own = cells.select(ROW_NUMBER).join(own_by_row, on=ROW_NUMBER, how="left", maintain_order="left")["own"]
        for name, places in self.mapped.fields.items():
            if name not in texts:
                texts[name] = one_column(cells, places, self._title(name))
        station = own.fill_null(self.owner.code).rename(STATION)
        made = {column.name: self._cells(column, texts, cells.height) for column in self.form.fields}
        for splitter in self.splitters:
            splitter.split(made)
        if marks is not None:
            made[RECORD_ID] = _numbered(made[RECORD_ID], marks)
        self._fill_envelope(made, station)
        columns = [cells[ROW_NUMBER], station]
        for name, converted in made.items():
            columns += [converted.value.alias(name), converted.raw.alias(name + RAW_SUFFIX)]
        rows = pl.DataFrame(columns).with_columns(
            pl.lit(self.owner.code).alias(INSTITUTION),
            _null_reasons(made, cells.height).alias(NULL_REASON),
            extra_cells(cells, self.mapped.unknown).alias(EXTRA),
        )
        rows = rows.with_columns(record_keys(rows, self.form).alias(RECORD_KEY)).select(*self.schema)
        mended = {column.name: repaired(made[column.name]) for column in self.mendable}
        counts = {name: int(mask.sum()) for name, mask in mended.items() if mask is not None}
        rejected = rejected_rows(batch, foreign)
        return Loaded(rows, rejected, rows.height, batch.span, batch.blank, folded, counts)

    def _title(self, name: str) -> str:
        return self.form.field(name).title

    def _cells(self, column: Field, texts: Mapping[str, pl.Series], rows: int) -> Cells:
        convert, text = self.convert.get(column.name), texts.get(column.name)
        return convert(text) if convert and text is not None else empty_cells(column, rows)

    def _without_foreign(self, cells: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series, pl.DataFrame]:
        """Without rows of institutions that are not the owner's own; each row's own code; those as rejected rows."""
        places = self.mapped.fields.get(INSTITUTION_CODE)
        text = one_column(cells, places, self._title(INSTITUTION_CODE)) if places else None
        own = own_codes(text, cells.height)
        theirs = (own.is_not_null() & ~own.is_in(self.codes.implode())).fill_null(False)
        if not theirs.any():
            return cells, own, pl.DataFrame(schema=REJECTED_SCHEMA)
        foreign = foreign_rows(cells.filter(theirs), own.filter(theirs), self.owner.code)
        return cells.filter(~theirs), own.filter(~theirs), foreign

    def _fill_envelope(self, made: dict[str, Cells], station: pl.Series) -> None:
        """The owner's code where the file has no institution column; archive numbers completed (0a.8, 0a.22)."""
        if INSTITUTION_CODE in made and INSTITUTION_CODE not in self.mapped.fields:
            made[INSTITUTION_CODE] = Cells(station, made[INSTITUTION_CODE].raw)
        if ARCHIVE_NO in made and self.owner.regions:
            made[ARCHIVE_NO] = completed_archive_no(made[ARCHIVE_NO], station, self.owner)


def _numbered(cells: Cells, marks: pl.Series) -> Cells:
    """Record numbers with the mark of the visit behind them; none where the row has no number."""
    frame = pl.DataFrame([cells.value.alias("value"), marks.alias("mark")])
    value = pl.when(pl.col("mark").is_not_null()).then(pl.col("value") + "-" + pl.col("mark")).otherwise("value")
    return Cells(frame.select(value).to_series().rename(cells.value.name), cells.raw, cells.word)


def own_codes(text: pl.Series | None, rows: int) -> pl.Series:
    """The institution code a row carries itself, null where it carries none."""
    if text is None:
        return pl.Series(INSTITUTION_CODE, [None], pl.String).new_from_index(0, rows)
    bare = narrowed(stripped(text)).str.strip_prefix(ERROR_MARK)
    silent = bare.is_in(EMPTY)
    return bare.set(silent.fill_null(False), None) if silent.any() else bare


def foreign_rows(cells: pl.DataFrame, own: pl.Series, owner: str) -> pl.DataFrame:
    """Rejected rows of institutions that do not belong to the delivery's."""
    return turned_away(cells, pl.format("机构编码“{}”不是 {} 或其下级机构", own, pl.lit(owner)))


def turned_away(cells: pl.DataFrame, reason: pl.Expr) -> pl.DataFrame:
    """All of ``cells`` as rejected rows, each for its ``reason`` (over the columns of ``cells``)."""
    texts = [_quoted(pl.col(name)) for name in cells.columns if name != ROW_NUMBER]
    return cells.select(
        pl.col(ROW_NUMBER).alias("row_number"),
        reason.alias("reason"),
        pl.concat_str(texts, separator=",").alias("raw"),
    )


def rejected_rows(batch: Batch, foreign: pl.DataFrame) -> pl.DataFrame:
    """All rejected rows of a batch, in the order of the file."""
    if not batch.rejected:
        return foreign
    columns = {
        "row_number": [row.row_number for row in batch.rejected],
        "reason": [row.reason for row in batch.rejected],
        "raw": [row.raw for row in batch.rejected],
    }
    return pl.concat([pl.DataFrame(columns, schema=REJECTED_SCHEMA), foreign]).sort("row_number")


def completed_archive_no(cells: Cells, station: pl.Series, owner: Owner) -> Cells:
    """Archive numbers of which only the last eight digits were delivered, with the region before them.

    It is that of the row's institution; of a clinic whose code has none, that of the institution above, the owner's.
    """
    short = cells.value.str.contains(_SHORT_ARCHIVE_NO).fill_null(False)
    if not short.any():
        return cells
    frame = pl.DataFrame({"value": cells.value, "raw": cells.raw, "short": short, "station": station})
    region = pl.col("station").replace_strict(
        list(owner.regions),
        list(owner.regions.values()),
        default=pl.lit(owner.regions.get(owner.code), pl.String),
        return_dtype=pl.String,
    )
    whole = region + pl.col("value").str.replace("-", "", literal=True)
    complete = pl.col("short") & region.is_not_null()
    done = frame.select(
        value=pl.when(complete).then(whole).otherwise("value"),
        raw=pl.when(complete).then(pl.coalesce("raw", "value")).otherwise("raw"),
    )
    return Cells(done["value"], done["raw"], cells.word)


def extra_cells(cells: pl.DataFrame, unknown: Mapping[str, int]) -> pl.Series:
    """JSON of the cells in unknown columns, header → text; null where all of them are empty."""
    filled = {
        name: cells[str(place)] for name, place in unknown.items() if cells[str(place)].null_count() < cells.height
    }
    return _json_objects({name: text.str.strip_prefix(ERROR_MARK) for name, text in filled.items()}, cells.height)


def record_keys(rows: pl.DataFrame, form: Form) -> pl.Series:
    """``record_id``, or for a row without one ``#`` and a hash of whose it is, when, by whom, what it says (0a.9)."""
    unnamed = rows[RECORD_ID].is_null()
    if not unnamed.any():
        return rows[RECORD_ID]
    told = [name for name in (ARCHIVE_NO, form.service_date, DOCTOR) if form.has(name)]
    told += [column.name for column in form.own_fields if column.business and column.name not in told]
    frame = rows.filter(unnamed).select(content=_content(form.field(name) for name in told))
    hashes = _md5(frame["content"])
    return rows[RECORD_ID].clone().scatter(unnamed.arg_true(), "#" + hashes)


def _content(columns: Iterable[Field]) -> pl.Expr:
    """``name=value`` of the cells that are filled: a column added to the dictionary later does not change the text."""
    parts: list[pl.Expr] = []
    for column in columns:
        value = pl.col(column.name)
        text = value.list.join(",") if column.kind == "multi" else value.cast(pl.String)
        parts.append(pl.lit(f"{column.name}=") + pl.coalesce(text, pl.col(column.name + RAW_SUFFIX)))
    return pl.concat_str(parts, separator="\x1f", ignore_nulls=True)


@cache
def _hashing() -> duckdb.DuckDBPyConnection:
    """One engine for all batches: making it costs more than a batch's hashes. Each thread takes a cursor."""
    return duckdb.connect(config={"threads": 1})


def _md5(text: pl.Series) -> pl.Series:
    contents = text.to_frame("content").with_row_index("place").to_arrow(compat_level=pl.CompatLevel.oldest())
    with _hashing().cursor() as connection:
        connection.register("contents", contents)
        found = connection.execute("SELECT md5(content) AS hash FROM contents ORDER BY place").to_arrow_table()
    return pl.Series(found.column("hash"))


def _null_reasons(made: Mapping[str, Cells], rows: int) -> pl.Series:
    return _json_objects({name: cells.word for name, cells in made.items() if cells.word is not None}, rows)


def _json_objects(columns: Mapping[str, pl.Series], rows: int) -> pl.Series:
    """One JSON object a row with the columns that are filled there; null where none is."""
    if not columns:
        return pl.Series([None], dtype=pl.String).new_from_index(0, rows)
    frame = pl.DataFrame([text.alias(str(place)) for place, text in enumerate(columns.values())])
    members = [
        pl.format('{}:"{}"', pl.lit(json.dumps(name, ensure_ascii=False)), _escaped(pl.col(str(place))))
        for place, name in enumerate(columns)
    ]
    body = pl.concat_str(members, separator=",", ignore_nulls=True)
    return frame.select(pl.when(body != "").then(pl.format("{{{}}}", body))).to_series()


def _escaped(text: pl.Expr) -> pl.Expr:
    return text.str.replace_many(list(_ESCAPES), list(_ESCAPES.values()))


def _quoted(text: pl.Expr) -> pl.Expr:
    """A cell as CSV would write it."""
    text = text.fill_null("").str.strip_prefix(ERROR_MARK)
    special = text.str.contains(r'[",\r\n]')
    return pl.when(special).then(pl.format('"{}"', text.str.replace_all('"', '""', literal=True))).otherwise(text)
