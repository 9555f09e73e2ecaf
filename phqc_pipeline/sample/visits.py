"""高血压 and 2型糖尿病 follow-up records: when a patient is seen, what is measured, how the visit is judged.

Belongs here: the schedule of visits and the two forms' records. Does not belong here: who is ill (``conditions``).

A patient is seen face to face four times a year, 88 days apart give or take two and the next holiday, so never more
than 100 (HTN-T-003); from any day of the year on there are always as many visits as are due (0a.12). One who is not
controlled is seen again within two weeks; if still not, is referred, and seen again within two weeks of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.sample.calendar import Times, whole_years, working_day_at_or_before
from phqc_pipeline.sample.chance import Bools, Chance, Ints
from phqc_pipeline.sample.conditions import DM_DRUGS, HTN_DRUGS, HTN_SECOND_DRUGS, NEVER
from phqc_pipeline.sample.places import Institution
from phqc_pipeline.sample.profile import doctor_of
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
from phqc_pipeline.sample.schedule import quarterly

CONTROLLED, RAISED, REACTION, COMPLICATION = "1", "2", "3", "4"  # CL_FU_CLASS

_REFERRAL_ORGS = (
    "阿勒泰地区人民医院心内科",
    "阿勒泰市人民医院内科",
    "阿勒泰地区人民医院内分泌科",
    "阿勒泰市人民医院全科医学科",
)
_REACTIONS = ("干咳", "踝部水肿", "头晕乏力", "胃肠道不适")


@dataclass
class Events:
    """Visits as parallel arrays: who, when, the class for each disease ('' where the person lacks it)."""

    person: Ints
    day: Ints
    step: Ints  # 0 quarterly, 1 within two weeks of an uncontrolled one, 2 after referral
    htn: np.ndarray
    dm: np.ndarray

    def take(self, keep: Any) -> Events:
        """Those of a mask, or in the order of positions."""
        return Events(self.person[keep], self.day[keep], self.step[keep], self.htn[keep], self.dm[keep])


def follow_ups(
    people: pl.DataFrame, exams: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, seed: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The records of both forms. A patient with both diseases has one of each on a visit, with the same pressure.

    ``exams``: the records of 健康体检表, whose pressure is not far from that of a visit in the same week (HTN-X-005).
    """
    chance = institution.chance(seed, "visits")
    events = _schedule(people, times, chance)
    order = np.lexsort((events.day, events.person))
    events = events.take(order)
    shared = _measurements(people, events, _examined(events, exams), times, chance)
    columns = _common_columns(people, events, shared, institution, times, chance)
    htn, dm = events.htn != "", events.dm != ""
    htn_columns = columns | _htn_columns(people, events, shared, chance)
    dm_columns = columns | _dm_columns(people, events, shared, times, chance)
    size = len(events.person)
    return (
        frame(cat.forms["htn_followup"], htn_columns, size).filter(pl.Series(htn)),
        frame(cat.forms["t2dm_followup"], dm_columns, size).filter(pl.Series(dm)),
    )


def _schedule(people: pl.DataFrame, times: Times, chance: Chance) -> Events:
    patients = people.filter(pl.col("htn") | pl.col("dm"))
    registered = np.minimum(
        np.where(patients["htn"], patients["htn_register"], NEVER),
        np.where(patients["dm"], patients["dm_register"], NEVER),
    )
    person, day = quarterly(patients, registered, times, chance)
    has_htn = people["htn"].to_numpy() & (people["htn_register"].to_numpy() <= times.today)
    has_dm = people["dm"].to_numpy()
    patient_htn = has_htn[person] & (people["htn_register"].to_numpy()[person] <= day)
    patient_dm = has_dm[person] & (people["dm_register"].to_numpy()[person] <= day)
    odds = people["uncontrolled"].to_numpy()[person]
    events = Events(
        person,
        day,
        np.zeros(len(person), dtype=np.int64),
        _classes(patient_htn, odds, chance),
        _classes(patient_dm, odds, chance),
    )
    rounds = [events]
    for step, odds_again in ((1, 0.25), (2, 0.0)):
        events = _again(events, step, odds_again, times, leave_of(people), chance)
        rounds.append(events)
    return Events(
        *(np.concatenate([getattr(one, name) for one in rounds]) for name in ("person", "day", "step", "htn", "dm"))
    )


def leave_of(people: pl.DataFrame) -> Ints:
    return people["leave_day"].to_numpy()


def _classes(patient: Bools, odds: Any, chance: Chance) -> np.ndarray:
    """The class of each visit for one disease; '' for those who are no patients of it."""
    size = len(patient)
    kind = np.array([RAISED, REACTION, COMPLICATION])[chance.indexes(size, [0.92, 0.055, 0.025])]
    return np.where(patient, np.where(chance.flags(size, odds), kind, CONTROLLED), "")


def _again(events: Events, step: int, odds: float, times: Times, leave: Ints, chance: Chance) -> Events:
    """The visit within two weeks of each uncontrolled one; the disease that was controlled stays so."""
    open_htn = np.isin(events.htn, [RAISED, REACTION, COMPLICATION])
    open_dm = np.isin(events.dm, [RAISED, REACTION, COMPLICATION])
    due = events.take(open_htn | open_dm)
    size = len(due.day)
    day = working_day_at_or_before(due.day + chance.integers(size, 9, 14))
    day = np.where(day < due.day + 3, working_day_at_or_before(due.day + 14), day)
    still = chance.flags(size, odds)
    was_htn, was_dm = np.isin(due.htn, [RAISED, REACTION]), np.isin(due.dm, [RAISED, REACTION])
    htn = np.where(due.htn == "", "", np.where(was_htn & still, RAISED, CONTROLLED))
    dm = np.where(due.dm == "", "", np.where(was_dm & still, RAISED, CONTROLLED))
    made = Events(due.person, day, np.full(size, step, dtype=np.int64), htn, dm)
    return made.take((day <= times.today) & (day < leave[due.person]) & (day > due.day))


def _measurements(
    people: pl.DataFrame, events: Events, examined: np.ndarray, times: Times, chance: Chance
) -> dict[str, np.ndarray]:
    """What is measured at each visit, fitting its class: pressure, glucose, weight, heart rate.

    ``examined``: the systolic pressure of an examination in the same week, NaN where there is none.
    """
    size = len(events.person)
    mine = people[events.person]
    age = whole_years(mine["birth"].to_numpy(), events.day)
    elder = age >= 65
    raised = (events.htn == RAISED) | ((events.htn == COMPLICATION) & chance.flags(size, 0.5))
    ceiling = np.where(elder & (events.htn != ""), 147, 138)  # high three times and no patient: XFM-X-014
    low = np.clip(
        chance.normal(size, np.where(events.htn != "", mine["sbp"].to_numpy() + 9, mine["sbp"].to_numpy()), 6),
        106,
        ceiling,
    )
    high = chance.normal(size, np.where(elder, 160, 151), 6)
    high = np.clip(high, np.where(elder, 152, 142), 174)
    crisis = raised & (events.htn == RAISED) & chance.flags(size, 0.012)
    sbp = np.round(np.where(crisis, chance.integers(size, 182, 194), np.where(raised, high, low)))
    near = ~np.isnan(examined)
    sbp = np.where(near, np.clip(sbp, examined - 36, examined + 36), sbp)
    dbp_low = np.clip(chance.normal(size, mine["dbp"].to_numpy() + 2, 5), 60, 88)
    dbp_high = np.clip(chance.normal(size, 92, 6), 78, 106)
    dbp = np.round(np.where(crisis, chance.integers(size, 98, 108), np.where(raised, dbp_high, dbp_low)))
    no_drugs = ~mine["takes_drugs"].to_numpy()
    sbp = np.asarray(np.where(no_drugs & ~raised & (sbp >= 134), 133 - (sbp % 5), sbp), dtype=np.float64)  # HTN-L-017
    dbp = np.minimum(dbp, sbp - 28)
    same = (np.diff(events.person, prepend=-1) == 0) & (np.diff(sbp, prepend=0) == 0)
    sbp = np.asarray(
        np.where(same, sbp - 2, sbp), dtype=np.float64
    )  # two readings in a row are never alike (AUT-A-006)
    dbp = np.maximum(np.minimum(dbp, sbp - 26), 52)
    weight = _weights(mine, events.day, times) + chance.normal(size, 0, 0.5)
    diabetic_high = (events.dm == RAISED) | ((events.dm == COMPLICATION) & chance.flags(size, 0.5))
    high_glucose = np.where(
        chance.flags(size, 0.012), chance.uniform(size, 16.8, 18.5), np.clip(chance.normal(size, 8.6, 1.2), 7.1, 13.5)
    )
    fbg = np.where(
        diabetic_high, high_glucose, np.clip(chance.normal(size, mine["glucose"].to_numpy() + 0.8, 0.45), 4.4, 6.9)
    )
    untreated = no_drugs & (events.dm != "")
    fbg = np.where(untreated, np.maximum(fbg, 6.2 + np.arange(size) % 6 / 10), fbg)  # ill all the same (DM-X-002)
    height = np.round(mine["height"].to_numpy() + chance.integers(size, -1, 1) * 0.1, 1)
    measured = np.round(np.clip(weight, 40.5, 124.0), 1)
    return {
        "age": age,
        "sbp": sbp,
        "dbp": dbp,
        "crisis": (sbp >= 180) | (dbp >= 110),
        "weight": measured,
        "height": height,
        "bmi": np.round(measured / (height / 100) ** 2, 1),
        "heart": np.round(np.clip(chance.normal(size, mine["pulse"].to_numpy(), 4), 55, 104)),
        "fbg": np.round(fbg, 1),
        "phone": (events.step > 0) & chance.flags(size, 0.3),
    }


def _examined(events: Events, exams: pl.DataFrame) -> np.ndarray:
    """The higher side's systolic pressure of an examination no more than 8 days before or after each visit."""
    visits = pl.DataFrame({"_person": events.person, "day": events.day}).with_row_index("visit")
    pressure = exams.select(
        "_person",
        pl.col("exam_date").cast(pl.Int32).alias("exam"),
        pl.max_horizontal("sbp_left", "sbp_right").alias("sbp"),
    )
    both = visits.join(pressure.with_columns(pl.col("_person").cast(pl.Int64)), on="_person")
    near = both.filter((pl.col("day") - pl.col("exam")).abs() <= 8).group_by("visit").agg(pl.col("sbp").last())
    found: np.ndarray = (
        visits.join(near, on="visit", how="left", maintain_order="left")["sbp"].cast(pl.Float64).to_numpy()
    )
    return found


def _weights(mine: pl.DataFrame, day: Ints, times: Times) -> np.ndarray:
    """Weight on a day: the weight of today less what was gained since."""
    return mine["weight"].to_numpy() + mine["weight_drift"].to_numpy() * (day - times.today) / 365.0


def weights_on(people: pl.DataFrame, person: Ints, day: Ints, times: Times) -> np.ndarray:
    """Expected weight in kg of each person on each day."""
    return _weights(people[person], day, times)


def _common_columns(
    people: pl.DataFrame,
    events: Events,
    shared: dict[str, np.ndarray],
    institution: Institution,
    times: Times,
    chance: Chance,
) -> dict[str, Any]:
    """The columns both forms have, with the same content on a visit for both diseases."""
    size = len(events.person)
    mine = people[events.person]
    at_home = chance.flags(size, np.where(shared["age"] >= 75, 0.75, 0.4)) | (mine["adl"].to_numpy() == 4)
    mode = np.where(shared["phone"], "3", np.where(at_home, "2", "1"))
    on_site = ~shared["phone"]
    doctor = doctor_of(mine, institution)
    columns = envelope(people, events.person, doctor, chance.flags(size, 0.85), institution)
    cigarettes = mine["cigarettes"].to_numpy().astype(np.float64)
    liquor = mine["liquor"].to_numpy()
    bmi, weight = shared["bmi"], shared["weight"]
    moves = mine["adl"].to_numpy() <= 2
    times_week = np.where(moves, np.array([7.0, 4.0, 1.0, 0.0])[mine["exercise"].to_numpy().astype(np.int64) - 1], 0.0)
    minutes = np.where(times_week > 0, mine["exercise_minutes"].to_numpy(), 0).astype(np.float64)
    over = bmi >= 24
    target = np.where(over, np.round(weight - chance.integers(size, 2, 8) * 0.5, 1), weight)
    return columns | {
        "visit_date": days(events.day),
        "visit_mode_code": mode,
        "sbp": shared["sbp"],
        "dbp": shared["dbp"],
        "weight_kg": where(on_site, weight),
        "target_weight_kg": target,
        "height_cm": where(on_site & chance.flags(size, 0.8), shared["height"]),
        "bmi": where(on_site, bmi),
        "target_bmi": where(~over & chance.flags(size, 0.7), np.minimum(bmi, 23.9)),
        "sign_other": where(shared["phone"], "家庭自测血压"),
        "smoke_per_day": cigarettes,
        "smoke_target": np.floor(cigarettes / 2),
        "drink_per_day": liquor,
        "drink_target": np.floor(liquor),
        "exercise_times": times_week,
        "exercise_minutes": minutes,
        "exercise_times_target": np.where(moves, np.maximum(times_week, 3.0), times_week),
        "exercise_minutes_target": np.where(moves, np.maximum(minutes, 30.0), minutes),
        "psych_code": np.array(["1", "2", "3"])[chance.indexes(size, [0.72, 0.25, 0.03])],
        "compliance_code": np.array(["1", "2", "3"])[chance.indexes(size, [0.75, 0.22, 0.03])],
        "visit_doctor": columns["doctor_name"],
        **whereabouts((mode == "2") & chance.flags(size, 0.6), mine["village"].to_numpy(), institution, chance),
        "evidence_photo_count": where(
            on_site & chance.flags(size, 0.7), chance.integers(size, 1, 4).astype(np.float64)
        ),
        "_entered_day": entered_days(events.day, times.today, chance),
    }


def _next_visit(events: Events, klass: np.ndarray, chance: Chance) -> pl.Series:
    """When the patient is to be seen again: within 14 days unless controlled, else within 92 (HTN-L-006, L-007)."""
    size = len(events.day)
    soon = ~np.isin(klass, [CONTROLLED, ""])
    day = events.day + np.where(soon, chance.integers(size, 11, 14), chance.integers(size, 80, 92))
    working = working_day_at_or_before(day)
    return days(np.where(working > events.day, working, day))


def _referral(events: Events, klass: np.ndarray, urgent: Bools, reason: str, chance: Chance) -> dict[str, Any]:
    """A referral where the second visit in a row is not controlled, for a complication, and in a crisis."""
    size = len(events.day)
    second = (events.step >= 1) & np.isin(klass, [RAISED, REACTION])
    complication = klass == COMPLICATION
    refer = second | complication | urgent
    word = np.where(urgent, "数值达到危急值，建议立即转诊", np.where(complication, "出现新的并发症", reason))
    return {
        "referral_flag": np.where(refer, "2", "1"),
        "referral_reason": where(refer, word),
        "referral_org": where(refer, chance.pick(size, _REFERRAL_ORGS)),
    }


def _drugs(table: Any, slot: int, chosen: Ints, form_columns: dict[str, Any]) -> None:
    """Fill the four columns of one drug from its row in a table; a negative choice leaves them empty."""
    known = chosen >= 0
    form_columns |= {
        f"drug{slot}_name": choose([drug[0] for drug in table], chosen),
        f"drug{slot}_dose": choose([float(drug[1]) for drug in table], chosen),
        f"drug{slot}_unit": choose([drug[2] for drug in table], chosen),
        f"drug{slot}_freq": where(known, np.array([float(drug[3]) for drug in table])[np.where(known, chosen, 0)]),
    }


def _treatment(events: Events, mine: pl.DataFrame, klass: np.ndarray, chance: Chance) -> dict[str, Any]:
    size = len(events.day)
    takes = mine["takes_drugs"].to_numpy()
    lax = chance.flags(size, np.where(klass == RAISED, 0.3, 0.05))
    reaction = takes & (klass == REACTION)
    return {
        "adherence_code": np.where(takes, np.where(lax, "2", "1"), "3"),
        "adr_code": np.where(klass == REACTION, "2", "1"),
        "adr_desc": where(klass == REACTION, chance.pick(size, _REACTIONS)),
        "class_code": np.where(klass == "", CONTROLLED, klass),
        "_reaction": reaction,
    }


def _tested(events: Events, chosen: Bools, able: Bools, today: int) -> Bools:
    """Visits with a test of HbA1c: those chosen, and for whoever is tested at all one in the last year (DM-T-006)."""
    visits = pl.DataFrame({
        "person": events.person,
        "able": able & (events.dm != ""),
        "chosen": chosen,
        "late": events.day >= today - 340,
    })  # fmt: skip
    test, late = pl.col("chosen") & pl.col("able"), pl.col("late") & pl.col("able")
    ever, last = test.any().over("person"), pl.int_range(pl.len()).filter(late).max().over("person")
    recent = (test & late).any().over("person")
    added = ever & ~recent & (pl.int_range(pl.len()).over("person") == last).fill_null(False)
    kept = visits.select((test & (recent | late.any().over("person"))) | added).to_series()
    return kept.to_numpy()


def _htn_columns(people: pl.DataFrame, events: Events, shared: dict[str, np.ndarray], chance: Chance) -> dict[str, Any]:
    size = len(events.day)
    mine = people[events.person]
    klass = events.htn
    unwell = (klass != CONTROLLED) & chance.flags(size, 0.55) | chance.flags(size, 0.06)
    takes = mine["takes_drugs"].to_numpy()
    columns = _treatment(events, mine, klass, chance)
    columns.pop("_reaction")
    salt = mine["salt"].to_numpy()
    columns |= {
        "symptom_codes": codes(
            (unwell & chance.flags(size, 0.75), "2"),
            (unwell & chance.flags(size, 0.2), "4"),
            (unwell & chance.flags(size, 0.25), "6"),
            ((klass == COMPLICATION), "9"),
        ),
        "heart_rate": where(~shared["phone"], shared["heart"]),
        "salt_code": salt,
        "salt_target_code": np.where(salt == "3", "2", "1"),
        "aux_exam": where(chance.flags(size, 0.05), "心电图未见明显异常"),
        "next_visit_date": _next_visit(events, klass, chance),
    }
    _drugs(HTN_DRUGS, 1, np.where(takes, mine["htn_drug"].to_numpy(), -1), columns)
    _drugs(HTN_SECOND_DRUGS, 2, np.where(takes, mine["htn_second"].to_numpy(), -1), columns)
    urgent = shared["crisis"]
    return columns | _referral(events, klass, urgent, "连续两次血压控制不满意", chance)


def _dm_columns(
    people: pl.DataFrame, events: Events, shared: dict[str, np.ndarray], times: Times, chance: Chance
) -> dict[str, Any]:
    size = len(events.day)
    mine = people[events.person]
    klass = events.dm
    unwell = (klass == RAISED) & chance.flags(size, 0.5) | chance.flags(size, 0.05)
    takes = mine["takes_drugs"].to_numpy()
    insulin = takes & mine["insulin"].to_numpy()
    fbg = shared["fbg"]
    weak = chance.flags(size, 0.02)
    tested = _tested(events, chance.flags(size, 0.22), fbg <= 10, times.today)
    hba1c = np.round(np.maximum(fbg * 0.9 + 1.5, 1.5 * fbg + 1.6 - 3.6), 1)  # DM-L-007: within 4 of the estimate
    food = mine["person"].to_numpy() % 6 * 50.0 + 200
    columns = _treatment(events, mine, klass, chance)
    columns.pop("_reaction")
    columns |= {
        "symptom_codes": codes(
            (unwell & chance.flags(size, 0.6), "2"),
            (unwell & chance.flags(size, 0.4), "4"),
            (unwell & chance.flags(size, 0.2), "7"),
            ((klass == COMPLICATION), "5"),
        ),
        "dorsalis_code": np.where(weak, "2", "1"),
        "dorsalis_side_code": where(weak, np.array(["1", "2", "3"])[chance.indexes(size, [0.5, 0.25, 0.25])]),
        "staple_food_g": food,
        "staple_food_target_g": np.minimum(food, 350.0),
        "fbg": fbg,
        "ppbg": where(chance.flags(size, 0.25), np.round(fbg + chance.uniform(size, 1.2, 4.0), 1)),
        "hba1c": where(tested, hba1c),
        "hba1c_date": optional_days(events.day - chance.integers(size, 0, 5), tested),
        "hypoglycemia_code": np.where(chance.flags(size, 0.03) & (klass != COMPLICATION), "2", "1"),
        "aux_exam": where(chance.flags(size, 0.04), "尿微量白蛋白阴性"),
        "next_visit_date": _next_visit(events, klass, chance),
        "insulin_type": where(insulin, "门冬胰岛素30"),
        "insulin_usage": where(insulin, "早12U、晚10U，餐前皮下注射"),
    }
    _drugs(DM_DRUGS, 1, np.where(takes, mine["dm_drug"].to_numpy(), -1), columns)
    urgent = (fbg >= 16.7) | (fbg <= 3.9)
    return columns | _referral(events, klass, urgent, "连续两次空腹血糖控制不满意", chance)
