"""The founding contract's count made exact: archives moved over the end of the basis year.

Belongs here: which archives may be moved, and where to. Does not belong here: what is counted (``report_counts``).
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from phqc_pipeline.sample.calendar import day_number, to_date, working_day_at_or_before
from phqc_pipeline.sample.faults.truth import judged_rows
from phqc_pipeline.sample.faults.work import Work
from phqc_pipeline.sample.report_counts import archives_at, with_person


def settle_count(work: Work, target: int) -> None:
    """Move archives of untouched residents over the end of the basis year until the count is right.

    An archive may be older than supposed for anybody but the elderly (whom an examination would be due the sooner);
    younger only for those without any service.
    """
    end = to_date(work.times.basis_end)
    surplus = archives_at(with_person(judged_rows(work, "resident_profile")), end) - target
    served = {
        person
        for form_id, rows in work.frames.items()
        if form_id != "resident_profile"
        for person in rows["_person"].to_list()
    }
    rows = work.frames["resident_profile"]
    age = work.people["age"].to_list()
    taken = work.touched["resident_profile"]
    able = rows.filter(
        (pl.col("archive_status") == "1")
        & ~pl.col("_row").is_in(sorted(taken))
        & ((pl.col("archive_date") <= end) if surplus > 0 else (pl.col("archive_date") > end))
        & pl.col("updated_at").is_null()
    )
    movable = [
        (number, person)
        for number, person in zip(able["_row"].to_list(), able["_person"].to_list(), strict=True)
        if person not in work.reserved
        and age[person] >= 24
        and (person not in served or (surplus < 0 and age[person] < 64))
    ]
    order = work.chance.order(len(movable))
    if len(movable) < abs(surplus):
        raise ValueError(f"示范数据凑不出 {target} 份电子档案：可调整的档案只有 {len(movable)} 份，相差 {surplus}")
    moved = {}
    for n in order[: abs(surplus)]:
        day = (
            end + timedelta(days=work.chance.whole(20, 250))
            if surplus > 0
            else end - timedelta(days=work.chance.whole(20, 250))
        )
        day = _working(min(day, work.times.snapshot - timedelta(days=15)))
        moved[movable[int(n)][0]] = (day, work.entered(day))
    if not moved:
        return
    numbers = sorted(moved)
    changes = pl.DataFrame(
        {"_row": numbers, "_day": [moved[n][0] for n in numbers], "_at": [moved[n][1] for n in numbers]},
        schema_overrides={"_row": pl.Int64, "_at": pl.Datetime("us")},
    )
    work.frames["resident_profile"] = (
        rows.join(changes, on="_row", how="left", maintain_order="left")
        .with_columns(
            archive_date=pl.coalesce("_day", "archive_date"),
            created_at=pl.coalesce("_at", "created_at"),
            sign_date=pl.when(pl.col("_day").is_not_null()).then(None).otherwise(pl.col("sign_date")),
            sign_team=pl.when(pl.col("_day").is_not_null()).then(None).otherwise(pl.col("sign_team")),
        )
        .drop("_day", "_at")
    )
    work.touched["resident_profile"].update(numbers)


def _working(day: date) -> date:
    return to_date(int(working_day_at_or_before(np.array([day_number(day)]))[0]))
