"""The days of the sample: dates as whole numbers, the days people work, the year of the service order.

Belongs here: date arithmetic on arrays, working days, the dates of the founding order shifted so that it is in service.
Does not belong here: when anything is scheduled (``visits``, ``exams``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import chinese_calendar
import numpy as np
from numpy.typing import NDArray

from phqc_pipeline.sample.chance import Ints
from phqc_pipeline.sample.refused import SampleRefusedError

_EPOCH = date(1970, 1, 1).toordinal()
EARLIEST_SNAPSHOT = date(2012, 1, 1)  # archives began in 2009; before 2012 there is no history to show
_FIRST_HISTORY_DAY = date(2009, 1, 1)  # start of the national programme; an archive dated earlier breaks RES-F-004


@dataclass(frozen=True)
class Times:
    """The dates a sample hangs on. ``basis_year`` is the year whose archive report the order charges."""

    snapshot: date
    basis_year: int
    signed_on: date
    paid_on: date
    service_from: date
    service_to: date

    @property
    def today(self) -> int:
        return day_number(self.snapshot)

    @property
    def period_start(self) -> int:
        """First day of the natural year judged."""
        return day_number(date(self.snapshot.year, 1, 1))

    @property
    def basis_end(self) -> int:
        return day_number(date(self.basis_year, 12, 31))

    @property
    def history_start(self) -> int:
        """First day with service records: the basis year, and at least the whole year before the period."""
        return day_number(date(min(self.basis_year, self.snapshot.year - 1), 1, 1))

    @property
    def archives_start(self) -> int:
        return day_number(_FIRST_HISTORY_DAY) + 60

    @property
    def years(self) -> list[int]:
        """The years with service records, the period's last."""
        return list(range(min(self.basis_year, self.snapshot.year - 1), self.snapshot.year + 1))


def times_for(snapshot: date) -> Times:
    """The founding order's dates (service-contract.md), moved by whole years until it is in service on ``snapshot``.

    Raises ValueError before 2012: there is no history to make then.
    """
    if snapshot < EARLIEST_SNAPSHOT:
        raise SampleRefusedError(f"示范数据的快照日期不能早于 {EARLIEST_SNAPSHOT}，给出的是 {snapshot}；请换一个日期")
    started = date(snapshot.year, 11, 1)
    year = snapshot.year if snapshot >= started else snapshot.year - 1
    return Times(
        snapshot=snapshot,
        basis_year=year - 1,
        signed_on=date(year, 10, 25),
        paid_on=date(year, 10, 30),
        service_from=date(year, 11, 1),
        service_to=date(year + 1, 11, 1),
    )


def day_number(day: date) -> int:
    """Days since 1970-01-01, as Polars and numpy count them."""
    return day.toordinal() - _EPOCH


def to_date(number: int) -> date:
    return date.fromordinal(int(number) + _EPOCH)


def parts(days: Ints) -> tuple[Ints, Ints, Ints]:
    """Year, month and day of day numbers."""
    stamps = days.astype("datetime64[D]")
    years = stamps.astype("datetime64[Y]").astype(np.int64) + 1970
    months = stamps.astype("datetime64[M]").astype(np.int64) % 12 + 1
    first = stamps.astype("datetime64[M]").astype("datetime64[D]")
    return years, months, (stamps - first).astype(np.int64) + 1


def whole_years(birth: Ints, on: Ints) -> Ints:
    """周岁 on a day; 29 February turns on 1 March in common years (0a.15). Negative before birth."""
    by, bm, bd = parts(birth)
    y, m, d = parts(np.broadcast_to(np.asarray(on, dtype=np.int64), birth.shape))
    return y - by - ((m * 100 + d) < (bm * 100 + bd)).astype(np.int64)


def months_after(days: Ints, months: int) -> Ints:
    """The day on which ``months`` whole months have passed: the day of that number, or the first of the next month."""
    stamps = days.astype("datetime64[D]")
    month = stamps.astype("datetime64[M]")
    first = (month + months).astype("datetime64[D]")
    following = (month + (months + 1)).astype("datetime64[D]").astype(np.int64)
    within = (stamps - month.astype("datetime64[D]")).astype(np.int64)
    return np.minimum(first.astype(np.int64) + within, following)


def whole_months(birth: Ints, on: Ints) -> Ints:
    """满月龄 on a day: whole months since birth, a month being over on the day ``months_after`` tells."""
    by, bm, bd = parts(birth)
    y, m, d = parts(on)
    return (y - by) * 12 + (m - bm) - (d < bd).astype(np.int64)


def year_start(year: int) -> int:
    return day_number(date(year, 1, 1))


def working_day_at_or_after(days: Ints) -> Ints:
    """The nearest working day not before each day."""
    work = _working_days()
    return work[np.minimum(np.searchsorted(work, days, side="left"), len(work) - 1)]


def working_day_at_or_before(days: Ints) -> Ints:
    """The nearest working day not after each day."""
    work = _working_days()
    return work[np.maximum(np.searchsorted(work, days, side="right") - 1, 0)]


def nearest_working_day(days: Ints) -> Ints:
    """The working day nearest to each day (the earlier of two)."""
    work = _working_days()
    after = np.minimum(np.searchsorted(work, days, side="left"), len(work) - 1)
    before = np.maximum(np.searchsorted(work, days, side="right") - 1, 0)
    earlier, later = work[before], work[after]
    return np.where(days - earlier <= later - days, earlier, later)


def sunday_off(day: date) -> bool:
    """Whether a day is a Sunday on which nobody makes up for a holiday, as far as chinesecalendar knows."""
    known = 2004 <= day.year < max(chinese_calendar.holidays).year
    return day.weekday() == 6 and not (known and chinese_calendar.is_workday(day))


@lru_cache(maxsize=1)
def _working_days() -> NDArray[np.int64]:
    """Working days from 2008 to 2060; beyond what chinesecalendar knows: Monday to Friday but for fixed holidays."""
    known = max(chinese_calendar.holidays).year - 1
    day, found = date(2008, 1, 1), []
    while day.year < 2060:
        if 2004 <= day.year <= known:
            works = chinese_calendar.is_workday(day) and day.weekday() < 5
        else:
            fixed = (day.month, day.day) in {(1, 1), (5, 1), (5, 2), (5, 3)} or (day.month == 10 and day.day <= 7)
            works = day.weekday() < 5 and not fixed
        if works:
            found.append(day_number(day))
        day += timedelta(days=1)
    return np.asarray(found, dtype=np.int64)
