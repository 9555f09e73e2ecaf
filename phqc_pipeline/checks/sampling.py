"""Drawing a plan's sample: which of the judged records it looks at.

Belongs here: the frame (every record that takes part), its strata, the draw. Does not belong here: what is asked of
the records drawn (``runner``), what a plan says (``catalogue``).

A record's place in the draw is the MD5 of seed, institution, form and record number, so the same seed and the same
records give the same sample on any machine, whatever the order of files or rows; a record added later displaces at most
one other of its stratum.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from phqc_pipeline.catalogue import Catalogue, Form, Sampling
from phqc_pipeline.checks.lake import INSTITUTION, RECORD_KEY, Piece, lake_schema, pack, read_batch
from phqc_pipeline.checks.population import judged, replaced_rows, taking_part
from phqc_pipeline.checks.schemas import service_date_of

if TYPE_CHECKING:
    from phqc_pipeline.extracts import Delivery

SAMPLE_SCHEMA: dict[str, pl.DataType] = {
    "institution_code": pl.String(),
    "form_id": pl.String(),
    "record_key": pl.String(),
    "archive_no": pl.String(),
}
_STRATA = {"institution": "institution_code", "form": "form_id", "doctor": "doctor_name", "month": "month"}
_ROWS_AT_ONCE = 500_000


def draw_sample(
    cat: Catalogue,
    deliveries: Sequence[Delivery],
    sampling: Sampling,
    out: Path,
    *,
    forms: Collection[str] | None = None,
    records_from: date | None = None,
) -> int:
    """Write the records drawn to ``out`` (Parquet, SAMPLE_SCHEMA); returns how many.

    Of each stratum ``size`` records or the share ``fraction`` rounded up, at least ``minimum``, or all there are.
    """
    asked = [form for form_id, form in cat.forms.items() if forms is None or form_id in forms]
    frames = [frame for form in asked for frame in _frame(form, deliveries, records_from)]
    empty = pl.DataFrame(schema={**SAMPLE_SCHEMA, "doctor_name": pl.String(), "month": pl.String()})
    every = pl.concat([empty, *frames])
    strata = ", ".join(_STRATA[name] for name in sampling.strata) or "1"
    share = f"ceil(round({sampling.fraction!r} * of_stratum, 6))" if sampling.fraction is not None else sampling.size
    with duckdb.connect() as connection:
        connection.register("every_record", every.to_arrow())
        drawn = connection.execute(
            f"""
            SELECT institution_code, form_id, record_key, archive_no FROM (
                SELECT *, count(*) OVER (PARTITION BY {strata}) AS of_stratum,
                    row_number() OVER (PARTITION BY {strata} ORDER BY
                        md5(concat_ws('|', ?::VARCHAR, institution_code, form_id, record_key)), record_key) AS place
                FROM every_record
            ) WHERE place <= greatest({share}, {sampling.minimum}) ORDER BY ALL
            """,
            [str(sampling.seed)],
        ).pl()
    drawn.cast(pl.Schema(SAMPLE_SCHEMA)).write_parquet(out)
    return drawn.height


def _frame(form: Form, deliveries: Sequence[Delivery], records_from: date | None) -> Iterator[pl.DataFrame]:
    """The form's records that take part, with what strata are made of."""
    schema = lake_schema(form)
    theirs = [one for one in deliveries if one.form_id == form.form_id]
    codes = pl.Series("institution_code", [one.institution_code for one in theirs], dtype=pl.String)
    pieces: list[Piece] = []
    for position, delivery in enumerate(theirs):
        for file in delivery.files:
            pieces.append(Piece(file.path, file.rows, 0, file.rows, position, sum(piece.rows for piece in pieces)))
    replaced, takes_part, service = (
        replaced_rows(form, pieces, schema),
        judged(form, records_from),
        service_date_of(form),
    )
    told = [name for name in ("archive_no", "doctor_name") if name in schema]
    columns = dict.fromkeys([RECORD_KEY, *told, *takes_part.meta.root_names(), *service.meta.root_names()])
    for batch in pack(pieces, _ROWS_AT_ONCE):
        rows = read_batch(batch, list(columns), schema)
        part = taking_part(rows, replaced, takes_part)
        rows = rows if part is None else rows.filter(part)
        archive, doctor = (
            pl.col(name) if name in told else pl.lit(None, pl.String).alias(name)
            for name in ("archive_no", "doctor_name")
        )
        yield rows.select(
            pl.lit(codes).gather(pl.col(INSTITUTION)).alias("institution_code"),
            pl.lit(form.form_id).alias("form_id"),
            pl.col(RECORD_KEY).alias("record_key"),
            archive,
            doctor,
            service.dt.strftime("%Y-%m").alias("month"),
        )
