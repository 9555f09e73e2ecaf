"""Lake rows of one form, read in batches of bounded size.

Belongs here: how the files of many deliveries are cut and packed into batches, reading one. Does not belong here: what
the files hold (``extracts``), which rows are judged (``population``), what is asked of them (``runner``).

Rows of all deliveries handed over together are numbered through, delivery by delivery, file by file: a row's ordinal
says which delivery it is of, and is the same whatever the size of the batches.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from phqc_pipeline.extracts import lake_schema
from phqc_pipeline.extracts.lake_file import HELD_COLUMNS
from phqc_pipeline.extracts.rows import NULL_REASON, RAW_SUFFIX, RECORD_KEY

__all__ = [
    "INSTITUTION",
    "NULL_REASON",
    "ORDINAL",
    "RAW_SUFFIX",
    "RECORD_KEY",
    "Batch",
    "LakeError",
    "Piece",
    "lake_schema",
    "pack",
    "read_ahead",
    "read_batch",
    "read_held",
    "scan_files",
    "with_empty_columns",
]

INSTITUTION = "_institution"  # position of the row's delivery among those read together
ORDINAL = "_ordinal"

# Files packed into one scan: footers are read in parallel, and a wide form's cost several milliseconds each.
_FILES_PER_BATCH = 500


class LakeError(Exception):
    """A lake file cannot be read, or is not what the books say it is. ``path`` names it."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"数据湖文件 {path.name} {problem}；删除该文件后重新运行，会由原始文件重新生成")


@dataclass(frozen=True)
class Piece:
    """Rows ``offset`` to ``offset + rows`` of one lake file; ``ordinal`` is the number of its first row."""

    path: Path
    file_rows: int
    offset: int
    rows: int
    institution: int
    ordinal: int

    @property
    def is_whole(self) -> bool:
        return self.rows == self.file_rows


Batch = tuple[Piece, ...]


def pack(pieces: Iterable[Piece], rows_per_batch: int) -> Iterator[Batch]:
    """The pieces cut and packed, in order, into batches of at most ``rows_per_batch`` rows.

    A file is cut only when it is longer than a batch, and then read batch by batch; files shorter than that share one.
    """
    packed: list[Piece] = []
    room = rows_per_batch
    for piece in pieces:
        for part in _cut(piece, rows_per_batch):
            if packed and (part.rows > room or len(packed) >= _FILES_PER_BATCH):
                yield tuple(packed)
                packed, room = [], rows_per_batch
            packed.append(part)
            room -= part.rows
    if packed:
        yield tuple(packed)


def read_batch(batch: Batch, columns: Sequence[str], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """The batch's rows with ``columns``, ``_institution`` and ``_ordinal``; LakeError when a file is not as booked.

    Columns a file does not have (a field added to the dictionary since) read as empty.
    """
    rows = sum(piece.rows for piece in batch)
    try:
        # In one piece: Polars would put it together anew for every select.
        frame = _scan(batch, columns, schema).collect().rechunk()
    except (Exception, pl.exceptions.PanicException) as error:
        raise LakeError(batch[0].path, f"无法读取（{type(error).__name__}）") from error
    if frame.height != rows:
        raise LakeError(batch[0].path, f"应有 {rows} 行，实有 {frame.height} 行")
    return frame.with_columns(
        _owner(batch).alias(INSTITUTION),
        pl.Series(
            ORDINAL, np.concatenate([np.arange(part.ordinal, part.ordinal + part.rows) for part in batch]), pl.UInt64
        ),
    )


def read_held(batch: Batch, columns: Sequence[str], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """The same, but for columns in which the batch holds nothing, as most of delivered text do: they are left out.

    The files say so themselves, at a fraction of the cost of reading them; ``with_empty_columns`` gives them back.
    """
    try:
        held = frozenset[str]().union(*(_held_columns(piece.path, *_stamp(piece.path)) for piece in batch))
    except (Exception, pl.exceptions.PanicException) as error:
        raise LakeError(batch[0].path, f"无法读取（{type(error).__name__}）") from error
    return read_batch(batch, [name for name in columns if name in held] or columns[:1], schema)


def read_ahead(
    batches: Iterable[Batch], columns: Sequence[str], schema: dict[str, pl.DataType]
) -> Iterator[tuple[Batch, Callable[[], pl.DataFrame]]]:
    """Every batch and what gives its rows (``read_held``, with its errors): one is read while another is judged, so
    two are held at a time. Reading keeps one core busy, and so does much of judging."""
    with ThreadPoolExecutor(1, thread_name_prefix="lake") as pool:
        before: tuple[Batch, Future[pl.DataFrame]] | None = None
        for batch in batches:
            coming = batch, pool.submit(read_held, batch, columns, schema)
            if before is not None:
                yield before[0], before[1].result
            before = coming
        if before is not None:
            yield before[0], before[1].result


def with_empty_columns(frame: pl.DataFrame, names: Iterable[str], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """The batch with those of ``names`` that it lacks as empty columns."""
    lacking = [name for name in names if name in schema and name not in frame.columns]
    return frame.with_columns(pl.lit(None, schema[name]).alias(name) for name in lacking) if lacking else frame


def scan_files(paths: Sequence[Path], schema: dict[str, pl.DataType]) -> pl.LazyFrame:
    """Lake files one behind the other, in the order given, with exactly the columns of ``schema``."""
    return pl.scan_parquet(
        list(paths),
        schema=schema,
        glob=False,
        hive_partitioning=False,
        missing_columns="insert",
        extra_columns="ignore",
        cast_options=pl.ScanCastOptions(datetime_cast=["nanosecond-downcast", "convert-timezone"]),
    )


def _cut(piece: Piece, rows: int) -> Iterator[Piece]:
    for start in range(0, piece.rows, rows):
        length = min(rows, piece.rows - start)
        yield Piece(piece.path, piece.file_rows, piece.offset + start, length, piece.institution, piece.ordinal + start)


def _scan(batch: Batch, columns: Sequence[str], schema: dict[str, pl.DataType]) -> pl.LazyFrame:
    """One scan for a run of whole files (a scan each would cost twice as much), one for every cut piece."""
    scans: list[pl.LazyFrame] = []
    run: list[Path] = []
    for piece in batch:
        if piece.is_whole:
            run.append(piece.path)
            continue
        if run:
            scans.append(scan_files(run, schema))
            run = []
        scans.append(scan_files([piece.path], schema).slice(piece.offset, piece.rows))
    if run:
        scans.append(scan_files(run, schema))
    return pl.concat([scan.select(columns) for scan in scans])


def _owner(batch: Batch) -> pl.Series:
    """For every row of the batch, whose it is."""
    owners = pl.DataFrame(
        {"owner": [piece.institution for piece in batch], "rows": [piece.rows for piece in batch]},
        schema={"owner": pl.UInt32, "rows": pl.UInt32},
    )
    return owners.select(pl.col("owner").repeat_by("rows").explode())["owner"]


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=16)  # a long file is read batch by batch
def _held_columns(path: Path, changed: int, size: int) -> frozenset[str]:
    """The columns of a lake file that hold anything, as it says or by the figures in its footer; in doubt, one does."""
    told = pl.read_parquet_metadata(path).get(HELD_COLUMNS)
    if told is not None:
        return frozenset(json.loads(told))
    footer = pq.read_metadata(path)
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    paths = [footer.schema.column(place).path for place in range(footer.num_columns)]
    return frozenset(
        path.split(".")[0]  # of a list, the figures cannot tell an empty one from none
        for place, path in enumerate(paths)
        if "." in path or any(_holds(group.column(place)) for group in groups)
    )


def _holds(chunk: pq.ColumnChunkMetaData) -> bool:
    known = chunk.statistics
    return known is None or not known.has_null_count or known.null_count < chunk.num_values
