"""Chinese working days: weekends, public holidays and the working days that make up for them."""

from __future__ import annotations

from datetime import date, timedelta

import chinese_calendar


class CalendarUnknownError(LookupError):
    """The State Council's holiday arrangement for that year is not known to this installation."""

    def __init__(self, day: date) -> None:
        super().__init__(f"没有 {day.year} 年的节假日安排，无法推算工作日；升级 chinesecalendar 后再运行")
        self.day = day


def is_working_day(day: date) -> bool:
    """Whether ``day`` is worked, make-up days included. Raises CalendarUnknownError for a year without a calendar."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        raise CalendarUnknownError(day) from None


def add_working_days(start: date, days: int) -> date:
    """The ``days``-th working day after ``start`` (``start`` itself does not count).

    Raises CalendarUnknownError when the way there crosses a year without a calendar.
    """
    day, remaining = start, days
    while remaining > 0:
        day += timedelta(days=1)
        if is_working_day(day):
            remaining -= 1
    return day
