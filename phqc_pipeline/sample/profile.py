"""个人基本信息表 and 专项管理登记卡: one record a resident, one a person and disease.

Belongs here: what these two forms say. Does not belong here: who the people are, what they have.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.sample.calendar import Times, whole_years
from phqc_pipeline.sample.chance import Chance, Ints
from phqc_pipeline.sample.conditions import NEVER, registry_of
from phqc_pipeline.sample.people import DAUGHTER, HEAD, SON, SPOUSE
from phqc_pipeline.sample.places import ELSEWHERE, Institution
from phqc_pipeline.sample.rows import choose, codes, days, entered_days, envelope, frame, optional_days, where

_HOSPITALS = (
    "阿勒泰地区人民医院",
    "阿勒泰市人民医院",
    "阿勒泰地区哈萨克医医院",
    "北屯医院",
    "新疆医科大学第一附属医院",
)
_SURGERY = (
    ("阑尾切除术", "胆囊切除术", "疝修补术", "骨折内固定术"),
    ("剖宫产术", "阑尾切除术", "胆囊切除术", "子宫肌瘤剔除术"),
)
_TRAUMA = ("右前臂骨折", "左踝扭伤", "肋骨骨折", "头皮裂伤", "坠马致腰部挫伤")
_OTHER_DISEASE = ("慢性胃炎", "胆囊结石", "类风湿性关节炎", "腰椎间盘突出", "痛风", "甲状腺结节")
_TUMOR = ("胃癌", "肺癌", "食管癌", "结肠癌", "肝癌")
_TEAMS = ("第一家庭医生团队", "第二家庭医生团队", "第三家庭医生团队")


def doctor_of(people: pl.DataFrame, institution: Institution) -> Ints:
    """The village doctor of each resident: position in ``institution.doctors``."""
    posts = [doctor.village for doctor in institution.doctors]
    by_village = [
        [n for n, post in enumerate(posts) if post == village] for village in range(len(institution.villages))
    ]
    first = np.array([doctors[0] for doctors in by_village])
    second = np.array([doctors[-1] for doctors in by_village])
    village = people["village"].to_numpy()
    return np.where(people["household"].to_numpy() % 2 == 0, first[village], second[village])


def centre_doctors(institution: Institution) -> Ints:
    """Positions of the health centre's own doctors."""
    return np.array([n for n, doctor in enumerate(institution.doctors) if doctor.village is None], dtype=np.int64)


def blood_groups(people: pl.DataFrame, institution: Institution, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """CL_ABO and CL_RH of every resident as the archive knows them (not of everybody)."""
    chance = institution.chance(seed, "blood")
    size = people.height
    return (
        np.array(["1", "2", "3", "4", "5"])[chance.indexes(size, [0.24, 0.27, 0.25, 0.08, 0.16])],
        np.array(["1", "2", "3"])[chance.indexes(size, [0.01, 0.5, 0.49])],
    )


def profiles(people: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, seed: int) -> pl.DataFrame:
    """One record a resident."""
    chance = institution.chance(seed, "profile")
    size = people.height
    person = np.arange(size, dtype=np.int64)
    archive_day = people["archive_day"].to_numpy()
    then = whole_years(people["birth"].to_numpy(), archive_day)
    centre = centre_doctors(institution)
    doctor = np.where(
        chance.flags(size, 0.6), doctor_of(people, institution), centre[chance.indexes(size, [1.0] * len(centre))]
    )
    columns = envelope(people, person, doctor, np.zeros(size, dtype=bool), institution)
    columns |= _social(people, then, blood_groups(people, institution, seed), chance)
    columns |= _illness(people, times, chance)
    columns |= _family(people, chance)
    columns |= _home(people, institution, times, chance)
    changed = _last_change(people, columns, times, chance)
    columns |= {
        "id_type": "01",
        "phone": people["phone"],
        "contact_name": people["contact_name"],
        "contact_phone": people["contact_phone"],
        "archive_org_name": institution.name,
        "archive_creator": columns["doctor_name"],
        "archive_date": days(archive_day),
        "_entered_day": np.minimum(archive_day + chance.indexes(size, [0.7, 0.2, 0.1]), times.today),
        "updated_at": changed,
        "updated_by": where(changed.is_not_null().to_numpy(), columns["doctor_name"]),
        "record_status": np.where(chance.flags(size, 0.12), "5", "1"),
    }
    return frame(cat.forms["resident_profile"], columns, size)


def registry(people: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, seed: int) -> pl.DataFrame:
    """One record a person and disease under management."""
    chance = institution.chance(seed, "registry")
    cards = registry_of(people)
    size = cards.height
    person = cards["person"].to_numpy()
    mine = people[person]
    register, end = cards["register_day"].to_numpy(), cards["end_day"].to_numpy()
    ended = end < NEVER
    status = mine["status"].to_numpy()
    closed = ended & (end != mine["leave_day"].to_numpy())  # treatment completed
    manage = np.select([~ended, closed, status == "2", status == "3"], ["1", "7", "4", "5"], "6")
    reason = np.select([closed, status == "2", status == "3"], ["6", "2", "1"], "3")
    columns = envelope(people, person, doctor_of(mine, institution), chance.flags(size, 0.5), institution)
    columns |= {
        "disease": cards["disease"],
        "diagnosis_date": days(cards["diagnosis_day"]),
        "diagnosis_org": chance.pick(size, _HOSPITALS, [2, 3, 1, 1, 0.5]),
        "register_date": days(register),
        "manage_group": where(
            cards["disease"].to_numpy() == "HTN",
            np.array(["一级管理", "二级管理", "三级管理"])[chance.indexes(size, [0.5, 0.35, 0.15])],
        ),
        "manage_status": manage,
        "end_date": optional_days(end, ended),
        "end_reason": where(ended, reason),
        "source_code": np.array(["1", "2", "3", "4", "5", "6"])[chance.indexes(size, [0.4, 0.3, 0.1, 0.05, 0.1, 0.05])],
        "_entered_day": entered_days(register, times.today, chance),
    }
    return frame(cat.forms["chronic_registry"], columns, size)


def _social(people: pl.DataFrame, then: Ints, blood: tuple[np.ndarray, np.ndarray], chance: Chance) -> dict[str, Any]:
    """Schooling, work, marriage, insurance: as they fit the age at which the archive was made (RES-L-002 … 004)."""
    size = people.height
    age = people["age"].to_numpy()
    relation = people["relation"].to_numpy()
    couple = people["couple"].to_numpy()
    schooled = np.array(["2", "3", "4", "6", "7", "8", "9"])
    older = schooled[chance.indexes(size, [0.01, 0.02, 0.03, 0.05, 0.27, 0.42, 0.2])]
    younger = schooled[chance.indexes(size, [0.09, 0.14, 0.1, 0.17, 0.4, 0.1, 0.0])]
    education = np.where(age >= 50, older, younger)
    education = np.where(then < 12, np.where(age >= 7, "8", "10"), np.where(age < 18, "7", education))
    education = np.where((then < 7) & (age < 7), "10", education)
    works = np.array(["4", "3", "5", "1", "2", "7", "8"])
    worker = works[chance.indexes(size, [0.66, 0.1, 0.05, 0.06, 0.04, 0.05, 0.04])]
    clerk = np.isin(worker, ["1", "2"]) & np.isin(education, ["7", "8", "9", "10"])
    worker = np.where(clerk, "4", worker)
    occupation = np.where(
        age < 16, "8", np.where(then < 16, np.where(age >= 18, "4", "8"), np.where(age >= 70, "4", worker))
    )
    single = np.where(
        (age >= 60) & ~couple,
        "3",
        np.where((age >= 38) & np.isin(relation, [HEAD]), np.where(chance.flags(size, 0.5), "4", "3"), "1"),
    )
    marital = np.where(couple, "2", np.where((relation == "5"), np.where(chance.flags(size, 0.4), "2", "3"), single))
    marital = np.where((then < 14) | (age < 22), "1", marital)
    abo, rhesus = blood
    salaried = np.isin(occupation, ["1", "2"])
    other_pay = chance.flags(size, 0.004)
    return {
        "education_code": education,
        "occupation_code": occupation,
        "marital_code": marital,
        "work_unit": where(
            salaried,
            np.array(["镇中心小学", "镇人民政府", "农牧业技术推广站", "供销社"])[chance.indexes(size, [4, 3, 2, 1])],
        ),
        "ethnic_code": people["ethnic"],
        "blood_abo": abo,
        "blood_rh": rhesus,
        "payment_codes": codes(
            (salaried, "1"),
            (~salaried, "3"),
            (chance.flags(size, 0.06), "4"),
            (chance.flags(size, 0.03), "5"),
            (other_pay, "8"),
        ),
        "payment_other": where(other_pay, "工伤保险"),
    }


def _illness(people: pl.DataFrame, times: Times, chance: Chance) -> dict[str, Any]:
    """Allergies, exposures, past diseases with the month of diagnosis, operations, injuries, transfusions."""
    size = people.height
    age, female = people["age"].to_numpy(), people["female"].to_numpy()
    birth = people["birth"].to_numpy()
    adult = age >= 30
    past = {
        "chd": adult & chance.flags(size, np.where(age >= 60, 0.045, np.where(age >= 45, 0.012, 0))),
        "tumor": adult & chance.flags(size, np.where(age >= 50, 0.006, 0)),
        "stroke": adult & chance.flags(size, np.where(age >= 60, 0.022, np.where(age >= 50, 0.006, 0))),
        "hepatitis": adult & chance.flags(size, 0.009),
        "infectious": adult & chance.flags(size, 0.002),
        "occupational": (age >= 45) & ~female & chance.flags(size, 0.003),
        "other": adult & chance.flags(size, 0.03),
    }
    when = _months_ago(birth, times, chance, size)
    allergy = {
        code: chance.flags(size, share) for code, share in (("2", 0.03), ("3", 0.006), ("4", 0.003), ("5", 0.004))
    }
    surgery = (age >= 20) & chance.flags(size, np.where(female, 0.1, 0.05))
    surgery_2 = surgery & chance.flags(size, 0.06)
    trauma = (age >= 14) & chance.flags(size, 0.025)
    trauma_2 = trauma & chance.flags(size, 0.05)
    transfusion = (age >= 25) & chance.flags(size, 0.006)
    transfusion_2 = transfusion & chance.flags(size, 0.1)
    surgeries = np.array(_SURGERY, dtype=object)
    kind = chance.indexes(size, [1.0] * 4)
    sex = female.astype(np.int64)
    return {
        "allergy_codes": codes(*((mask, code) for code, mask in allergy.items())),
        "allergy_other": where(allergy["5"], "头孢类"),
        "exposure_codes": codes((chance.flags(size, 0.004) & adult, "2"), (chance.flags(size, 0.001) & adult, "4")),
        "past_disease_codes": codes(
            (people["htn"].to_numpy(), "2"),
            (people["dm"].to_numpy(), "3"),
            (past["chd"], "4"),
            (people["copd"].to_numpy(), "5"),
            (past["tumor"], "6"),
            (past["stroke"], "7"),
            (people["smi"].to_numpy(), "8"),
            (people["tb"].to_numpy(), "9"),
            (past["hepatitis"], "10"),
            (past["infectious"], "11"),
            (past["occupational"], "12"),
            (past["other"], "13"),
        ),
        "past_disease_hypertension_date": _month(people["htn_diagnosis"].to_numpy(), people["htn"].to_numpy()),
        "past_disease_diabetes_date": _month(people["dm_diagnosis"].to_numpy(), people["dm"].to_numpy()),
        "past_disease_chd_date": _month(when, past["chd"]),
        "past_disease_copd_date": _month(people["copd_diagnosis"].to_numpy(), people["copd"].to_numpy()),
        "past_disease_tumor_name": where(past["tumor"], chance.pick(size, _TUMOR)),
        "past_disease_tumor_date": _month(when, past["tumor"]),
        "past_disease_stroke_date": _month(when, past["stroke"]),
        "past_disease_smi_date": _month(people["smi_diagnosis"].to_numpy(), people["smi"].to_numpy()),
        "past_disease_tb_date": _month(people["tb_diagnosis"].to_numpy(), people["tb"].to_numpy()),
        "past_disease_hepatitis_date": _month(when, past["hepatitis"]),
        "past_disease_infectious_name": where(past["infectious"], "布鲁氏菌病"),
        "past_disease_infectious_date": _month(when, past["infectious"]),
        "past_disease_occupational_name": where(past["occupational"], "尘肺"),
        "past_disease_other_name": where(past["other"], chance.pick(size, _OTHER_DISEASE)),
        "past_disease_other_date": _month(when, past["other"]),
        "surgery_flag": np.where(surgery, "2", "1"),
        "surgery_name_1": where(surgery, surgeries[sex, kind]),
        "surgery_date_1": optional_days(when, surgery),
        "surgery_name_2": where(surgery_2, "白内障手术"),
        "surgery_date_2": optional_days(when + 20, surgery_2),
        "trauma_flag": np.where(trauma, "2", "1"),
        "trauma_name_1": where(trauma, chance.pick(size, _TRAUMA)),
        "trauma_date_1": optional_days(when - 7, trauma),
        "trauma_name_2": where(trauma_2, "手部切割伤"),
        "trauma_date_2": optional_days(when + 9, trauma_2),
        "transfusion_flag": np.where(transfusion, "2", "1"),
        "transfusion_reason_1": where(transfusion, np.where(female, "产后出血", "外伤失血")),
        "transfusion_date_1": optional_days(when - 3, transfusion),
        "transfusion_reason_2": where(transfusion_2, "手术失血"),
        "transfusion_date_2": optional_days(when + 5, transfusion_2),
    }


def _months_ago(birth: Ints, times: Times, chance: Chance, size: int) -> Ints:
    """A day between youth and half a year ago."""
    start = birth + 19 * 366
    end = np.maximum(times.today - 200, start + 10)
    day = start + np.floor((0.35 + 0.65 * chance.uniform(size)) * (end - start)).astype(np.int64)
    return np.maximum(np.minimum(day, times.today - 180), birth + 60)


def _month(day: Ints, known: np.ndarray) -> pl.Series:
    """The month of a day (its first, as ``ym`` is read)."""
    return pl.select(optional_days(day, known).dt.month_start()).to_series()


def _family(people: pl.DataFrame, chance: Chance) -> dict[str, Any]:
    """Family history of the four degrees, hereditary disease, disability."""
    size = people.height
    age = people["age"].to_numpy()
    found: dict[str, Any] = {}
    other = np.zeros(size, dtype=bool)
    for name, share in (("father", 0.09), ("mother", 0.1), ("sibling", 0.05), ("child", 0.012)):
        able = age >= (30 if name == "child" else 0)
        rare = able & chance.flags(size, 0.002)
        other |= rare
        found[f"family_{name}_codes"] = codes(
            (able & chance.flags(size, share), "2"),
            (able & chance.flags(size, share * 0.4), "3"),
            (able & chance.flags(size, share * 0.15), "4"),
            (able & chance.flags(size, share * 0.15), "7"),
            (rare, "12"),
        )
    hereditary = chance.flags(size, 0.001)
    disabled = {
        code: chance.flags(size, share)
        for code, share in (("2", 0.003), ("3", 0.004), ("4", 0.001), ("5", 0.012), ("6", 0.002), ("8", 0.001))
    }
    return found | {
        "family_other": where(other, "痛风"),
        "hereditary_flag": np.where(hereditary, "2", "1"),
        "hereditary_name": where(hereditary, "红绿色盲"),
        "disability_codes": codes(
            *((mask, code) for code, mask in disabled.items()),
            (people["smi"].to_numpy() & chance.flags(size, 0.5), "7"),
        ),
        "disability_other": where(disabled["8"], "多重残疾"),
    }


def _home(people: pl.DataFrame, institution: Institution, times: Times, chance: Chance) -> dict[str, Any]:
    """Addresses, the house, the household, key groups, the family doctor's contract."""
    size = people.height
    household = people["household"].to_numpy()
    houses = int(household.max()) + 1
    village = people["village"].to_numpy()
    away = np.isin(people["id_region"].to_numpy(), list(ELSEWHERE)) & chance.flags(size, 0.3)
    house_number = pl.Series(chance.integers(houses, 1, 260)[household]).cast(pl.String)
    town = f"新疆{institution.county_name}{institution.town_name}"
    villages = [v.name for v in institution.villages]
    here = pl.select(pl.lit(town) + choose(villages, village) + house_number + pl.lit("号")).to_series()
    there = pl.select(
        pl.Series(people["id_region"]).replace_strict(ELSEWHERE, default="")
        + pl.lit("城关镇")
        + house_number
        + pl.lit("号")
    ).to_series()
    conditions = {
        "kitchen_exhaust_code": (["1", "2", "3", "4"], [0.1, 0.5, 0.1, 0.3]),
        "fuel_code": (["1", "2", "3", "5"], [0.25, 0.5, 0.05, 0.2]),
        "water_code": (["1", "2", "3"], [0.9, 0.03, 0.07]),
        "toilet_code": (["1", "2", "3", "5"], [0.55, 0.15, 0.1, 0.2]),
        "livestock_code": (["1", "2", "4"], [0.35, 0.5, 0.15]),
    }
    house = {
        name: np.array(values)[chance.indexes(houses, shares)][household]
        for name, (values, shares) in conditions.items()
    }
    relation = people["relation"].to_numpy()
    age = people["age"].to_numpy()
    signed = chance.flags(size, np.where(age >= 60, 0.85, 0.45))
    archive = people["archive_day"].to_numpy()
    sign_day = np.minimum(
        np.maximum(archive, times.history_start - 400) + chance.integers(size, 1, 300), times.today - 1
    )
    groups = codes(
        (age >= 65, "1"),
        (people["htn"].to_numpy(), "2"),
        (people["dm"].to_numpy(), "3"),
        (people["copd"].to_numpy(), "4"),
        (people["smi"].to_numpy(), "5"),
        (age < 7, "8"),
        ((age >= 7) & (age < 65) & ~(people["htn"] | people["dm"] | people["copd"] | people["smi"]).to_numpy(), "99"),
    )
    centre = pl.Series(household).cast(pl.String).str.zfill(5)
    assert set(np.unique(relation)) <= {HEAD, SPOUSE, SON, DAUGHTER, "4", "5"}
    return house | {
        "residence_type": np.where(away, "2", "1"),
        "household_address": pl.select(pl.when(pl.Series(away)).then(there).otherwise(here)).to_series(),
        "current_address": here,
        "town_name": institution.town_name,
        "village_name": choose(villages, village),
        "household_id": pl.select(
            choose([v.region_code for v in institution.villages], village) + pl.lit("H") + centre
        ).to_series(),
        "household_head_name": people["head_name"],
        "household_head_id_card": people["head_id_card"],
        "household_relation": relation,
        "crowd_tags": groups,
        "sign_team": where(signed, np.array(_TEAMS)[household % 3]),
        "sign_date": optional_days(sign_day, signed),
    }


def _last_change(people: pl.DataFrame, columns: dict[str, Any], times: Times, chance: Chance) -> pl.Series:
    """When the archive was last changed: after each registration and change of status, NULL when never."""
    size = people.height
    status_day = people["status_day"].to_numpy()
    day = np.where(status_day < NEVER, status_day, -1)
    for disease in ("htn", "dm", "copd", "smi", "tb"):
        day = np.maximum(day, np.where(people[disease].to_numpy(), people[f"{disease}_register"].to_numpy(), -1))
    onset = [
        columns[name]
        for name in columns
        if name.startswith(("past_disease_", "surgery_date", "trauma_date", "transfusion_date"))
        and name.endswith(("_date", "_1", "_2"))
    ]
    for series in onset:
        if isinstance(series, pl.Series) and series.dtype == pl.Date:
            day = np.maximum(day, series.cast(pl.Int32).fill_null(-1).to_numpy() + 1)
    archive = people["archive_day"].to_numpy()
    reviewed = chance.flags(size, 0.3)
    day = np.where(reviewed, np.maximum(day, archive + 200), day)
    day = np.minimum(day + chance.integers(size, 1, 6), times.today)
    changed = day > archive + 6
    minute = chance.integers(size, 600, 1169)
    stamp = pl.Series((day * 1440 + minute) * 60_000_000).cast(pl.Datetime("us"))
    return pl.select(pl.when(pl.Series(changed)).then(stamp)).to_series()
