"""Writing one Parquet file of the lake, batch by batch, aside, and putting it in its place at the end.

Belongs here: row groups, compression, atomicity. Does not belong here: what is in the columns.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

#: Rows of a row group at most: what a reader holds in memory of one column at a time.
ROW_GROUP_ROWS = 50_000
_ASIDE = ".tmp"


class LakeWriter:
    """``write`` frames of one schema, then ``finish``. Left without ``finish``, nothing is there.

    With ``lazy``, a file to which nothing was written does not come into being (and one from before goes).
    """

    def __init__(self, path: Path, schema: Mapping[str, pl.DataType], *, lazy: bool = False) -> None:
        self.path = path
        self.schema = dict(schema)
        self.lazy = lazy
        self._aside = path.with_name(f".{path.name}.{os.getpid()}{_ASIDE}")
        self._writer: pq.ParquetWriter | None = None

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
        table = frame.select(*self.schema).to_arrow(compat_level=pl.CompatLevel.oldest())
        self._open(table.schema).write_table(table, row_group_size=ROW_GROUP_ROWS)

    def finish(self) -> None:
        """Put the file in its place."""
        if self._writer is None and self.lazy:
            self.path.unlink(missing_ok=True)
            return
        empty = pl.DataFrame(schema=self.schema).to_arrow(compat_level=pl.CompatLevel.oldest())
        self._open(empty.schema).close()
        self._writer = None
        with self._aside.open("rb") as file:
            os.fsync(file.fileno())
        self._aside.replace(self.path)

    def _open(self, schema: pa.Schema) -> pq.ParquetWriter:
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._aside, schema, compression="zstd", compression_level=1)
        return self._writer


def link_or_copy(source: Path, target: Path) -> None:
    """The same content under another name: a hard link where the file system has them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}{_ASIDE}")
    aside.unlink(missing_ok=True)
    try:
        os.link(source, aside)
    except OSError:
        aside.write_bytes(source.read_bytes())
    aside.replace(target)


def remove_leftovers(lake: Path) -> None:
    """Files that a killed run left written aside."""
    for aside in lake.glob(f"**/.*{_ASIDE}"):
        aside.unlink(missing_ok=True)
