"""What a reader of one format hands on, whatever the format: a header, and the rows as text, in bounded batches.

Belongs here: the shapes shared by the readers and by those who use them. Does not belong here: any reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

ROW_NUMBER = "_row_number"


class UnreadableError(Exception):
    """The file as a whole cannot be taken: it is quarantined. ``reason`` is for a clerk (no personal data).

    ``passing``: the cause lies outside the file (permissions, a failing disk), so the next run looks again.
    ``row``: the row that shows it, counted within the batch.
    """

    def __init__(self, reason: str, *, passing: bool = False, row: int | None = None) -> None:
        self.reason = reason
        self.passing = passing
        self.row = row
        super().__init__(reason)


@dataclass(frozen=True)
class Rejected:
    """One row that is not loaded: number, reason for a clerk, the row as delivered (it may hold personal data)."""

    row_number: int
    reason: str
    raw: str


@dataclass(frozen=True)
class Header:
    """The header row: its number as a spreadsheet shows it (0: the format has none), and the text of every column."""

    row_number: int
    names: tuple[str, ...]

    @property
    def named(self) -> int:
        """Columns up to the last one that has a name."""
        return max((place + 1 for place, name in enumerate(self.names) if name), default=0)


@dataclass(frozen=True)
class Batch:
    """Some consecutive rows of a file.

    ``cells``: column ``_row_number`` (Int64) and the text columns ``"0"``, ``"1"`` … of the header, empty cells null.
    Row numbers count from 1 within the batch; it covers ``span`` rows of the file, blank ones included.
    """

    cells: pl.DataFrame
    span: int
    rejected: Sequence[Rejected] = ()
    blank: int = 0


@dataclass
class Table:
    """A file opened by its reader: the header, and pieces of work that each give a batch when called (in any thread).

    ``first_row``: rows of the file before the first batch. ``serial_dates``: numbers in date columns are Excel serials,
    counted from 1904 when ``epoch_1904``. ``encoding``: known in full when the last piece was handed out.
    """

    header: Header
    pieces: Iterator[Callable[[], Batch]]
    first_row: int = 0
    serial_dates: bool = False
    epoch_1904: bool = False
    encoding: str = ""
    notes: list[str] = field(default_factory=list)
