"""Telephone and home verification, as the models read it: how many are to be asked, what was answered.

Belongs here: ``rules/verification.yaml`` as a table, the shape of ``registry/verification.csv`` in the warehouse.
Does not belong here: who is to be asked (``dbt_project/models/marts``), the sheet itself (``reports.sampling``).
"""

from __future__ import annotations

import polars as pl

from phqc_pipeline.catalogue.model import RISK_LEVELS, SamplingTerms

#: Without free text and without who did it: what is published of an answer.
ANSWER: dict[str, pl.DataType] = {
    "institution_code": pl.String(),
    "form_id": pl.String(),
    "record_id": pl.String(),
    "archive_no": pl.String(),
    "doctor_name": pl.String(),
    "method": pl.String(),
    "verified_on": pl.Date(),
    "outcome": pl.String(),
    "sbp": pl.Float64(),
    "dbp": pl.Float64(),
    "conclusion": pl.String(),
}
_CONCLUDED = {"相符": "属实", "不相符": "不属实"}


def answered_lines(given: pl.DataFrame | None) -> pl.DataFrame:
    """The lines of the sampling sheet that were answered, in the columns of ``ANSWER``.

    Without a conclusion of its own a line that agrees is true (属实), one that does not is not (不属实), and what
    could not be asked is open (待定).
    """
    if given is None:
        return pl.DataFrame(schema=ANSWER)
    concluded = pl.col("outcome").replace_strict(_CONCLUDED, default="待定", return_dtype=pl.String)
    return (
        given.select(pl.col(name).cast(kind) for name, kind in ANSWER.items())
        .filter(pl.col("outcome").is_not_null() & pl.col("verified_on").is_not_null())
        .with_columns(pl.coalesce("conclusion", concluded).alias("conclusion"))
    )


def sampling_plan(terms: SamplingTerms) -> pl.DataFrame:
    """The terms, one row a stratum of risk.

    Columns: ``seed``, ``size`` (people an institution), ``home_every`` (every how manieth is visited at home),
    ``level`` (高, 中, 低, 无), ``rank`` (riskiest first) and ``share`` of the sample.
    """
    numbers = (terms.seed, terms.size, terms.home_every)
    return pl.DataFrame(
        [(*numbers, level, rank, terms.shares[level]) for rank, level in enumerate(RISK_LEVELS)],
        schema={
            **dict.fromkeys(("seed", "size", "home_every"), pl.Int64),
            "level": pl.String,
            "rank": pl.Int64,
            "share": pl.Float64,
        },
        orient="row",
    )
