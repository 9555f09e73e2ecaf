"""What residents have and do: chronic diseases with their registration, body, blood pressure, habits, drugs.

Belongs here: traits of a person that stay the same or drift slowly over the years, so that every record of one person
hangs together. Does not belong here: single measurements (``visits``, ``exams``).

Prevalence by age is set to what a health centre manages in practice, not to a survey; all figures are plausible, none
is a statistic.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from phqc_pipeline.sample.calendar import Times, nearest_working_day, whole_years, working_day_at_or_before
from phqc_pipeline.sample.chance import Bools, Chance, Ints
from phqc_pipeline.sample.places import Institution

NEVER = 10**6  # a day number beyond every date

# Name in the visit record, dose, unit (CL_DRUG_UNIT), times a day, how the examination record words the dose.
HTN_DRUGS: tuple[tuple[str, float, str, int, str], ...] = (
    ("硝苯地平控释片", 30, "1", 1, "30mg"),
    ("苯磺酸氨氯地平片", 5, "1", 1, "5mg"),
    ("缬沙坦胶囊", 80, "1", 1, "80mg"),
    ("厄贝沙坦片", 150, "1", 1, "150mg"),
    ("马来酸依那普利片", 10, "1", 2, "10mg"),
    ("卡托普利片", 25, "1", 2, "25mg"),
    ("酒石酸美托洛尔片", 25, "1", 2, "25mg"),
    ("尼群地平片", 10, "1", 2, "10mg"),
    ("氯沙坦钾片", 50, "1", 1, "50mg"),
    ("复方利血平氨苯蝶啶片", 1, "3", 1, "1片"),
)
HTN_SECOND_DRUGS: tuple[tuple[str, float, str, int, str], ...] = (
    ("氢氯噻嗪片", 12.5, "1", 1, "12.5mg"),
    ("吲达帕胺片", 2.5, "1", 1, "2.5mg"),
    ("富马酸比索洛尔片", 5, "1", 1, "5mg"),
)
DM_DRUGS: tuple[tuple[str, float, str, int, str], ...] = (
    ("二甲双胍片", 500, "1", 2, "0.5g"),
    ("格列美脲片", 2, "1", 1, "2mg"),
    ("格列齐特缓释片", 30, "1", 1, "30mg"),
    ("阿卡波糖片", 50, "1", 3, "50mg"),
    ("达格列净片", 10, "1", 1, "10mg"),
)

# Other diseases under management: code, share of those of age, least age, share of those registered lately.
_OTHER_DISEASES: tuple[tuple[str, float, int, float], ...] = (
    ("COPD", 0.012, 45, 0.09),
    ("SMI", 0.0055, 20, 0.2),
    ("TB", 0.009, 18, 0.3),  # of all years since 2009
)
_FEW = 2  # patients of each that even the smallest sample has
_TREATMENT, _RETREATMENT = 195, 255  # days from registration until treatment of tuberculosis is over, and some


def describe(people: pl.DataFrame, institution: Institution, times: Times, seed: int) -> pl.DataFrame:
    """``people`` with the traits added: ``htn``, ``dm`` and their days, body, habits, drugs (one row a resident)."""
    chance = institution.chance(seed, "conditions")
    size = people.height
    birth = people["birth"].to_numpy()
    female = people["female"].to_numpy()
    age = whole_years(birth, np.full(size, times.today))
    traits: dict[str, np.ndarray] = {"age": age}
    traits |= _habits(age, female, people["ethnic"].to_numpy(), chance)
    traits |= _body(age, female, chance)
    traits |= _diseases(people, age, times, institution.burden, chance)
    traits |= _other_diseases(people, age, times, institution.burden, chance)
    traits |= _dependence(age, birth, chance)
    return people.with_columns(*(pl.Series(name, values) for name, values in traits.items()))


def registry_of(people: pl.DataFrame) -> pl.DataFrame:
    """One row a person and disease: person, disease, diagnosis_day, register_day, end_day (NEVER while managed)."""
    kinds = (("HTN", "htn"), ("T2DM", "dm"), ("COPD", "copd"), ("SMI", "smi"), ("TB", "tb"))
    found = [
        people.filter(pl.col(flag)).select(
            "person",
            pl.lit(disease).alias("disease"),
            pl.col(f"{flag}_diagnosis").alias("diagnosis_day"),
            pl.col(f"{flag}_register").alias("register_day"),
            pl.col("tb_end" if flag == "tb" else "leave_day").alias("end_day"),
        )
        for disease, flag in kinds
    ]
    return pl.concat(found)


def _habits(age: Ints, female: Bools, ethnic: np.ndarray, chance: Chance) -> dict[str, np.ndarray]:
    """Smoking (CL_SMOKE), drinking (CL_DRINK_FREQ), exercise, salt; fixed for a person."""
    size = len(age)
    adult = age >= 18
    smokes = adult & chance.flags(size, np.where(female, 0.02, 0.42))
    start = chance.integers(size, 16, 24)
    quit_ = smokes & chance.flags(size, np.where(age > 50, 0.3, 0.08)) & (age >= start + 12)
    drinks = adult & chance.flags(size, np.where(female, 0.04, np.where(ethnic == "03", 0.08, 0.36)))
    often = chance.indexes(size, [0.68, 0.26, 0.06])
    return {
        "smoke": np.where(quit_, "2", np.where(smokes, "3", "1")),
        "cigarettes": np.where(
            smokes & ~quit_, chance.pick(size, [3, 5, 8, 10, 12, 15, 20], [1, 2, 2, 4, 1, 2, 3]).astype(np.int64), 0
        ),
        "smoke_start": start,
        "smoke_quit": np.maximum(start + 3, np.minimum(chance.integers(size, 35, 62), np.maximum(age - 4, start + 3))),
        "drink": np.where(drinks, np.array(["2", "3", "4"])[often], "1"),
        "liquor": np.where(drinks, np.array([1.0, 1.5, 2.0])[often] + chance.integers(size, 0, 3) * 0.5, 0.0),
        "drink_start": chance.integers(size, 18, 28),
        "exercise": np.array(["1", "2", "3", "4"])[chance.indexes(size, [0.34, 0.28, 0.2, 0.18])],
        "exercise_minutes": chance.integers(size, 2, 8) * 10,
        "exercise_years": chance.integers(size, 1, 12).astype(np.float64),
        "salt": np.array(["1", "2", "3"])[chance.indexes(size, [0.38, 0.5, 0.12])],
    }


def _body(age: Ints, female: Bools, chance: Chance) -> dict[str, np.ndarray]:
    """Height, weight and its drift, waist, resting pressure and heart rate, fasting glucose of an adult."""
    size = len(age)
    height = np.round(chance.normal(size, np.where(female, 157.5, 169.5) - np.maximum(age - 60, 0) * 0.08, 5.2), 1)
    body_mass = np.clip(chance.normal(size, 25.0, 3.1), 18.4, 35.5)
    weight = body_mass * (height / 100) ** 2
    return {
        "height": np.clip(height, 140.0, 190.0),
        "weight": np.clip(weight, 42.0, 118.0),
        "weight_drift": chance.normal(size, 0.0, 0.5),  # kg a year
        "waist": np.clip(chance.normal(size, np.where(female, 80, 85) + (body_mass - 25) * 2.1, 3.5), 60, 118),
        "sbp": np.clip(chance.normal(size, 119 + np.clip(age - 45, 0, 40) * 0.2, 6), 104, 133),
        "dbp": np.clip(chance.normal(size, 76, 4), 66, 84),
        "pulse": np.clip(chance.normal(size, 74, 6), 60, 92),
        "glucose": np.clip(chance.normal(size, 5.2, 0.4), 4.3, 6.4),
        "vision": np.round(np.clip(chance.normal(size, np.where(age >= 60, 4.6, 4.9), 0.16), 4.1, 5.1), 1),
        "uncontrolled": np.array([0.04, 0.16, 0.4])[chance.indexes(size, [0.62, 0.28, 0.1])],
        "phase": chance.integers(size, 10, 80),  # day of the year of the first quarterly visit
        "htn_drug": chance.indexes(size, [1.0] * len(HTN_DRUGS)),
        "htn_second": np.where(chance.flags(size, 0.16), chance.indexes(size, [1.0] * len(HTN_SECOND_DRUGS)), -1),
        "dm_drug": chance.indexes(size, [4.0, 1.5, 1.0, 1.0, 0.6]),
        "insulin": chance.flags(size, 0.13),
        "takes_drugs": chance.flags(size, 0.955),
        "labile_rhythm": (age >= 60) & chance.flags(size, 0.02),
    }


def _diseases(people: pl.DataFrame, age: Ints, times: Times, burden: float, chance: Chance) -> dict[str, np.ndarray]:
    """Hypertension and type 2 diabetes under management, when diagnosed, registered, and when care here ended."""
    size = len(age)
    birth, archive = people["birth"].to_numpy(), people["archive_day"].to_numpy()
    status, status_day = people["status"].to_numpy(), people["status_day"].to_numpy()
    stays = np.isin(status, ["1", "2", "3", "4"])
    bands = [age < 30, age < 35, age < 45, age < 55, age < 65, age < 75]
    htn = stays & chance.flags(
        size, np.minimum(np.select(bands, [0, 0.008, 0.045, 0.125, 0.23, 0.34], 0.4) * burden, 0.62)
    )
    share = np.select(bands, [0, 0, 0.008, 0.03, 0.06, 0.1], 0.1)
    dm = stays & (age >= 39) & chance.flags(size, np.minimum(np.where(htn, share * 1.9, share * 0.8) * burden, 0.6))
    leave = np.where(status == "1", NEVER, status_day)
    found: dict[str, np.ndarray] = {}
    for name, has, least_age in (("htn", htn, 30), ("dm", dm, 36)):
        diagnosed, registered = _registration(birth, archive, leave, least_age, times, chance)
        found[name] = has & (registered + 75 <= np.minimum(leave, times.today - 40))
        found[f"{name}_diagnosis"], found[f"{name}_register"] = diagnosed, registered
    # Who has both is registered for both on one day, so that the first visit is soon for either.
    both = found["htn"] & found["dm"]
    earlier = np.minimum(found["htn_diagnosis"], found["dm_diagnosis"])
    found["htn_diagnosis"] = np.where(both, earlier, found["htn_diagnosis"])
    found["htn_register"] = np.where(both, found["dm_register"], found["htn_register"])
    found["leave_day"] = leave
    return found


def _registration(
    birth: Ints, archive: Ints, leave: Ints, least_age: int, times: Times, chance: Chance, lately: float = 0.09
) -> tuple[Ints, Ints]:
    """Diagnosis at an age past ``least_age``, at least 31 days before registration; most before the history begins."""
    size = len(birth)
    earliest = np.maximum(archive + 3, birth + int((least_age + 0.5) * 365.25) + 40)
    recent = chance.flags(size, lately)
    latest = np.minimum(np.where(recent, times.today - 45, times.history_start - 20), leave - 80)
    start = np.where(recent, np.maximum(earliest, times.history_start), earliest)
    late = np.maximum(start, np.minimum(start + 700, times.today - 50))
    span = np.where(latest > start, latest - start, np.maximum(late - start, 1))
    registered = nearest_working_day(start + 6 + np.floor(chance.uniform(size) * span).astype(np.int64))
    oldest = birth + int((least_age + 0.3) * 365.25)
    gap = 31 + np.floor(chance.uniform(size) ** 2 * 2500).astype(np.int64)
    return np.maximum(registered - gap, np.minimum(oldest, registered - 31)), registered


def _other_diseases(
    people: pl.DataFrame, age: Ints, times: Times, burden: float, chance: Chance
) -> dict[str, np.ndarray]:
    """COPD, severe mental disorder, tuberculosis (registered within days, closed after treatment)."""
    size = len(age)
    birth, archive, status = people["birth"].to_numpy(), people["archive_day"].to_numpy(), people["status"].to_numpy()
    leave = np.where(status == "1", NEVER, people["status_day"].to_numpy())
    found: dict[str, np.ndarray] = {}
    for disease, share, least_age, lately in _OTHER_DISEASES:
        name = disease.lower()
        diagnosed, registered = _registration(birth, archive, leave, least_age, times, chance, lately)
        able = np.isin(status, ["1", "2", "3", "4"]) & (age >= least_age + 4)
        able &= registered + 75 <= np.minimum(leave, times.today - 40)
        found[name] = _some(able, share * burden, chance)
        found[f"{name}_diagnosis"], found[f"{name}_register"] = diagnosed, registered
    # A mental disorder is put on record within three months of its diagnosis (SMI-T-005).
    found["smi_diagnosis"] = np.maximum(found["smi_diagnosis"], found["smi_register"] - chance.integers(size, 31, 88))
    found["tb_diagnosis"] = found["tb_register"] - chance.integers(size, 2, 8)
    found["tb_again"] = chance.flags(size, 0.12)
    days = np.where(found["tb_again"], _RETREATMENT, _TREATMENT) + chance.integers(size, 0, 12)
    done = working_day_at_or_before(found["tb_register"] + days)
    found["tb_end"] = np.where(done <= np.minimum(leave - 1, times.today - 5), done, leave)
    return found


def _some(able: Bools, share: float, chance: Chance) -> Bools:
    """A share of those who can have it, in a small place a few all the same."""
    drawn = np.where(able, chance.uniform(len(able)), 2.0)
    count = min(max(round(float(able.sum()) * share), _FEW), int(able.sum()))
    chosen = np.zeros(len(able), dtype=bool)
    chosen[np.argsort(drawn, kind="stable")[:count]] = True
    return chosen


def _dependence(age: Ints, birth: Ints, chance: Chance) -> dict[str, np.ndarray]:
    """Level of self-care (CL_ADL_GRADE 1 … 4) and the five scores; nobody near ninety is fully independent."""
    size = len(age)
    weights = [[0.95, 0.04, 0.008, 0.002], [0.85, 0.11, 0.03, 0.01], [0.6, 0.25, 0.1, 0.05]]
    level = np.zeros(size, dtype=np.int64)
    for number, (low, high) in enumerate(((0, 75), (75, 85), (85, 200))):
        here = (age >= low) & (age < high)
        level[here] = chance.indexes(int(here.sum()), weights[number])
    washing = np.select([level == 0, level == 1, level == 2], [0, 3, 3], 7)
    washing = np.where((level == 0) & (age >= 88), 1, washing)
    return {
        "adl": level + 1,
        "eat": np.select([level <= 1, level == 2], [0, 3], 5),
        "wash": washing,
        "dress": np.select([level <= 1, level == 2], [0, 3], 5),
        "toilet": np.select([level == 0, level == 1, level == 2], [0, 1, 1], 5),
        "move": np.select([level == 0, level == 1, level == 2], [0, 1, 5], 10),
    }
