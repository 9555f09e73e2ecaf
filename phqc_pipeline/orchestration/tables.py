"""Small helpers of the asset modules: the dates of a run, and a frame as a table in Dagster's metadata."""

from __future__ import annotations

from datetime import date

import polars as pl
from dagster import AssetExecutionContext, MetadataValue, TableRecord

from phqc_pipeline.orchestration.session import Session

#: A table in an event is read by a person; the warehouse holds the rest.
ROWS_SHOWN = 20


def snapshots(context: AssetExecutionContext, session: Session) -> list[date]:
    """The snapshot dates of this run, in order: those an operator wrote into its configuration, or its partitions'."""
    if session.dates:
        return sorted(session.dates)
    return sorted(date.fromisoformat(key) for key in context.partition_keys)


def as_table(frame: pl.DataFrame) -> MetadataValue:
    """The first rows of a frame as a table; says so when there are none."""
    shown = frame.head(ROWS_SHOWN).with_columns(pl.all().cast(pl.String).fill_null(""))
    if shown.is_empty():
        return MetadataValue.text("无")
    return MetadataValue.table([TableRecord(row) for row in shown.iter_rows(named=True)])
