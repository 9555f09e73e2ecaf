"""The public calendar as a table for the models: which days are rest days, make-up days counted as work.

Belongs here: reading the State Council's arrangements as chinesecalendar knows them. Does not belong here: what a visit
on such a day means (``dbt_project/models/cross/calendar_effect.sql``).
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import chinese_calendar
import polars as pl

_SUNDAY = 6


@lru_cache(maxsize=8)
def rest_days(first: date, last: date) -> pl.DataFrame:
    """``day``, ``is_rest`` (a statutory holiday, or a Sunday that no make-up day turns into a working day) and
    ``is_working`` of every day from ``first`` to ``last`` whose arrangement this installation knows; others are left
    out: a visit on them is not judged."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    rows = [row for day in days if (row := _row(day)) is not None]
    return pl.DataFrame(rows, schema={"day": pl.Date, "is_rest": pl.Boolean, "is_working": pl.Boolean}, orient="row")


def _row(day: date) -> tuple[date, bool, bool] | None:
    try:
        works = bool(chinese_calendar.is_workday(day))
        _, holiday = chinese_calendar.get_holiday_detail(day)
    except NotImplementedError:
        return None
    return day, not works and (holiday is not None or day.weekday() == _SUNDAY), works
