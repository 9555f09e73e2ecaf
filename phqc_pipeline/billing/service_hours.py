"""Deadlines counted in service hours: the support hours of working days, and nothing else.

Belongs here: the clock of the service. Does not belong here: which deadlines there are (``due_dates``).
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

from phqc_pipeline.billing.working_days import is_working_day


def add_service_hours(start: datetime, hours: Decimal, opens: time, closes: time) -> datetime:
    """The moment when ``hours`` service hours after ``start`` have passed; times of Asia/Shanghai, without a zone.

    Outside the support hours of a working day no time passes. Raises CalendarUnknownError on a year without a calendar.
    """
    left = timedelta(seconds=float(hours * 3600))
    day = start.date()
    while True:
        if is_working_day(day):
            begins = max(start, datetime.combine(day, opens))
            open_for = datetime.combine(day, closes) - begins
            if timedelta(0) <= open_for and left <= open_for:
                return begins + left
            left -= max(timedelta(0), open_for)
        day += timedelta(days=1)


def service_time_between(start: datetime, end: datetime, opens: time, closes: time) -> timedelta:
    """How much service time lies between two moments; nothing when ``end`` is not after ``start``."""
    total, day = timedelta(0), start.date()
    while day <= end.date():
        if is_working_day(day):
            begins, ends = max(start, datetime.combine(day, opens)), min(end, datetime.combine(day, closes))
            total += max(timedelta(0), ends - begins)
        day += timedelta(days=1)
    return total


def next_service_moment(day: date, closes: time) -> datetime:
    """The end of support hours on ``day``, or on the first working day after it."""
    while not is_working_day(day):
        day += timedelta(days=1)
    return datetime.combine(day, closes)


def last_service_moment(day: date, closes: time) -> datetime:
    """The end of support hours on ``day``, or on the last working day before it."""
    while not is_working_day(day):
        day -= timedelta(days=1)
    return datetime.combine(day, closes)
