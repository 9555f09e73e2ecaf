"""Body measures of children as they grow: a standard deviation score turned into kilograms and centimetres.

Belongs here: the catalogue's growth figures read backwards, from score to measure. Does not belong here: whose score.
"""

from __future__ import annotations

import numpy as np

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.catalogue.model import GrowthTable
from phqc_pipeline.sample.calendar import whole_months
from phqc_pipeline.sample.chance import Bools, Floats, Ints

WEIGHT, LENGTH, HEAD = "weight_kg", "length_height_cm", "head_cm"


class Growth:
    """The figures of a catalogue. KeyError for a measure it has none of."""

    def __init__(self, cat: Catalogue) -> None:
        self._tables: dict[str, tuple[GrowthTable, Floats]] = {
            measure: (table, np.array(table.lms, dtype=np.float64)) for measure, table in cat.growth.items()
        }

    def measure(self, name: str, female: Bools, birth: Ints, day: Ints, score: Floats) -> Floats:
        """What a child of a score measures on a day, in kg or cm: M·(1 + L·S·z)^(1/L), ages beyond the tables' last."""
        table, lms = self._tables[name]
        days = day - birth - table.first_day
        months = np.clip(whole_months(birth, day) - table.first_month, 0, max(table.months - 1, 0))
        by_day = (days < table.days) | (table.months == 0)
        place = np.where(by_day, np.clip(days, 0, table.days - 1), table.days + months)
        sex = np.where(female, table.sexes.index("2"), table.sexes.index("1"))
        power, median, spread = lms[sex * table.ages + place].T
        flat = np.abs(power) < 1e-9
        base = np.where(flat, 1.0, 1 + power * spread * score)
        return np.where(flat, median * np.exp(spread * score), median * base ** (1 / np.where(flat, 1.0, power)))
