"""Honest and fabricating doctors: a year's visits of either kind, made from a seed.

Used by the test of the authenticity rules and by benchmarks/authenticity.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import chinese_calendar
import numpy as np

YEAR = 2024
_WORKING = [
    day
    for day in (date(YEAR, 1, 1) + timedelta(days=n) for n in range(360))
    if chinese_calendar.is_workday(day) and (day + timedelta(days=1)).day != 1
]
#: How a fabricating doctor writes readings.
HABITS = ("rounds to ten", "favours 2, 6 and 8", "half and whole glucose", "copies")


def honest_visits(doctor: str, count: int, random: np.random.Generator, first: int = 0) -> Iterator[dict[str, Any]]:
    """Visits whose readings are measured: last digits as they fall, days spread over the year."""
    for n in range(count):
        day = _WORKING[int(random.integers(len(_WORKING)))]
        controlled = random.random() < 0.7
        yield {
            **_visit(doctor, first + n, day),
            "created_at": datetime.combine(day, datetime.min.time())
            + timedelta(hours=10, minutes=int(random.integers(480)), seconds=int(random.integers(60))),
            "sbp": round(random.normal(134, 14)),
            "dbp": round(random.normal(82, 9)),
            "heart_rate": round(random.normal(74, 8)),
            "weight_kg": round(float(random.normal(66, 11)), 1),
            "fbg": round(float(np.clip(random.normal(7.2, 1.6), 3.5, 20)), 1),
            "symptom_codes": ["1"] if random.random() < 0.7 else ["3"],
            "class_code": "1" if controlled else "2",
            "salt_code": str(int(random.integers(1, 4))),
            "psych_code": str(int(random.integers(1, 3))),
        }


def fabricated_visits(
    doctor: str, count: int, random: np.random.Generator, habit: str, first: int = 0
) -> Iterator[dict[str, Any]]:
    """The same, with readings made up by one of ``HABITS``."""
    for n, visit in enumerate(honest_visits(doctor, count, random, first)):
        if habit == "rounds to ten":
            visit["sbp"] = round(visit["sbp"] / 10) * 10 if random.random() < 0.75 else visit["sbp"]
        elif habit == "favours 2, 6 and 8":
            visit["sbp"] = (
                visit["sbp"] // 10 * 10 + int(random.choice([2, 6, 8])) if random.random() < 0.8 else visit["sbp"]
            )
        elif habit == "half and whole glucose":
            visit["fbg"] = round(visit["fbg"] * 2) / 2 if random.random() < 0.8 else visit["fbg"]
            visit["fbg"] = float(round(visit["fbg"])) if random.random() < 0.6 else visit["fbg"]
        elif n % 3 == 0:
            visit |= {"sbp": 128, "dbp": 78, "heart_rate": 72, "weight_kg": 65.0, "fbg": 6.2, "salt_code": "1"}
            visit |= {"symptom_codes": ["1"], "class_code": "1", "psych_code": "1"}
        yield visit


def one_batch(doctor: str, count: int, first: int = 0) -> Iterator[dict[str, Any]]:
    """A batch made up in one go: one content, one point, one Sunday at a month's end, entered by roster in the last
    week of the year."""
    day = date(YEAR, 3, 31)
    entered = datetime.combine(date(YEAR, 12, 30), datetime.min.time()) + timedelta(hours=10)
    for n in range(count):
        yield {
            **_visit(doctor, first + n, day),
            "created_at": entered + timedelta(minutes=3 * n),
            "sbp": 120,
            "dbp": 80,
            "heart_rate": 72,
            "weight_kg": 60.0,
            "fbg": 6.0,
            "symptom_codes": ["1"],
            "class_code": "1",
            "salt_code": "1",
            "psych_code": "1",
            "service_lng": 88.123456,
            "service_lat": 47.851234,
        }


def _visit(doctor: str, number: int, day: date) -> dict[str, Any]:
    return {
        "record_id": f"{doctor}{number:06d}",
        "archive_no": f"654301001001{number:05d}",
        "doctor_name": doctor,
        "visit_date": day,
        "visit_mode_code": "2",
        "birth_date": date(1930, 1, 1),
    }
