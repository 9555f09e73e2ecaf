"""When patients under management are seen: four times a year, and again soon where it is needed.

Belongs here: days of visits as arrays (person, day). Does not belong here: what is found on a visit.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from phqc_pipeline.sample.calendar import (
    Times,
    nearest_working_day,
    working_day_at_or_after,
    working_day_at_or_before,
    year_start,
)
from phqc_pipeline.sample.chance import Bools, Chance, Ints

STEP = 88  # days between quarterly visits


def quarterly(patients: pl.DataFrame, registered: Ints, times: Times, chance: Chance) -> tuple[Ints, Ints]:
    """Four days in each year of the history, 88 days apart give or take two and the next holiday: person and day.

    ``patients`` are rows of ``people``; none is seen before registration, after leaving, or after the snapshot. From
    any day of the year on there are as many visits as are due by then.
    """
    leave = patients["leave_day"].to_numpy()
    found: list[tuple[Ints, Ints]] = []
    count = patients.height
    for year in times.years:
        begin, end = year_start(year), year_start(year + 1) - 1
        fresh = registered >= begin
        soon = np.minimum(registered + chance.integers(count, 0, 50), np.maximum(registered, end - 8))
        base = np.where(fresh, soon, begin + patients["phase"].to_numpy())
        planned = [nearest_working_day(base + STEP * quarter + chance.integers(count, -2, 2)) for quarter in range(4)]
        planned[0] = np.where(fresh, np.maximum(planned[0], registered), planned[0])
        steps = np.diff(np.array(planned), axis=0)
        even = (steps[0] == steps[1]) & (steps[1] == steps[2])  # nobody comes like clockwork (AUT-A-032)
        planned[2] = np.where(even, working_day_at_or_before(planned[2] - 1), planned[2])
        for day in planned:
            kept = (day >= np.maximum(registered, begin)) & (day <= np.minimum(end, times.today)) & (day < leave)
            found.append((patients["person"].to_numpy()[kept], day[kept]))
    return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found])


def soon_after(day: Ints, earliest: int, latest: int, chance: Chance) -> Ints:
    """A working day so many days later, never more than ``latest``."""
    found = working_day_at_or_before(day + chance.integers(len(day), earliest, latest))
    return np.where(found > day, found, working_day_at_or_before(day + latest))


def entered_afterwards(day: Ints, times: Times) -> Ints:
    """When records that tell an hour are entered: on the next working day, at the end of a long holiday at home."""
    return np.minimum(np.minimum(working_day_at_or_after(day + 1), day + 5), times.today)


def first_of_each_day(person: Ints, day: Ints) -> Bools:
    """One visit a person and day: the first as they stand."""
    keys = pl.DataFrame({"person": person, "day": day})
    return keys.select(pl.int_range(pl.len()).over("person", "day") == 0).to_series().to_numpy()
