"""Files of the lake, written aside and put in their place whole: a reader, or the next run after a kill, sees the old
file or the new one.

Belongs here: row groups, compression, atomicity. Does not belong here: what is in the files.

Asides lie in one folder of their own, ``HOME/lake/_aside``, so that what a kill left behind is found at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from types import TracebackType

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from phqc_pipeline.home import Home

#: Rows of a row group at most: what a reader holds in memory of one column at a time.
ROW_GROUP_ROWS = 50_000
#: Under this key a file says which of its columns hold anything, as most of delivered text do not: a JSON list. Its
#: footer says so too, but going through hundreds of columns' figures takes longer than reading many a file.
HELD_COLUMNS = "held_columns"

_numbers = count()


class LakeWriter:
    """``write`` frames of one schema, then ``finish``. Left without ``finish``, nothing is there.

    With ``lazy``, a file to which nothing was written does not come into being (and one from before goes).
    """

    def __init__(self, home: Home, path: Path, schema: Mapping[str, pl.DataType], *, lazy: bool = False) -> None:
        self.path = path
        self.schema = dict(schema)
        self.lazy = lazy
        self._aside = _aside(home)
        self._writer: pq.ParquetWriter | None = None
        self._held: set[str] = set()

    def __enter__(self) -> LakeWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._aside.unlink(missing_ok=True)

    def write(self, frame: pl.DataFrame) -> None:
        frame = frame.select(*self.schema)
        self._held.update(column.name for column in frame.iter_columns() if column.null_count() < frame.height)
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        self._open(table.schema).write_table(table, row_group_size=ROW_GROUP_ROWS)

    def finish(self) -> None:
        """Put the file in its place."""
        if self._writer is None and self.lazy:
            self.path.unlink(missing_ok=True)
            return
        empty = pl.DataFrame(schema=self.schema).to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = self._open(empty.schema)
        writer.add_key_value_metadata({HELD_COLUMNS: json.dumps(sorted(self._held))})
        writer.close()
        self._writer = None
        with self._aside.open("rb") as file:
            os.fsync(file.fileno())
        _put(self._aside, self.path)

    def _open(self, schema: pa.Schema) -> pq.ParquetWriter:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._aside, schema, compression="zstd", compression_level=1)
        return self._writer


def write_whole(home: Home, path: Path, data: bytes) -> None:
    aside = _aside(home)
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _put(aside, path)


def link_or_copy(home: Home, source: Path, target: Path) -> None:
    """The same content under another name: a hard link where the file system has them."""
    aside = _aside(home)
    try:
        os.link(source, aside)
    except OSError:
        aside.write_bytes(source.read_bytes())
    _put(aside, target)


def remove_leftovers(home: Home) -> None:
    """Files that a killed run left written aside; not those of a process that is alive."""
    for aside in _folder(home).glob("*"):
        if not _is_alive(int(aside.name.split("-")[0])):
            aside.unlink(missing_ok=True)


def _folder(home: Home) -> Path:
    return home.lake / "_aside"


def _aside(home: Home) -> Path:
    _folder(home).mkdir(parents=True, exist_ok=True)
    return _folder(home) / f"{os.getpid()}-{next(_numbers)}"


def _put(aside: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside.replace(path)


def _is_alive(process: int) -> bool:
    if process == os.getpid():
        return False  # this run has nothing aside yet: a number used again
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
