"""How a stage that fails says so: what failed, what to do, and no resident's data.

Belongs here: turning an exception into Dagster's Failure. Does not belong here: deciding whether a stage failed.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl
from dagster import Failure, MetadataValue

from phqc_pipeline.checks import mask_numbers


@contextmanager
def stage(title: str, remedy: str) -> Iterator[None]:
    """Run a stage; an exception becomes a Failure with the remedy, identity numbers and telephones masked.

    The original message may quote a record, so it is masked and the chain is cut: Dagster stores what is chained.
    """
    try:
        yield
    except Failure:
        raise
    except Exception as failure:
        where = traceback.extract_tb(failure.__traceback__)[-1]
        raise Failure(
            description=f"{title}失败：{type(failure).__name__}：{masked(str(failure))}",
            metadata={
                "怎么办": MetadataValue.text(remedy),
                "程序位置": MetadataValue.text(f"{where.filename}:{where.lineno} {where.name}"),
            },
            allow_retries=False,
        ) from None


def masked(text: str) -> str:
    """Free text with everything shaped like an identity number or a telephone masked."""
    return str(pl.select(mask_numbers(pl.lit(text))).item())
