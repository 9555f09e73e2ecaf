"""Forms of children under seven: 新生儿家庭访视, the three 健康检查 sheets, 儿童中医药.

Belongs here: when a child is seen and what these forms say. Does not belong here: who the child is, how it was born
and how tall it is for its age (``births``, ``growth``), vaccination (``vaccination``).

A child is examined within weeks of reaching an age of the schedule, every child with its own delay, so that a year lies
between the examinations of two years. Chinese medicine is given on the same day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.sample.births import births, history_start
from phqc_pipeline.sample.calendar import (
    Times,
    months_after,
    parts,
    working_day_at_or_after,
    working_day_at_or_before,
    year_start,
)
from phqc_pipeline.sample.chance import Bools, Chance, Floats, Ints
from phqc_pipeline.sample.growth import HEAD, LENGTH, WEIGHT, Growth
from phqc_pipeline.sample.people import first_home_visit
from phqc_pipeline.sample.places import Institution
from phqc_pipeline.sample.profile import centre_doctors
from phqc_pipeline.sample.rows import codes, days, entered_days, envelope, every, frame, optional_days, where

# Stage as the form codes it, and the age it stands for in months.
_INFANT = (("1", 1), ("3", 3), ("6", 6), ("8", 8))
_TODDLER = (("12", 12), ("18", 18), ("24", 24), ("30", 30))
_PRESCHOOL = (("3", 36), ("4", 48), ("5", 60), ("6", 72))
_NEXT = {1: 3, 3: 6, 6: 8, 8: 12, 12: 18, 18: 24, 24: 30, 30: 36, 36: 48, 48: 60, 60: 72}
_MEDICINE = ("6", "12", "18", "24", "30", "36")  # months with Chinese medicine; 36 on the day of the 3-year examination

_JOBS = ("农民", "牧民", "个体经营", "务工", "教师", "公务员", "待业")
_CHILD_CLINIC = "儿科"

# What may be out of order: column → what is written about it. The code is 2 but for a lump at the neck (1).
_NEWBORN_ORGANS = {
    "eye_code": "双眼少许分泌物",
    "oral_code": "口腔黏膜见白膜，疑鹅口疮",
    "cardiopulm_code": "心前区闻及Ⅱ级收缩期杂音",
    "genital_code": "左侧鞘膜积液",
    "limb_code": "双髋外展稍受限",
}
_INFANT_ORGANS = {
    "skin_code": "面部散在湿疹",
    "eye_code": "左眼溢泪",
    "ear_code": "右耳前瘘管",
    "chest_code": "双肺呼吸音粗",
    "abdomen_code": "脐疝，可回纳",
    "limb_code": "臀纹不对称",
    "anogenital_code": "包茎",
}
_TODDLER_ORGANS = {
    "skin_code": "四肢散在皮疹",
    "eye_code": "结膜充血",
    "ear_code": "右耳前瘘管",
    "chest_code": "双肺呼吸音粗",
    "abdomen_code": "腹胀",
    "limb_code": "双膝内翻",
}
_PRESCHOOL_ORGANS = {"chest_code": "双肺呼吸音粗", "abdomen_code": "右侧腹股沟包块"}


@dataclass(frozen=True)
class Visits:
    """Examinations as parallel arrays: ``row`` in the births, day, months of the stage, the stage's code."""

    row: Ints
    day: Ints
    months: Ints
    stage: np.ndarray
    following: Ints  # day of the next one, not before the day after

    def __len__(self) -> int:
        return len(self.row)

    def take(self, keep: Any) -> Visits:
        return Visits(self.row[keep], self.day[keep], self.months[keep], self.stage[keep], self.following[keep])


def child_services(
    people: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, seed: int
) -> dict[str, pl.DataFrame]:
    """The five forms' records."""
    born = births(people, institution, times, cat, seed)
    chance = institution.chance(seed, "children")
    made = {"newborn_visit": _newborn(people, born, institution, times, cat, chance)}
    delay = chance.integers(born.height, 0, 18)
    medicine: list[Visits] = []
    for form_id, stages, columns in (
        ("child_exam_1_8m", _INFANT, _infant_columns),
        ("child_exam_12_30m", _TODDLER, _toddler_columns),
        ("child_exam_3_6y", _PRESCHOOL, _preschool_columns),
    ):
        seen = _visits(people, born, stages, delay, institution, times)
        medicine.append(seen.take(np.isin(seen.months, [int(one) for one in _MEDICINE])))
        shared = _shared_columns(people, born, seen, institution, times, chance)
        own = columns(born, seen, Growth(cat), chance)
        stage = "year_stage" if form_id == "child_exam_3_6y" else "month_stage"
        made[form_id] = frame(cat.forms[form_id], shared | own | {stage: seen.stage}, len(seen))
    names = ("row", "day", "months", "stage", "following")
    treated = Visits(*(np.concatenate([getattr(one, name) for one in medicine]) for name in names))
    made["child_tcm"] = _chinese_medicine(people, born, treated, institution, times, cat, chance)
    return made


def child_doctors(institution: Institution, household: Ints, post: int) -> Ints:
    """The two doctors of the health centre who look after children (post 0), mothers (1), vaccination (2)."""
    centre = centre_doctors(institution)
    return centre[(2 * post + household % 2) % len(centre)]


def _visits(
    people: pl.DataFrame,
    born: pl.DataFrame,
    stages: Sequence[tuple[str, int]],
    delay: Ints,
    institution: Institution,
    times: Times,
) -> Visits:
    """The examinations of some stages that took place: while the child was here, within the history."""
    birth, child = born["birth"].to_numpy(), born["child"].to_numpy()
    first = np.maximum(people["archive_day"].to_numpy()[child], history_start(institution, times))
    last = np.minimum(people["leave_day"].to_numpy()[child] - 3, times.today)
    rows, found, months, codes_, following = [], [], [], [], []
    for stage, age in stages:
        due = months_after(birth, age)
        day = working_day_at_or_after(due + delay)
        if age >= 36:  # one in every calendar year
            year_end = np.array([year_start(year + 1) - 1 for year in parts(due)[0].tolist()], dtype=np.int64)
            day = np.minimum(day, working_day_at_or_before(year_end))
        kept = np.flatnonzero((day >= first) & (day <= last))
        rows.append(kept)
        found.append(day[kept])
        months.append(np.full(len(kept), age))
        codes_.append(np.full(len(kept), stage))
        coming = working_day_at_or_after(months_after(birth, _NEXT.get(age, age + 12)) + delay)
        following.append(coming[kept])
    return Visits(
        np.concatenate(rows),
        np.concatenate(found),
        np.concatenate(months),
        np.concatenate(codes_),
        np.concatenate(following),
    )


def _signed(people: pl.DataFrame, person: Ints, household: Ints, institution: Institution, post: int) -> dict[str, Any]:
    doctor = child_doctors(institution, household, post)
    return envelope(people, person, doctor, np.zeros(len(person), dtype=bool), institution)


# --- newborn ------------------------------------------------------------------------------------------------------


def _newborn(
    people: pl.DataFrame, born: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, chance: Chance
) -> pl.DataFrame:
    """One home visit in the second week of life. Some newborns have no identity number yet."""
    seen = born.filter(pl.col("here") & (pl.col("birth") >= history_start(institution, times)))
    size = seen.height
    person, birth = seen["child"].to_numpy(), seen["birth"].to_numpy()
    day = first_home_visit(birth)
    columns = _signed(people, person, seen["household"].to_numpy(), institution, 0)
    columns["id_card_no"] = where(chance.flags(size, 0.7), columns["id_card_no"])
    columns["_entered_day"] = entered_days(day, times.today, chance)
    weight = seen["birth_weight"].to_numpy()
    now = np.round(weight * chance.uniform(size, 0.97, 1.0) + 0.028 * np.maximum(day - birth - 5, 0), 2)
    asphyxia = chance.flags(size, 0.01)
    first = np.where(asphyxia, chance.integers(size, 5, 6), chance.integers(size, 9, 10)).astype(np.float64)
    diabetic = chance.flags(size, 0.05)
    ill = ~diabetic & chance.flags(size, 0.03)
    milk = chance.pick(size, ["1", "2", "3"], [7, 2, 1])
    jaundice = chance.indexes(size, [0.55, 0.3, 0.15])
    organs, told = _organs(_NEWBORN_ORGANS, 0.04, size, chance)
    screened = chance.flags(size, 0.93)
    referred = chance.flags(size, 0.5) & (told != "")
    names = ("ear_code", "nose_code", "abdomen_code", "neck_mass_code", "skin_code", "anus_code", "chest_code")
    normal = dict.fromkeys((*names, "spine_code", "complexion_code", "fontanelle_code", "vomit_code"), "1")
    one = {name: seen[name] for name in ("father_name", "mother_name", "mother_phone")}
    own = {
        **normal,
        **organs,
        **one,
        "father_job": chance.pick(size, _JOBS, [6, 4, 2, 3, 1, 1, 0.5]),
        "father_phone": seen["father_phone"],
        "father_birth": days(seen["father_birth"]),
        "mother_job": chance.pick(size, _JOBS, [5, 3, 2, 2, 1, 1, 3]),
        "mother_birth": days(seen["mother_birth"]),
        "gest_weeks": seen["gest_days"].to_numpy() // 7,
        "preg_disease_codes": codes((diabetic, "2"), (ill, "4")),
        "preg_disease_other": where(ill, "妊娠期甲状腺功能减退"),
        "delivery_org": seen["org"],
        "birth_mode_codes": codes(
            (~seen["caesarean"].to_numpy() & ~seen["assisted"].to_numpy(), "1"),
            (seen["assisted"].to_numpy(), "3"),
            (seen["caesarean"].to_numpy(), "4"),
            (seen["twin"].to_numpy(), "5"),
        ),
        "asphyxia_code": np.where(asphyxia, "2", "1"),
        "apgar_1": first,
        "apgar_5": np.minimum(first + np.where(asphyxia, 3, 1), 10),
        "deformity_code": "1",
        "hearing_screen_code": chance.pick(size, ["1", "2", "3"], [0.95, 0.02, 0.03]),
        "disease_screen_codes": codes((screened, "2")),
        "birth_weight_kg": weight,
        "current_weight_kg": np.maximum(now, np.round(weight * 0.94, 2)),
        "birth_length_cm": seen["birth_length"],
        "feeding_code": milk,
        "milk_ml": where(milk != "1", chance.integers(size, 5, 10) * 10.0),
        "milk_times": chance.integers(size, 8, 12).astype(np.float64),
        "stool_code": chance.pick(size, ["1", "2"], [0.95, 0.05]),
        "stool_times": chance.integers(size, 2, 6).astype(np.float64),
        "temperature": np.round(36.3 + chance.uniform(size) * 0.8, 1),
        "heart_rate": chance.integers(size, 118, 148).astype(np.float64),
        "resp_rate": chance.integers(size, 36, 50).astype(np.float64),
        "jaundice_codes": codes((jaundice >= 1, "2"), (jaundice == 2, "3")),
        "fontanelle_x": np.round(1.3 + chance.uniform(size) * 0.9, 1),
        "fontanelle_y": np.round(1.3 + chance.uniform(size) * 0.9, 1),
        "cord_code": np.where((day - birth <= 9) & chance.flags(size, 0.45), "1", "2"),
        "abn_desc": where(told != "", told),
        **_referral(referred, told, institution, size),
        "guide_codes": _guidance(size, (0.8, 0.9, 0.7, 0.3), chance),
        "visit_date": days(day),
        "next_visit_place": f"{institution.town_name}卫生院儿童保健室",
        "next_visit_date": days(working_day_at_or_after(months_after(birth, 1))),
        "visit_doctor": columns["doctor_name"],
    }
    return frame(cat.forms["newborn_visit"], columns | own, size)


# --- examinations -------------------------------------------------------------------------------------------------


def _shared_columns(
    people: pl.DataFrame, born: pl.DataFrame, seen: Visits, institution: Institution, times: Times, chance: Chance
) -> dict[str, Any]:
    """Who, when, by whom, the development, guidance and the next date: the same on the three sheets."""
    size = len(seen)
    person, household = born["child"].to_numpy()[seen.row], born["household"].to_numpy()[seen.row]
    columns = _signed(people, person, household, institution, 0)
    return columns | {
        "_entered_day": entered_days(seen.day, times.today, chance),
        "visit_date": days(seen.day),
        "guide_codes": _guidance(size, (0.85, 0.9, 0.8, 0.5), chance),
        "next_visit_date": optional_days(seen.following, seen.months < 72),
        "visit_doctor": columns["doctor_name"],
        **_referral(np.zeros(size, dtype=bool), np.full(size, ""), institution, size),
    }


def _infant_columns(born: pl.DataFrame, seen: Visits, growth: Growth, chance: Chance) -> dict[str, Any]:
    size, months = len(seen), seen.months
    organs, told = _organs(_INFANT_ORGANS, 0.05, size, chance)
    tested = (months == 8) | ((months == 6) & chance.flags(size, 0.5))
    open_ = np.ones(size, dtype=bool)
    sign = (months >= 6) & chance.flags(size, 0.01)
    return {
        **_body(born, seen, growth, chance, decimals=2),
        "head_cm": _head(born, seen, growth, chance),
        "complexion_code": "1",
        **organs,
        **_fontanelle(open_, months, chance),
        "neck_mass_code": where(months != 8, "2"),
        "hearing_code": where(months == 6, "1"),
        "oral_code": where(months <= 3, "1"),
        "teeth_count": where(months >= 6, np.where(months == 6, 0.0, 2.0) + chance.integers(size, 0, 2)),
        "umbilicus_code": where(months <= 3, np.where(months == 1, "2", "1")),
        "rickets_symptom_codes": _where_list(months >= 3, codes((chance.flags(size, 0.06), "3"))),
        "rickets_sign_codes": _where_list(months >= 3, codes((sign, "7"))),
        "outdoor_hours": np.round(np.clip(months * 0.2, 0.5, 1.5) + chance.integers(size, 0, 2) * 0.5, 1),
        "vitd_iu": np.full(size, 400.0),
        "dev_warning_codes": _where_list(months >= 3, every(size, ["0"])),
        **_blood_and_illness(tested, chance),
        "abn_desc": where(told != "", told),
    }


def _toddler_columns(born: pl.DataFrame, seen: Visits, growth: Growth, chance: Chance) -> dict[str, Any]:
    size, months = len(seen), seen.months
    organs, told = _organs(_TODDLER_ORGANS, 0.04, size, chance)
    closes = 11 + born["child"].to_numpy()[seen.row] * 7919 % 8  # months of age
    teeth = np.select([months == 12, months == 18, months == 24], [6, 12, 16], 19) + chance.integers(size, -2, 1)
    decayed = np.where(chance.flags(size, np.where(months >= 24, 0.12, 0.02)), chance.integers(size, 1, 2), 0)
    return {
        **_body(born, seen, growth, chance, decimals=2),
        "complexion_code": "1",
        **organs,
        **_fontanelle(closes > months, months, chance, told=months <= 18),
        "hearing_code": where(np.isin(months, [12, 24]), "1"),
        "teeth_count": teeth.astype(np.float64),
        "caries_count": decayed.astype(np.float64),
        "gait_code": where(months >= 18, "1"),
        "rickets_sign_codes": _where_list(months <= 24, codes((chance.flags(size, 0.01), "6"))),
        "outdoor_hours": np.round(1.5 + chance.integers(size, 0, 4) * 0.5, 1),
        "vitd_iu": where(months <= 24, 400.0),
        "dev_warning_codes": every(size, ["0"]),
        **_blood_and_illness(np.isin(months, [18, 30]), chance),
        "abn_desc": where(told != "", told),
    }


def _preschool_columns(born: pl.DataFrame, seen: Visits, growth: Growth, chance: Chance) -> dict[str, Any]:
    size, months = len(seen), seen.months
    organs, told = _organs(_PRESCHOOL_ORGANS, 0.01, size, chance)
    body = _body(born, seen, growth, chance, decimals=1)
    teeth = np.where(months >= 72, chance.integers(size, 20, 24), 20)
    decayed = np.where(chance.flags(size, 0.3), chance.integers(size, 1, 4), 0)
    left = np.where(months >= 60, 4.9, 4.8) + chance.integers(size, 0, 2) * 0.1
    right = np.where(chance.flags(size, 0.7), left, np.where(months >= 60, 5.0, 4.9))
    return {
        "weight_kg": body["weight_kg"],
        "weight_eval": body["weight_eval"],
        "height_cm": body["length_cm"],
        "height_eval": body["length_eval"],
        "wfh_eval": "2",
        "growth_eval_code": "1",
        "vision_left": where(months >= 48, np.round(left, 1)),
        "vision_right": where(months >= 48, np.round(right, 1)),
        "hearing_code": where(months == 36, "1"),
        "teeth_count": teeth.astype(np.float64),
        "caries_count": decayed.astype(np.float64),
        **organs,
        "pe_other": where(told != "", told),
        "dev_warning_codes": every(size, ["0"]),
        **_blood_and_illness(np.ones(size, dtype=bool), chance),
    }


def _body(born: pl.DataFrame, seen: Visits, growth: Growth, chance: Chance, decimals: int) -> dict[str, Any]:
    """Weight and length by the child's scores; what lies within two deviations is 中."""
    child = born[seen.row]
    female, birth = child["female"].to_numpy(), child["birth"].to_numpy()
    size = len(seen)
    weight = child["score_weight"].to_numpy() + chance.normal(size, 0, 0.06)
    length = child["score_length"].to_numpy() + chance.normal(size, 0, 0.03)
    middle = np.full(size, "2")
    return {
        "weight_kg": np.round(growth.measure(WEIGHT, female, birth, seen.day, weight), decimals),
        "weight_eval": middle,
        "length_cm": np.round(growth.measure(LENGTH, female, birth, seen.day, length), 1),
        "length_eval": middle,
    }


def _head(born: pl.DataFrame, seen: Visits, growth: Growth, chance: Chance) -> Floats:
    child = born[seen.row]
    score = child["score_head"].to_numpy() + chance.normal(len(seen), 0, 0.04)
    return np.round(growth.measure(HEAD, child["female"].to_numpy(), child["birth"].to_numpy(), seen.day, score), 1)


def _fontanelle(open_: Bools, months: Ints, chance: Chance, told: Any = True) -> dict[str, Any]:
    """Open or closed where it is told, with its size when open: the smaller the older."""
    size = len(months)
    asked = np.broadcast_to(np.asarray(told, dtype=bool), (size,))
    wide = np.clip(2.1 - months * 0.07 + chance.uniform(size) * 0.3, 0.5, 2.4)
    return {
        "fontanelle_code": where(asked, np.where(open_, "2", "1")),
        "fontanelle_x": where(asked & open_, np.round(wide, 1)),
        "fontanelle_y": where(asked & open_, np.round(np.maximum(wide - 0.2, 0.4), 1)),
    }


def _blood_and_illness(tested: Bools, chance: Chance) -> dict[str, Any]:
    """Haemoglobin, and what the child had since the last time; anaemia is told and treated."""
    size = len(tested)
    hgb = np.round(np.clip(chance.normal(size, 122, 7), 101, 144))
    anaemic = tested & (hgb < 110)
    pneumonia, diarrhoea = chance.flags(size, 0.015), chance.flags(size, 0.06)
    trauma, cold = chance.flags(size, 0.012), chance.flags(size, 0.09)
    return {
        "hgb": where(tested, hgb),
        "illness_codes": codes((pneumonia, "2"), (diarrhoea, "3"), (trauma, "4"), (cold | anaemic, "5")),
        "pneumonia_times": where(pneumonia, 1.0),
        "diarrhea_times": where(diarrhoea, chance.integers(size, 1, 2).astype(np.float64)),
        "trauma_times": where(trauma, 1.0),
        "illness_other": where(cold | anaemic, np.where(anaemic, "轻度贫血，已指导补铁", "上呼吸道感染")),
    }


# --- Chinese medicine ---------------------------------------------------------------------------------------------


def _chinese_medicine(
    people: pl.DataFrame,
    born: pl.DataFrame,
    seen: Visits,
    institution: Institution,
    times: Times,
    cat: Catalogue,
    chance: Chance,
) -> pl.DataFrame:
    size = len(seen)
    columns = _signed(
        people, born["child"].to_numpy()[seen.row], born["household"].to_numpy()[seen.row], institution, 0
    )
    other = chance.flags(size, 0.05)
    everything = np.ones(size, dtype=bool)
    own = {
        "_entered_day": entered_days(seen.day, times.today, chance),
        "month_stage": np.where(seen.months == 36, "36", seen.stage),
        "visit_date": days(seen.day),
        "service_codes": codes((everything, "1"), (everything, "2"), (everything, "3"), (other, "4")),
        "service_other": where(other, "发放中医育儿手册"),
        "next_visit_date": optional_days(seen.following, seen.months < 36),
        "visit_doctor": columns["doctor_name"],
    }
    return frame(cat.forms["child_tcm"], columns | own, size)


# --- helpers ------------------------------------------------------------------------------------------------------


def _organs(
    told: Mapping[str, str], share: float, size: int, chance: Chance
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Each column's code, 异常 for at most one organ of a child, and what is written about it ('' if nothing)."""
    chosen = np.where(chance.flags(size, share), chance.indexes(size, [1.0] * len(told)), -1)
    columns = {name: np.where(chosen == place, "2", "1") for place, name in enumerate(told)}
    words = np.array([*told.values(), ""], dtype=object)
    return columns, words[chosen].astype(str)


def _referral(referred: Bools, reason: np.ndarray, institution: Institution, size: int) -> dict[str, Any]:
    return {
        "referral_flag": np.where(referred, "2", "1"),
        "referral_reason": where(referred, reason),
        "referral_org": where(referred, f"{institution.county_name}人民医院{_CHILD_CLINIC}"),
    }


def _where_list(mask: Bools, values: pl.Series) -> pl.Series:
    return pl.select(pl.when(pl.Series(mask)).then(values)).to_series()


def _guidance(size: int, shares: Sequence[float], chance: Chance) -> pl.Series:
    """Feeding is always spoken of (1), development, prevention, injuries and teeth (2 … 5) as often as told."""
    others = codes(*((chance.flags(size, share), str(code)) for code, share in enumerate(shares, 2)))
    return others.to_frame("c").select(pl.concat_list(pl.lit("1"), "c").list.unique(maintain_order=True)).to_series()
