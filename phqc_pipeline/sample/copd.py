"""慢性阻塞性肺疾病患者随访服务记录表: patients on the register, seen four times a year, their lungs tested once.

Belongs here: the form's records. Does not belong here: who is ill (``conditions``).

The service came with the specification of 2024-09; institutions that tried it before have records from 2023 on.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.sample.calendar import Times, day_number
from phqc_pipeline.sample.chance import Chance, Ints
from phqc_pipeline.sample.places import Institution
from phqc_pipeline.sample.profile import centre_doctors, doctor_of
from phqc_pipeline.sample.rows import (
    choose,
    codes,
    days,
    entered_days,
    envelope,
    frame,
    optional_days,
    where,
    whereabouts,
)
from phqc_pipeline.sample.schedule import first_of_each_day, quarterly, soon_after
from phqc_pipeline.sample.visits import weights_on

_SINCE = day_number(date(2023, 1, 1))
STABLE, WORSE, REACTION, COMPLICATION = "1", "2", "3", "4"  # CL_FU_CLASS_COPD
# Name, dose, unit (CL_DRUG_UNIT), times a day.
_INHALED: tuple[tuple[str, float, str, int], ...] = (
    ("噻托溴铵粉吸入剂", 1, "5", 1),
    ("布地奈德福莫特罗粉吸入剂", 1, "10", 2),
    ("沙美特罗替卡松粉吸入剂", 1, "10", 2),
    ("噻托溴铵吸入喷雾剂", 2, "10", 1),
)
_TABLETS: tuple[tuple[str, float, str, int], ...] = (
    ("茶碱缓释片", 100, "1", 2),
    ("盐酸氨溴索片", 30, "1", 3),
    ("羧甲司坦片", 500, "1", 3),
    ("多索茶碱片", 200, "1", 2),
)
_THIRD: tuple[tuple[str, float, str, int], ...] = (("孟鲁司特钠片", 10, "1", 1), ("乙酰半胱氨酸泡腾片", 600, "1", 2))
_ORGS = ("阿勒泰地区人民医院呼吸与危重症医学科", "阿勒泰市人民医院内科")


def copd_visits(
    people: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, seed: int
) -> dict[str, pl.DataFrame]:
    """One record a visit."""
    chance = institution.chance(seed, "copd")
    person, day, klass = _schedule(people, times, chance)
    size = len(person)
    mine = people[person]
    at_home = chance.flags(size, np.where(mine["age"].to_numpy() >= 75, 0.7, 0.4)) | (mine["adl"].to_numpy() == 4)
    centre = centre_doctors(institution)
    at_centre = person % 2 == 0  # every other patient is the health centre's
    doctor = np.where(at_centre, centre[3 % len(centre)], doctor_of(mine, institution))
    columns = envelope(people, person, doctor, ~at_centre, institution)
    columns |= _state(mine, klass, chance)
    columns |= _measured(people, person, day, klass, times, chance)
    columns |= _lungs(person, day, chance)
    columns |= _habits(mine, person, chance)
    columns |= _treatment(person, klass, chance)
    steady = klass == STABLE
    following = np.where(steady, soon_after(day, 80, 91, chance), soon_after(day, 11, 14, chance))
    columns |= {
        "visit_date": days(day),
        "visit_mode_code": np.where(at_home, "2", "1"),
        "next_visit_date": days(following),
        "visit_doctor": columns["doctor_name"],
        **whereabouts(at_home & chance.flags(size, 0.6), mine["village"].to_numpy(), institution, chance),
        "evidence_photo_count": where(chance.flags(size, 0.7), chance.integers(size, 1, 4).astype(np.float64)),
        "_entered_day": entered_days(day, times.today, chance),
    }
    return {"copd_followup": frame(cat.forms["copd_followup"], columns, size)}


def _schedule(people: pl.DataFrame, times: Times, chance: Chance) -> tuple[Ints, Ints, np.ndarray]:
    """Person, day and class of each visit; who is not stable is seen again within two weeks, and is better then."""
    patients = people.filter(pl.col("copd"))
    person, day = quarterly(patients, patients["copd_register"].to_numpy(), times, chance)
    kept = day >= _SINCE
    person, day = person[kept], day[kept]
    kinds = np.array([STABLE, WORSE, REACTION, COMPLICATION])
    klass = kinds[chance.indexes(len(day), [0.78, 0.14, 0.05, 0.03])]
    again = soon_after(day, 9, 14, chance)
    due = (klass != STABLE) & (again <= times.today) & (again < people["leave_day"].to_numpy()[person])
    person, day = np.concatenate([person, person[due]]), np.concatenate([day, again[due]])
    klass = np.concatenate([klass, np.full(int(due.sum()), STABLE)])
    once = first_of_each_day(person, day)
    person, day, klass = person[once], day[once], klass[once]
    order = np.lexsort((day, person))
    return person[order], day[order], klass[order]


def _grade(person: Ints) -> Ints:
    """How narrow a patient's airways are (0 … 3, mild to very severe): the same on every visit."""
    lot = person * 7919 % 100
    return np.select([lot < 22, lot < 68, lot < 92], [0, 1, 2], 3)


def _state(mine: pl.DataFrame, klass: np.ndarray, chance: Chance) -> dict[str, Any]:
    size = len(klass)
    grade = _grade(mine["person"].to_numpy())
    worse = klass == WORSE
    breath = np.clip(grade + chance.integers(size, 0, 1) + worse, 0, 4)
    times = np.where(worse, chance.integers(size, 1, 3), chance.flags(size, 0.12).astype(np.int64))
    other = chance.flags(size, 0.02)
    refer = (worse & chance.flags(size, 0.5)) | (klass == COMPLICATION)
    return {
        "symptom_codes": codes(
            (worse | chance.flags(size, 0.45), "2"),
            (worse | chance.flags(size, 0.35), "3"),
            (breath >= 2, "4"),
            (worse & chance.flags(size, 0.4), "5"),
            (worse & chance.flags(size, 0.2), "7"),
            ((klass == COMPLICATION) & chance.flags(size, 0.6), "8"),
            (other, "9"),
        ),
        "symptom_other": where(other, "夜间憋醒"),
        "mmrc_score": breath.astype(np.float64),
        "cat_score": where(chance.flags(size, 0.8), np.clip(breath * 6 + chance.integers(size, 2, 8), 0, 40) * 1.0),
        "exacerbation_times": times.astype(np.float64),
        "exacerbation_hosp_times": np.where(worse & chance.flags(size, 0.3), 1.0, 0.0),
        "class_code": klass,
        "referral_reason": where(refer, np.where(worse, "急性加重，门诊处理后未缓解", "下肢水肿，疑肺源性心脏病")),
        "referral_org": where(refer, chance.pick(size, _ORGS)),
        "lung_sign": where(chance.flags(size, 0.75), np.where(worse, "双肺散在哮鸣音", "双肺呼吸音减低")),
    }


def _measured(
    people: pl.DataFrame, person: Ints, day: Ints, klass: np.ndarray, times: Times, chance: Chance
) -> dict[str, Any]:
    size = len(day)
    mine = people[person]
    height = np.round(mine["height"].to_numpy() + chance.integers(size, -1, 1) * 0.1, 1)
    weight = np.round(np.clip(weights_on(people, person, day, times) + chance.normal(size, 0, 0.4), 40.5, 124.0), 1)
    htn = mine["htn"].to_numpy()
    sbp = np.round(
        np.clip(chance.normal(size, mine["sbp"].to_numpy() + np.where(htn, 9, 0), 6), 104, np.where(htn, 148, 138))
    )
    dbp = np.round(np.minimum(np.clip(chance.normal(size, mine["dbp"].to_numpy() + 2, 5), 58, 88), sbp - 26))
    worse = klass == WORSE
    full = np.where(worse, 92, 95) - _grade(person) // 2
    return {
        "spo2": where(chance.flags(size, 0.85), np.clip(full + chance.integers(size, 0, 3), 90, 99).astype(np.float64)),
        "resp_rate": np.where(worse, chance.integers(size, 20, 24), chance.integers(size, 16, 20)).astype(np.float64),
        "heart_rate": np.round(np.clip(chance.normal(size, mine["pulse"].to_numpy() + 4 * worse, 4), 55, 104)),
        "sbp": where(chance.flags(size, 0.9), sbp),
        "dbp": where(chance.flags(size, 0.9), dbp),
        "height_cm": height,
        "weight_kg": weight,
        "bmi": np.round(weight / (height / 100) ** 2, 1),
    }


def _lungs(person: Ints, day: Ints, chance: Chance) -> dict[str, Any]:
    """The yearly test of the lungs, told on the first visit of each year."""
    size = len(day)
    year = day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)
    tested = first_of_each_day(person, year)
    grade = _grade(person)
    low = np.array([81.0, 52.0, 31.0, 18.0])[grade]
    share = np.round(low + (person * 31 % 1000) / 1000 * np.array([14.0, 26.0, 17.0, 10.0])[grade], 1)
    ratio = np.round(np.clip(66 - grade * 7 + chance.uniform(size, -4, 3), 34, 69.5), 1)
    return {
        "spirometry_date": optional_days(day - chance.integers(size, 0, 3), tested),
        "fev1_fvc": where(tested, ratio),
        "fev1_pct": where(tested, share),
        "gold_grade_code": where(tested, (grade + 1).astype(str)),
    }


def _habits(mine: pl.DataFrame, person: Ints, chance: Chance) -> dict[str, Any]:
    size = len(person)
    smokes = mine["smoke"].to_numpy() == "3"
    cigarettes = mine["cigarettes"].to_numpy().astype(np.float64)
    moves = np.where(mine["adl"].to_numpy() >= 3, "4", mine["exercise"].to_numpy()) != "4"
    oxygen = _grade(person) == 3
    flu, pneumonia = person % 3 == 0, person % 7 == 0
    vaccines = codes((flu, "1"), (pneumonia, "2"), otherwise="3")
    return {
        "smoke_code": mine["smoke"].to_numpy(),
        "smoke_per_day": where(smokes, cigarettes),
        "smoke_target": where(smokes, np.floor(cigarettes / 2)),
        "exposure_desc": where(person % 4 == 0, np.where(person % 8 == 0, "燃煤取暖", "牛粪、木柴做饭取暖")),
        "exercise_times": np.where(moves, 4.0, 0.0),
        "exercise_minutes": np.where(moves, mine["exercise_minutes"].to_numpy(), 0).astype(np.float64),
        "home_oxygen_code": np.where(oxygen, "2", "1"),
        "oxygen_hours": where(oxygen, 15.0 + person % 4 * 0.5),
        "vaccine_codes": vaccines,
        "inhaler_skill_code": where(
            chance.flags(size, 0.9), np.array(["1", "2", "3"])[chance.indexes(size, [0.6, 0.34, 0.06])]
        ),
    }


def _treatment(person: Ints, klass: np.ndarray, chance: Chance) -> dict[str, Any]:
    """The same drugs on every visit; some take none."""
    size = len(person)
    takes = person % 17 != 0
    lax = chance.flags(size, np.where(klass == WORSE, 0.4, 0.12))
    columns: dict[str, Any] = {
        "adherence_code": np.where(takes, np.where(lax, "2", "1"), "3"),
        "adr_code": np.where(klass == REACTION, "2", "1"),
        "adr_desc": where(klass == REACTION, chance.pick(size, ["口咽部念珠菌感染", "心悸手抖", "声音嘶哑"])),
    }
    second = np.where(takes & (person % 3 != 1), person % len(_TABLETS), -1)
    third = np.where(takes & (person % 9 == 2), person % len(_THIRD), -1)
    tables = ((_INHALED, np.where(takes, person % len(_INHALED), -1)), (_TABLETS, second), (_THIRD, third))
    for slot, (table, chosen) in enumerate(tables, 1):
        columns |= {
            f"drug{slot}_name": choose([drug[0] for drug in table], chosen),
            f"drug{slot}_dose": choose([float(drug[1]) for drug in table], chosen),
            f"drug{slot}_unit": choose([drug[2] for drug in table], chosen),
            f"drug{slot}_freq": choose([float(drug[3]) for drug in table], chosen),
        }
    return columns
