"""One landing file → its Parquet in the lake and the facts for its record.

Belongs here: opening a file with its format's reader, converting batch by batch, counting, the note for a clerk.
Does not belong here: whether a file has to be read at all (``take_in``).

Blocks of a file are parsed and converted in threads while the one before is written; a few are in memory at a time.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from traceback import extract_tb

import polars as pl

from phqc_pipeline.catalogue.model import Catalogue, Form, Report
from phqc_pipeline.extracts.books import FileRecord, lake_path, missing_columns, rejected_path
from phqc_pipeline.extracts.cells import Converters
from phqc_pipeline.extracts.find import LandingFile
from phqc_pipeline.extracts.header import INSTITUTION_CODE, Known, Mapped, form_headers, map_columns
from phqc_pipeline.extracts.lake_file import LakeWriter
from phqc_pipeline.extracts.read_csv import open_csv
from phqc_pipeline.extracts.read_parquet import open_parquet
from phqc_pipeline.extracts.read_workbook import open_xls, open_xlsx
from phqc_pipeline.extracts.reports import REPORT_COLUMNS, REPORT_KEY, ReportRows, report_headers
from phqc_pipeline.extracts.rows import REJECTED_SCHEMA, FormRows, Loaded, Owner
from phqc_pipeline.extracts.shapes import ROW_NUMBER, Batch, Table, UnreadableError
from phqc_pipeline.home import Home

#: Columns of the Parquet files of rejected rows (contract, ``ingest.rejected_row``).
REJECTED_FILE_SCHEMA: Mapping[str, pl.DataType] = {"file_id": pl.String(), **REJECTED_SCHEMA}
#: Threads that parse and convert; each holds a block, and one thread writes what they convert.
MAX_THREADS = 4

_OPENERS: Mapping[str, Callable[[Path, Known], Table]] = {
    ".csv": open_csv,
    ".csv.gz": partial(open_csv, zipped=True),
    ".xlsx": open_xlsx,
    ".xls": open_xls,
    ".parquet": open_parquet,
}
_SHOWN_NAMES = 10  # columns listed in a note before it only counts

Rows = FormRows | ReportRows
Target = Form | Report


@dataclass
class _Counts:
    loaded: int = 0
    rejected: int = 0
    blank: int = 0
    folded: int = 0
    outdone: int = 0  # rows of a report that a later row of the same institution and period takes the place of
    repaired: dict[str, int] = field(default_factory=dict)

    @property
    def read(self) -> int:
        return self.loaded + self.rejected


def threads() -> int:
    return min(MAX_THREADS, os.cpu_count() or 1)


def load_file(
    home: Home,
    cat: Catalogue,
    file: LandingFile,
    owner: Owner,
    blank: FileRecord,
    pool: Executor,
    finish: Callable[[], bool],
    converters: Converters | None = None,
) -> FileRecord:
    """Convert the file; its record after ``blank``, which says what is known of it already.

    ``finish`` is asked once everything is read: False leaves no trace. A file of which no row could be loaded is
    quarantined, its rejected rows kept. UnreadableError for every other reason not to take it. ``converters``: of the
    catalogue, where files are to share what their columns' texts mean.
    """
    target = file.target
    assert isinstance(target, (Form, Report))
    with _told_to_clerks():
        table, mapped, rows = _open(cat, file, target, owner, converters)
    with (
        LakeWriter(home, lake_path(home, blank), rows.schema) as lake,
        LakeWriter(home, rejected_path(home, blank), REJECTED_FILE_SCHEMA, lazy=True) as rejected,
    ):
        counts = _write(table, rows, lake, rejected, blank.file_id, pool)
        if not finish():
            return blank
        rejected.finish()
        blank = replace(blank, rows_read=counts.read, rows_rejected=counts.rejected, encoding=table.encoding)
        if counts.read and not counts.loaded:
            said = f"{counts.read} 行全部被拒收，没有一行可用；请看拒收原因，核对是否放错了机构或导错了表"
            return replace(blank, reason=said)
        lake.finish()
    return replace(
        blank,
        loaded=True,
        rows_loaded=counts.loaded,
        rows_blank=counts.blank + counts.folded,
        columns=mapped.columns,
        unknown_columns=tuple(mapped.unknown),
        note=_note(cat, target, mapped, table, counts),
    )


def _open(
    cat: Catalogue, file: LandingFile, target: Target, owner: Owner, converters: Converters | None
) -> tuple[Table, Mapped, Rows]:
    if isinstance(target, Form):
        source = cat.source_of(owner.code)
        known = form_headers(target, cat.repairs, source)
        table = _OPENERS[file.ending](file.path, known)
        mapped = map_columns(table.header.names, known)
        return table, mapped, FormRows(target, cat.codes, mapped, table, owner, cat.repairs, source, converters)
    known = report_headers(target)
    table = _OPENERS[file.ending](file.path, known)
    mapped = map_columns(table.header.names, known)
    return table, mapped, ReportRows(target, mapped, owner, table.header.names)


def _write(table: Table, rows: Rows, lake: LakeWriter, rejected: LakeWriter, file_id: str, pool: Executor) -> _Counts:
    """Write every batch, in the order of the file, numbering rows through."""
    counts = _Counts()
    offset = table.first_row
    number = ROW_NUMBER if isinstance(rows, FormRows) else "row_number"
    told: list[pl.DataFrame] = []
    batches = _batches(table.pieces, rows, pool)
    while (loaded := _next(batches, offset)) is not None:
        if loaded.rows.height:
            lake.write(loaded.rows.with_columns(pl.col(number) + offset))
            if isinstance(rows, ReportRows):
                told.append(loaded.rows.select(*REPORT_KEY, pl.col(number) + offset).unique())
        if loaded.rejected.height:
            numbered = loaded.rejected.with_columns(pl.col("row_number") + offset, file_id=pl.lit(file_id))
            rejected.write(numbered)
        counts.loaded += loaded.loaded
        counts.rejected += loaded.rejected.height
        counts.blank += loaded.blank
        counts.folded += loaded.folded
        for name, cells in loaded.repaired.items():
            counts.repaired[name] = counts.repaired.get(name, 0) + cells
        offset += loaded.span
    if told:
        reported = pl.concat(told)
        counts.outdone = reported.height - reported.select(*REPORT_KEY).n_unique()
    return counts


def _batches(pieces: Iterator[Callable[[], Batch]], rows: Rows, pool: Executor) -> Iterator[Loaded]:
    """Batches in order, read and converted in threads; at most one more at a time than there are threads."""
    waiting: deque[Future[Loaded]] = deque()

    def convert(piece: Callable[[], Batch]) -> Loaded:
        return rows.load(piece())

    try:
        for piece in pieces:
            waiting.append(pool.submit(convert, piece))
            if len(waiting) > threads():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _next(batches: Iterator[Loaded], rows_before: int) -> Loaded | None:
    with _told_to_clerks(rows_before):
        return next(batches, None)


@contextmanager
def _told_to_clerks(rows_before: int = 0) -> Iterator[None]:
    """What goes wrong in reading or converting makes the file unreadable: it costs that file and no other."""
    try:
        yield
    except UnreadableError as error:
        if error.row is None:
            raise
        raise UnreadableError(f"第 {rows_before + error.row} 行：{error.reason}", passing=error.passing) from None
    except MemoryError:
        raise UnreadableError("内存不足，没有读完；请把文件分成几份，或改交 CSV", passing=True) from None
    except (Exception, pl.exceptions.PanicException) as error:
        # Of an error nobody foresaw only kind and place are told: its text may quote a row.
        last = extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        said = f"读取时出现意外错误（{type(error).__name__}，{place}）；请把文件交给系统维护人员"
        raise UnreadableError(said, passing=True) from None


def _note(cat: Catalogue, target: Target, mapped: Mapped, table: Table, counts: _Counts) -> str:
    """What a clerk should know of a file that was taken (``ingest.file.reason``)."""
    missing = missing_columns(target, set(mapped.columns))
    titles = _titles(target)
    required = cat.required_columns(target.form_id) if isinstance(target, Form) else frozenset[str]()
    said: list[str] = []
    if not counts.read:
        said.append("只有表头，没有数据行")
    if counts.rejected:
        said.append(f"拒收 {counts.rejected} 行")
    if needed := [titles[name] for name in missing if name in required]:
        said.append(f"缺少列：{'、'.join(needed)}")
    if others := [titles[name] for name in missing if name not in required]:
        said.append(f"{'缺少报表项' if isinstance(target, Report) else '缺少选填列'}：{_listed(others)}")
    if mapped.groups:
        marks = _listed([group.mark for group in mapped.groups], "次")
        said.append(f"宽表：一行有 {len(mapped.groups)} 次（{marks}），拆成每次一条，行数按拆开后的条数计")
    if counts.folded:
        said.append(f"{counts.folded} 行一次也没有填，没有生成记录")
    if counts.repaired:
        cells = [f"{titles[name]} {count} 格" for name, count in sorted(counts.repaired.items())]
        said.append(f"写法不规范、已自动换算：{_listed(cells)}")
    if counts.outdone:
        said.append(f"同一机构同一期报了几行，以最后一行为准，另 {counts.outdone} 行未采用")
    if INSTITUTION_CODE not in mapped.fields:
        said.append("没有机构编码列，按投递文件夹的机构处理")
    if mapped.repeated:
        said.append(f"重复的列按一列处理：{_listed([titles[name] for name in mapped.repeated])}")
    if mapped.unknown:
        said.append(f"不认识的列原样保留：{_listed(list(mapped.unknown))}")
    return "；".join([*said, *table.notes])


def _titles(target: Target) -> dict[str, str]:
    if isinstance(target, Form):
        return {column.name: f"{column.title}（{column.name}）" for column in target.fields}
    fixed = {name: f"{headers[0]}（{name}）" for name, headers in REPORT_COLUMNS.items()}
    return {**fixed, **{item.item: f"{item.title}（{item.item}）" for item in target.items}}


def _listed(names: Iterable[str], counted: str = "列") -> str:
    every = list(names)
    shown = "、".join(every[:_SHOWN_NAMES])
    return shown if len(every) <= _SHOWN_NAMES else f"{shown} 等 {len(every)} {counted}"
