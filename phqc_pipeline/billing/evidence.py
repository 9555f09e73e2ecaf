"""The cells of reports that orders are based on, as every delivery in turn had them.

Belongs here: reading those cells from the lake. Does not belong here: what follows for a bill (``versions``).
The books keep every delivery ever accepted, so what is found depends on deliveries alone, not on which night asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from phqc_pipeline.extracts import Books, Delivery

#: Institution, report, year, period, item.
Cell = tuple[str, str, int, str, str]

_KEY = ("institution_code", "report_id", "year", "period", "item")


@dataclass(frozen=True)
class ReportedCell:
    """One cell as one delivery had it. ``value``: None where the cell was empty or unreadable."""

    delivered_on: date
    value: float | None
    raw: str | None
    file_id: str
    sha256: str
    row_number: int
    column_name: str


History = Mapping[Cell, tuple[ReportedCell, ...]]


def read_report_history(books: Books, orders: pl.DataFrame | None, until: date) -> History:
    """Cell → what each delivery up to ``until`` said of it, oldest first; a delivery without the cell says nothing.

    Of an institution's rows for one period the last in the file stands. A delivery whose files are those of the one
    before is not read again.
    """
    if orders is None or orders.is_empty():
        return {}
    hashes = {record.file_id: record.sha256 for record in books.records}
    deliveries = books.accepted_deliveries(frozenset(orders["basis_report"].unique()), until)
    files = [
        (str(file.path), delivery.form_id, delivery.snapshot_date, file.file_id, hashes[file.file_id])
        for delivery in _changed(deliveries, hashes)
        for file in delivery.files
        if file.path.exists()
    ]
    if not files:
        return {}
    told = pl.DataFrame(files, schema=["path", "report_id", "delivered_on", "file_id", "sha256"], orient="row")
    cells = (
        pl.scan_parquet(told["path"].to_list(), include_file_paths="path")
        .filter(pl.col("item").is_in(orders["basis_item"].unique().to_list()))
        .select("path", "institution_code", "year", "period", "item", "value", "raw", "row_number", "column_name")
        .collect()
        .join(told, on="path")
        .join(_wanted(orders), on=_KEY, how="semi")
        .sort("delivered_on", "row_number", "file_id")
        .unique([*_KEY, "delivered_on"], keep="last", maintain_order=True)
    )
    found: dict[Cell, list[ReportedCell]] = {}
    # One cell an order and delivery: hundreds, never a data path of records.
    for row in cells.select(*_KEY, *ReportedCell.__dataclass_fields__).iter_rows():
        found.setdefault(row[: len(_KEY)], []).append(ReportedCell(*row[len(_KEY) :]))
    return {cell: tuple(history) for cell, history in found.items()}


def _changed(deliveries: list[Delivery], hashes: Mapping[str, str]) -> Iterator[Delivery]:
    """Deliveries of other content than the one before them of the same institution and report; and each last one."""
    before: dict[tuple[str, str], tuple[Delivery, list[str], bool]] = {}
    for delivery in deliveries:
        owner = (delivery.institution_code, delivery.form_id)
        content = sorted(hashes[file.file_id] for file in delivery.files)
        previous = before.get(owner)
        fresh = previous is None or previous[1] != content
        if fresh:
            yield delivery
        before[owner] = (delivery, content, fresh)
    # The newest delivery is the evidence a reader finds in ``report.value``, even where it says nothing new.
    yield from (delivery for delivery, _, fresh in before.values() if not fresh)


def _wanted(orders: pl.DataFrame) -> pl.DataFrame:
    return orders.select(
        "institution_code",
        pl.col("basis_report").alias("report_id"),
        pl.col("basis_year").cast(pl.Int64).alias("year"),
        pl.col("basis_period").alias("period"),
        pl.col("basis_item").alias("item"),
    ).unique()
