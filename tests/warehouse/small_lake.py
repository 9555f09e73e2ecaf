"""A small lake written by hand: a few records a form, as the extracts would leave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Catalogue, Form
from phqc_pipeline.extracts import Delivery, LakeFile
from phqc_pipeline.extracts.reports import REPORT_SCHEMA
from phqc_pipeline.extracts.rows import lake_schema
from phqc_pipeline.home import Home


def deliver(
    home: Home,
    cat: Catalogue,
    form_id: str,
    institution: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    day: date,
    missing: Sequence[str] = (),
    part: str = "",
) -> Delivery:
    """The rows as one lake file. Dates may be written as text; ``<field>__raw`` may be given for irregular cells."""
    form = cat.forms[form_id]
    frame = lake_frame(form, institution, rows)
    file_id = f"{form_id}-{institution}-{day}{part}"
    path = home.lake / form_id / day.isoformat() / institution / f"{file_id}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)
    return Delivery(
        institution,
        form_id,
        day,
        (LakeFile(file_id, path, frame.height),),
        frozenset(missing),
        f"{file_id} {frame.height}",
    )


def deliver_report(
    home: Home,
    institution: str,
    cells: Sequence[tuple[int, str, str, float | None]],
    *,
    day: date,
    report_id: str = "r_archive",
) -> Delivery:
    """A report's cells (year, period, item, value) as one lake file."""
    frame = pl.DataFrame(
        [
            {
                "institution_code": institution,
                "year": year,
                "period": period,
                "item": item,
                "value": value,
                "raw": None if value is None else f"{value:g}",
                "row_number": 2,
                "column_name": item,
                "column_number": 5,
            }
            for year, period, item, value in cells
        ],
        schema=REPORT_SCHEMA,
    )
    file_id = f"{report_id}-{institution}-{day}"
    path = home.lake / report_id / day.isoformat() / institution / f"{file_id}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)
    return Delivery(institution, report_id, day, (LakeFile(file_id, path, frame.height),), frozenset(), file_id)


def lake_frame(form: Form, institution: str, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    columns = lake_schema(form)
    full = []
    for number, row in enumerate(rows, start=2):
        known = {
            "_row_number": number,
            "_record_key": row.get("record_id") or f"#{number}",
            "_institution_code": institution,
            "station_code": institution,
            "institution_code": institution,
            "record_status": "1",
            "archive_status": "1",
        }
        cells = {name: _value(form, name, value) for name, value in {**known, **row}.items()}
        unknown = set(cells) - set(columns)
        assert not unknown, f"{form.form_id} has no {unknown}"
        full.append({**dict.fromkeys(columns), **cells})
    return pl.DataFrame(full, schema=columns)


def _value(form: Form, name: str, value: Any) -> Any:
    if isinstance(value, str) and form.has(name):
        kind = form.field(name).kind
        if kind in ("date", "ym"):
            return date.fromisoformat(value)
        if kind == "dt":
            return datetime.fromisoformat(value)
    if isinstance(value, int) and form.has(name) and form.field(name).is_numeric:
        return float(value)
    return value
