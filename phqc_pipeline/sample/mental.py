"""严重精神障碍: 患者个人信息补充表, one a patient when registered, and 随访服务记录表.

Belongs here: both forms' records. Does not belong here: who is ill (``conditions``).

A stable patient is seen four times a year; one who is not, again within two weeks, and once more within a month where
that did not help. Danger, class and the next visit fit one another (SMI-L-001 … L-010); who died or was lost has it
noted on the last visit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.sample.calendar import Times
from phqc_pipeline.sample.chance import Chance, Ints
from phqc_pipeline.sample.names import distinct_names
from phqc_pipeline.sample.people import DAUGHTER, HEAD, PARENT, SON, SPOUSE, spare_landlines
from phqc_pipeline.sample.places import Institution
from phqc_pipeline.sample.profile import centre_doctors
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

UNSTABLE, IMPROVED, STABLE = "1", "2", "3"  # CL_SMI_CLASS
# Name, dose in mg, how often.
_DRUGS: tuple[tuple[str, float, str], ...] = (
    ("奥氮平片", 10, "每日1次"),
    ("利培酮片", 2, "每日2次"),
    ("氯氮平片", 100, "每日2次"),
    ("阿立哌唑片", 15, "每日1次"),
    ("富马酸喹硫平片", 200, "每日2次"),
    ("碳酸锂片", 250, "每日3次"),
    ("丙戊酸钠缓释片", 500, "每日2次"),
)
_SECOND: tuple[tuple[str, float, str], ...] = (("盐酸苯海索片", 2, "每日2次"), ("阿普唑仑片", 0.4, "每晚1次"))
_THIRD: tuple[tuple[str, float, str], ...] = (("普萘洛尔片", 10, "每日2次"), ("碳酸钙片", 600, "每日1次"))
_HOSPITALS = ("阿勒泰地区人民医院精神科", "新疆精神卫生中心", "阿勒泰地区精神病防治院")


def smi_doctor(institution: Institution) -> int:
    """The doctor of the health centre who looks after them: a position in ``institution.doctors``."""
    centre = centre_doctors(institution)
    return int(centre[1 % len(centre)])


def mental_health(
    frames: Mapping[str, pl.DataFrame],
    people: pl.DataFrame,
    institution: Institution,
    times: Times,
    cat: Catalogue,
    seed: int,
) -> dict[str, pl.DataFrame]:
    """Records of both forms."""
    chance = institution.chance(seed, "mental health")
    address = frames["resident_profile"]["current_address"]
    return {
        "smi_registration": _registrations(people, address, institution, times, cat, chance),
        "smi_followup": _visits(people, institution, times, cat, chance),
    }


# --- registration -------------------------------------------------------------------------------------------------


def _registrations(
    people: pl.DataFrame, address: pl.Series, institution: Institution, times: Times, cat: Catalogue, chance: Chance
) -> pl.DataFrame:
    person = np.flatnonzero(people["smi"].to_numpy())
    mine = people[person]
    size = len(person)
    day, diagnosed = mine["smi_register"].to_numpy(), mine["smi_diagnosis"].to_numpy()
    onset = np.maximum(diagnosed - chance.integers(size, 20, 1800), mine["birth"].to_numpy() + 14 * 366)
    onset = np.minimum(onset, diagnosed)
    treated = np.array(["1", "2", "3"])[chance.indexes(size, [0.08, 0.47, 0.45])]
    agrees = chance.flags(size, 0.95)
    columns = envelope(people, person, np.full(size, smi_doctor(institution)), np.zeros(size, bool), institution)
    columns |= _guardians(mine, address, institution, chance)
    columns |= _danger(person, chance.flags(size, 0.2), chance.flags(size, 0.08), chance.flags(size, 0.04))
    symptoms = {
        code: chance.flags(size, share) for code, share in zip("13457", (0.5, 0.45, 0.3, 0.25, 0.2), strict=True)
    }
    other = chance.flags(size, 0.04)
    columns |= {
        "hukou_code": np.where(chance.flags(size, 0.85), "2", "1"),
        "employment_code": np.where(
            mine["age"].to_numpy() >= 65, "6", np.array(["3", "4", "8"])[chance.indexes(size, [0.6, 0.35, 0.05])]
        ),
        "consent_code": np.where(agrees, "1", "0"),
        "consent_sign": where(agrees, mine["contact_name"]),
        "consent_date": optional_days(day - chance.integers(size, 0, 6), agrees),
        "onset_date": days(onset),
        "past_symptom_codes": codes(*((mask, code) for code, mask in symptoms.items()), (other, "12"), otherwise="11"),
        "past_symptom_other": where(other, "木僵"),
        "past_lock_code": np.array(["1", "2", "3"])[np.where(_was_locked(person), 2, 0)],
        "outpatient_code": treated,
        "first_drug_date": optional_days(np.minimum(diagnosed + chance.integers(size, 0, 12), day), treated != "1"),
        "hospital_times": chance.indexes(size, [0.35, 0.3, 0.2, 0.1, 0.05]).astype(np.float64),
        "diagnosis": np.array(["F20", "F31", "G40", "F70", "F25", "F22"])[_diagnosis(person)],
        "diagnosis_org": chance.pick(size, _HOSPITALS),
        "diagnosis_date": days(diagnosed),
        "effect_code": np.array(["1", "2", "3"])[chance.indexes(size, [0.15, 0.7, 0.15])],
        "economy_code": np.array(["1", "2"])[chance.indexes(size, [0.55, 0.45])],
        "specialist_advice": where(chance.flags(size, 0.7), "坚持服药，每月门诊复查，家属看护服药"),
        "fill_date": days(day),
        "fill_doctor": columns["doctor_name"],
        "_entered_day": entered_days(day, times.today, chance),
    }
    return frame(cat.forms["smi_registration"], columns, size)


def _guardians(mine: pl.DataFrame, address: pl.Series, institution: Institution, chance: Chance) -> dict[str, Any]:
    """Whoever is to be called for the patient, at the same address; the village's own contact."""
    relation, couple = mine["relation"].to_numpy(), mine["couple"].to_numpy()
    kin = np.select(
        [couple, relation == HEAD, np.isin(relation, [SON, DAUGHTER]), relation == SPOUSE, relation == PARENT],
        ["配偶", "兄弟姐妹", "父母", "配偶", "子女"],
        "祖父母",
    )
    villages = len(institution.villages)
    village = mine["village"].to_numpy()
    phone = mine["contact_phone"].to_numpy()
    return {
        "guardian_name": mine["contact_name"],
        "guardian_relation": kin,
        "guardian_address": address.gather(mine["person"]),
        "guardian_phone": phone,
        "community_contact": choose(_strangers(villages, institution, chance), village),
        "community_phone": choose([str(one) for one in spare_landlines(villages, institution)], village),
    }


def _strangers(size: int, institution: Institution, chance: Chance) -> list[str]:
    """Different names none of which is a doctor's."""
    found = [name for name in distinct_names(size + len(institution.staff), chance) if name not in institution.staff]
    return found[:size]


def _diagnosis(person: Ints) -> Ints:
    return np.searchsorted(np.array([52, 66, 78, 92, 97]), person * 7919 % 100, side="right")


def _was_locked(person: Ints) -> Any:
    return person * 31 % 100 < 5


def _danger(person: Ints, minor: Any, trouble: Any, harm: Any) -> dict[str, Any]:
    """What a patient did to others or to himself, and how often so far (SMI-X-004); 7 where nothing."""
    told = pl.DataFrame({"person": person, "minor": minor})
    often = told.select(pl.col("minor").cast(pl.Float64).cum_sum().over("person")).to_series().to_numpy()
    count = np.minimum(often, 3.0)
    return {
        "danger_codes": codes((minor, "1"), (trouble, "2"), (harm, "5"), otherwise="7"),
        "danger_minor": where(minor, count),
        "danger_trouble": where(trouble, 1.0),
        "danger_selfharm": where(harm, 1.0),
    }


# --- visits -------------------------------------------------------------------------------------------------------


def _schedule(people: pl.DataFrame, times: Times, chance: Chance) -> tuple[Ints, Ints, np.ndarray]:
    """Person, day and class of each visit, in order."""
    patients = people.filter(pl.col("smi"))
    leave = people["leave_day"].to_numpy()
    person, day = quarterly(patients, patients["smi_register"].to_numpy(), times, chance)
    klass = np.array([UNSTABLE, IMPROVED, STABLE])[chance.indexes(len(day), [0.05, 0.22, 0.73])]
    rounds = [(person, day, klass)]
    second = np.zeros(len(day), dtype=bool)  # improved twice running: once more after a month
    for better in (0.35, 0.75, 1.0):
        due = klass != STABLE
        person, day, was, second = person[due], day[due], klass[due], second[due]
        size = len(day)
        day = np.where(second, soon_after(day, 25, 30, chance), soon_after(day, 9, 14, chance))
        klass = np.where(chance.flags(size, better) & (was != UNSTABLE), STABLE, IMPROVED)
        klass = np.where(np.full(size, better == 1.0), STABLE, klass)
        second = was == IMPROVED
        kept = (day <= times.today) & (day < leave[person])
        person, day, klass, second = person[kept], day[kept], klass[kept], second[kept]
        rounds.append((person, day, klass))
    person, day, klass = (np.concatenate([one[n] for one in rounds]) for n in range(3))
    once = first_of_each_day(person, day)
    person, day, klass = person[once], day[once], klass[once]
    order = np.lexsort((day, person))
    return person[order], day[order], klass[order]


def _visits(
    people: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, chance: Chance
) -> pl.DataFrame:
    person, day, klass = _schedule(people, times, chance)
    size = len(person)
    mine = people[person]
    again = np.diff(person, prepend=-1) == 0
    before = np.where(again, np.roll(klass, 1), STABLE)
    since = np.where(again, np.roll(day, 1), day - 80)
    at_home = chance.flags(size, 0.6) | (people["adl"].to_numpy()[person] == 4)
    columns = envelope(people, person, np.full(size, smi_doctor(institution)), np.zeros(size, bool), institution)
    columns |= _state(person, klass, chance)
    columns |= _treatment(person, klass, chance)
    columns |= _end(mine, person, day, chance)
    away = (before == UNSTABLE) & (day - since >= 8)
    month = (klass == IMPROVED) & (before == IMPROVED)
    following = np.select(
        [klass == STABLE, month],
        [soon_after(day, 80, 91, chance), soon_after(day, 25, 30, chance)],
        soon_after(day, 11, 14, chance),
    )
    columns |= {
        "visit_date": days(day),
        "visit_mode_code": np.where(at_home, "2", "1"),
        "lock_code": np.where(_was_locked(person), "3", "1"),
        "hospital_code": np.where(away, "2", "0"),
        "last_discharge_date": optional_days(day - 1, away),
        "class_code": klass,
        "next_visit_date": days(following),
        "visit_doctor": columns["doctor_name"],
        **whereabouts(at_home & chance.flags(size, 0.6), mine["village"].to_numpy(), institution, chance),
        "evidence_photo_count": where(chance.flags(size, 0.6), chance.integers(size, 1, 4).astype(np.float64)),
        "_entered_day": entered_days(day, times.today, chance),
    }
    return frame(cat.forms["smi_followup"], columns, size)


def _state(person: Ints, klass: np.ndarray, chance: Chance) -> dict[str, Any]:
    """Danger, symptoms, insight, social functions as they fit the class."""
    size = len(klass)
    unstable, improved = klass == UNSTABLE, klass == IMPROVED
    high = np.array(["3", "4", "5", "0"])[chance.indexes(size, [0.55, 0.25, 0.05, 0.15])]
    low = np.array(["0", "1", "2"])[chance.indexes(size, [0.45, 0.4, 0.15])]
    risk = np.where(unstable, high, np.where(improved, low, "0"))
    dangerous = np.isin(risk, ["3", "4", "5"])
    harm = (risk == "4") & chance.flags(size, 0.4)
    other = improved & chance.flags(size, 0.04)
    insight = np.array(["1", "2", "3"])
    columns = _danger(person, np.isin(risk, ["1", "2"]) & chance.flags(size, 0.5), dangerous & ~harm, harm)
    grades = np.array(["1", "2", "3"])
    worse = np.where(unstable, 1, 0)
    functions = ("sleep_code", "diet_code", "social_selfcare_code", "social_housework_code", "social_study_code")
    columns |= {
        name: grades[np.minimum(chance.indexes(size, [0.6, 0.33, 0.07]) + worse, 2)]
        for name in (*functions, "social_contact_code")
    }
    work = grades[np.minimum(chance.indexes(size, [0.45, 0.4, 0.15]) + worse, 2)]
    return columns | {
        "risk_level": risk,
        "symptom_codes": codes(
            (unstable & chance.flags(size, 0.5), "1"),
            ((unstable | improved) & chance.flags(size, 0.4), "3"),
            (unstable & chance.flags(size, 0.5), "4"),
            (dangerous, "7"),
            (improved & chance.flags(size, 0.5), "11"),
            (other, "12"),
            otherwise="0",
        ),
        "symptom_other": where(other, "反复洗手"),
        "insight_code": np.where(
            unstable,
            insight[1 + chance.indexes(size, [0.6, 0.4])],
            insight[chance.indexes(size, [0.7, 0.27, 0.03])],
        ),
        "social_work_code": np.where(chance.flags(size, 0.12), "9", work),
        "effect_code": np.where(
            unstable, np.where(chance.flags(size, 0.5), "4", "3"), np.where(chance.flags(size, 0.75), "2", "3")
        ),
        "referral_code": np.where(dangerous, "2", "1"),
        "referral_reason": where(
            dangerous, np.where(risk == "5", "持械伤人，已报告公安机关，紧急转诊", "病情波动，建议转诊")
        ),
        "referral_org": where(dangerous, chance.pick(size, _HOSPITALS)),
    }


def _treatment(person: Ints, klass: np.ndarray, chance: Chance) -> dict[str, Any]:
    """The same drugs from visit to visit; a few need none by the doctor's order, and those are no danger."""
    size = len(person)
    without = (person % 23 == 0) & (klass == STABLE)
    lax = chance.flags(size, np.where(klass == UNSTABLE, 0.6, 0.12))
    takes = ~without
    reaction = takes & chance.flags(size, 0.06)
    tested = chance.flags(size, 0.25)
    columns: dict[str, Any] = {
        "adherence_code": np.where(without, "4", np.where(lax, "2", "1")),
        "adr_code": np.where(without, "9", np.where(reaction, "2", "1")),
        "adr_desc": where(reaction, chance.pick(size, ["嗜睡", "体重增加", "双手震颤", "流涎"])),
        "lab_code": np.where(tested, "2", "1"),
        "lab_desc": where(tested, "血常规、转氨酶、血糖、心电图未见明显异常"),
    }
    first = person % len(_DRUGS)
    second = np.where(takes & (person % 3 == 0), person % len(_SECOND), -1)
    third = np.where(takes & (person % 8 == 1), person % len(_THIRD), -1)
    for slot, (table, chosen) in enumerate(
        ((_DRUGS, np.where(takes, first, -1)), (_SECOND, second), (_THIRD, third)), 1
    ):
        for kind in ("drug", "advise"):
            columns |= {
                f"{kind}{slot}_name": choose([drug[0] for drug in table], chosen),
                f"{kind}{slot}_dose": choose([float(drug[1]) for drug in table], chosen),
                f"{kind}{slot}_freq": choose([drug[2] for drug in table], chosen),
            }
    other = chance.flags(size, 0.03)
    return columns | {
        "rehab_codes": codes((chance.flags(size, 0.5), "4"), (chance.flags(size, 0.2), "3"), (other, "5")),
        "rehab_other": where(other, "家庭农活训练"),
    }


def _end(mine: pl.DataFrame, person: Ints, day: Ints, chance: Chance) -> dict[str, Any]:
    """What became of a patient, on the last visit before the archive ended."""
    size = len(person)
    last = np.diff(person, append=-1) != 0
    status = mine["status"].to_numpy()
    dead, gone = last & (status == "3"), last & np.isin(status, ["2", "4"])
    reason = np.array(["1", "5", "4"])[chance.indexes(size, [0.7, 0.15, 0.15])]
    bodily = dead & (reason == "1")
    return {
        "death_date": optional_days(mine["leave_day"].to_numpy(), dead),
        "death_reason_code": where(dead, reason),
        "death_disease_code": where(bodily, np.array(["3", "4", "5", "2"])[chance.indexes(size, [0.4, 0.3, 0.2, 0.1])]),
        "lost_reason_code": where(gone, np.where(status == "2", "2", "1")),
    }
