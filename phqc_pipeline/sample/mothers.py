"""Forms of pregnancy, delivery and after: 第1次产前检查, 第2～5次产前随访, 分娩登记, 产后访视, 产后42天.

Belongs here: when a woman is seen and what these forms say. Does not belong here: who is pregnant and how the child was
born (``births``).

Weeks are counted from the last period. Weight, fundal height and girth grow with them; a woman is seen five times
before delivery, with her child in the first days at home, and once more after six weeks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.sample.births import births, pregnancies
from phqc_pipeline.sample.calendar import (
    Times,
    whole_years,
    working_day_at_or_after,
    working_day_at_or_before,
)
from phqc_pipeline.sample.chance import Bools, Chance, Floats, Ints
from phqc_pipeline.sample.children import child_doctors
from phqc_pipeline.sample.conditions import NEVER
from phqc_pipeline.sample.people import HEAD, first_home_visit
from phqc_pipeline.sample.places import Institution
from phqc_pipeline.sample.profile import blood_groups
from phqc_pipeline.sample.rows import codes, days, entered_days, envelope, every, frame, where
from phqc_pipeline.sample.visits import weights_on

_TERM = 280  # days from the last period to the day expected
_FIRST = (46, 88)  # days of gestation at the first examination: before the end of week 12
# Which visit, days of gestation from and to (16～20, 21～24, 28～36, 37～40 weeks).
_LATER = ((2, 113, 136), (3, 148, 166), (4, 200, 236), (5, 260, 266))
_COMPLAINTS = ("无不适", "无特殊不适", "偶有恶心", "腰背酸痛", "下肢轻度水肿")
_MOODS = ("情绪稳定", "良好", "精神好，情绪平稳")


def maternal_services(
    people: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, seed: int
) -> dict[str, pl.DataFrame]:
    """The five forms' records."""
    born = births(people, institution, times, cat, seed)
    found = pregnancies(people, born, institution, times, seed)
    chance = institution.chance(seed, "mothers")
    first = working_day_at_or_after(found["lmp"].to_numpy() + chance.integers(found.height, *_FIRST) - 4)
    later = _later_visits(found, chance)
    care = _Care(people, found, institution, times, cat, chance)
    return {
        "prenatal_first": care.first(first, later[0], seed),
        "prenatal_followup": care.later(later),
        "delivery_record": care.deliveries(born),
        "postpartum_visit": care.at_home(),
        "postpartum_42d": care.six_weeks(),
    }


def mothers_archives(
    frames: Mapping[str, pl.DataFrame],
    people: pl.DataFrame,
    institution: Institution,
    times: Times,
    cat: Catalogue,
    seed: int,
) -> dict[str, pl.DataFrame]:
    """The profiles, brought up to date: a woman who gave birth is no longer archived as unmarried (XFM-X-016). Of one
    archived as a child it is not told (RES-L-002 looks at her age then)."""
    profiles = frames["resident_profile"]
    mothers = frames["delivery_record"]["_person"].unique().implode()
    grown = pl.col("birth_date").dt.offset_by("14y") <= pl.col("archive_date")
    single = pl.col("_person").is_in(mothers) & (pl.col("marital_code") == "1")
    code = pl.when(single & grown).then(pl.lit("2")).when(single).then(pl.lit("5")).otherwise("marital_code")
    return {"resident_profile": profiles.with_columns(code.alias("marital_code"))}


def _later_visits(found: pl.DataFrame, chance: Chance) -> list[Ints]:
    """Days of the second to the fifth visit of each pregnancy, the last before delivery."""
    lmp, end = found["lmp"].to_numpy(), found["end"].to_numpy()
    planned = [working_day_at_or_after(lmp + chance.integers(found.height, low, high - 4)) for _, low, high in _LATER]
    before = np.minimum(end - 1, lmp + _TERM + 20)
    planned[-1] = np.where(planned[-1] > before, working_day_at_or_before(before), planned[-1])
    return planned


class _Care:
    """The records of one institution's pregnancies, form by form."""

    def __init__(
        self,
        people: pl.DataFrame,
        found: pl.DataFrame,
        institution: Institution,
        times: Times,
        cat: Catalogue,
        chance: Chance,
    ) -> None:
        self.people, self.institution, self.times, self.cat, self.chance = people, institution, times, cat, chance
        self.found = found
        size = found.height
        self.gain = np.clip(chance.normal(size, 12.5, 2.2), 7.5, 17.5)  # kg at term
        self.girth = 78 + chance.normal(size, 0, 3.0)  # cm at 20 weeks
        self.pressure = np.clip(chance.normal(size, 110, 6), 96, 124)
        self.blood = np.clip(chance.normal(size, 122, 7), 106, 142)  # g/L at the beginning

    # The day of each record, and which pregnancies it is of, come first in every method; then what the form says.

    def first(self, day: Ints, following: Ints, seed: int) -> pl.DataFrame:
        row = np.flatnonzero(day <= self.times.today)
        day, following = day[row], following[row]
        size = len(row)
        mine = self.found[row]
        mother = mine["mother"].to_numpy()
        columns = self._signed(row, day)
        gestation = day - mine["lmp"].to_numpy()
        weight, height = self._weight(row, day), np.round(self.people["height"].to_numpy()[mother], 1)
        systolic, diastolic = self._pressure(row)
        earlier = mine["earlier"].to_numpy()
        lost = np.where(self.chance.flags(size, 0.18), 1, 0)
        operated = (earlier > 0) & self.chance.flags(size, 0.3)
        caesarean = np.where(operated, 1, 0)
        surgery = self.chance.flags(size, 0.03)
        own = {
            "fill_date": days(day),
            "gest_weeks": gestation // 7,
            "gest_days": gestation % 7,
            "mother_age": whole_years(self.people["birth"].to_numpy()[mother], day),
            **self._husband(mother, day),
            "gravidity": 1 + earlier + lost,
            "parity_vaginal": earlier - caesarean,
            "parity_cesarean": caesarean,
            "lmp_date": days(mine["lmp"]),
            "edd_date": days(mine["lmp"] + _TERM),
            "past_history_codes": codes((self.chance.flags(size, 0.03), "6"), (self.chance.flags(size, 0.01), "4")),
            "family_history_codes": codes((self.chance.flags(size, 0.01), "2")),
            "personal_history_codes": codes((self.chance.flags(size, 0.01), "4")),
            "gyn_surgery_flag": np.where(operated | surgery, "2", "1"),
            "gyn_surgery_desc": where(operated | surgery, np.where(operated, "剖宫产术", "卵巢囊肿剥除术")),
            "hist_spont_abortion": np.where(lost == 1, earlier % 2, 0),
            "hist_induced_abortion": np.where(lost == 1, 1 - earlier % 2, 0),
            **dict.fromkeys(("hist_fetal_death", "hist_stillbirth", "hist_neonatal_death", "hist_birth_defect"), 0),
            "height_cm": height,
            "weight_kg": weight,
            "bmi": np.round(weight / (height / 100) ** 2, 1),
            "sbp": systolic,
            "dbp": diastolic,
            **dict.fromkeys(("heart_code", "lung_code", "vulva_code", "vagina_code", "uterus_code"), "1"),
            "adnexa_code": "1",
            **self._laboratory(row, mother, seed),
            "next_visit_date": days(np.minimum(following, day + 56)),
            "visit_doctor": columns["doctor_name"],
        }
        return frame(self.cat.forms["prenatal_first"], columns | own, size)

    def later(self, visits: list[Ints]) -> pl.DataFrame:
        """The second to the fifth visit, as far as there were any before delivery and today."""
        number = np.repeat([one for one, _, _ in _LATER], self.found.height)
        row = np.tile(np.arange(self.found.height), len(_LATER))
        day = np.concatenate(visits)
        lmp = self.found["lmp"].to_numpy()
        following = np.concatenate([*visits[1:], np.maximum(lmp + _TERM, visits[-1] + 3)])
        kept = (day <= self.times.today) & (day < self.found["end"].to_numpy()[row])
        number, row, day, following = number[kept], row[kept], day[kept], following[kept]
        size = len(row)
        columns = self._signed(row, day)
        weeks = (day - lmp[row]) // 7
        systolic, diastolic = self._pressure(row)
        hgb = np.round(np.clip(self.blood[row] - (weeks - 12) * 0.25 + self.chance.normal(size, 0, 3), 98, 145))
        sugar = (number == 3) & self.chance.flags(size, 0.05)
        abnormal = (hgb < 110) | sugar
        complaint = np.minimum(self.chance.indexes(size, [5, 3, 0.4, 1, 0.5]), np.where(weeks >= 28, 4, 1))
        taught = {2: ["1", "2", "3", "4"], 3: ["1", "2", "3", "4", "5"], 4: ["1", "2", "3", "5", "6", "7"]}
        guides = pl.Series([taught[min(one, 4)] for one in (2, 3, 4, 5)], dtype=pl.List(pl.String))
        own = {
            "visit_no": number,
            "visit_date": days(day),
            "gest_weeks": weeks,
            "chief_complaint": np.array(_COMPLAINTS)[complaint],
            "weight_kg": self._weight(row, day),
            "fundal_height_cm": where(weeks >= 18, np.round(weeks * 0.88 + 2.4 + self.chance.normal(size, 0, 0.8), 1)),
            "abd_circum_cm": where(
                weeks >= 18, np.round(self.girth[row] + (weeks - 20) * 0.95 + self.chance.normal(size, 0, 0.8), 1)
            ),
            "fetal_position": where(
                weeks >= 24, np.where(weeks >= 34, "头位", self.chance.pick(size, ["头位", "臀位", "不定"], [8, 1, 1]))
            ),
            "fetal_heart_rate": self.chance.integers(size, 128, 154),
            "sbp": systolic,
            "dbp": diastolic,
            "hgb": hgb,
            "urine_protein": self.chance.pick(size, ["1", "2"], [0.97, 0.03]),
            "aux_other": where(number >= 3, np.where(number == 3, "OGTT、系统超声已做", "产科超声：单活胎，羊水正常")),
            "class_code": np.where(abnormal, "2", "1"),
            "class_abn": where(abnormal, np.where(sugar, "妊娠期血糖偏高", "轻度贫血")),
            "guide_codes": guides.gather(number - 2),
            **self._referral(sugar, "妊娠期血糖偏高，建议上级医院复查"),
            "next_visit_date": days(following),
            "visit_doctor": columns["doctor_name"],
        }
        return frame(self.cat.forms["prenatal_followup"], columns | own, size)

    def deliveries(self, born: pl.DataFrame) -> pl.DataFrame:
        """One record a child; twins share all but themselves."""
        each = self.found.with_row_index("row").join(
            born.select("mother", "child", "assisted", pl.col("birth").alias("end"), "female"),
            on=["mother", "end"],
            how="inner",
            maintain_order="left",
        )
        row, day = each["row"].to_numpy().astype(np.int64), each["end"].to_numpy()
        size = len(row)
        columns = self._signed(row, day)
        mode = np.where(each["caesarean"].to_numpy(), "3", np.where(each["assisted"].to_numpy(), "2", "1"))
        own = {
            "pregnancy_no": columns["archive_no"] + pl.Series("-" + (each["earlier"] + 1).cast(pl.String)),
            "delivery_date": days(day),
            "delivery_org": each["org"],
            "delivery_mode": mode,
            "outcome_code": "1",
            "child_sex": np.where(each["female"].to_numpy(), "2", "1"),
            "child_archive_no": self.people["archive_no"].gather(each["child"]),
            "discharge_date": days(each["discharge"]),
        }
        return frame(self.cat.forms["delivery_record"], columns | own, size)

    def at_home(self) -> pl.DataFrame:
        """The visit after childbirth, with the newborn's."""
        row = self._delivered()
        day = first_home_visit(self.found["end"].to_numpy()[row])
        size = len(row)
        columns = self._signed(row, day)
        sore = self.chance.flags(size, 0.04)
        own = {
            **self._after(row, day),
            "temperature": np.round(36.2 + self.chance.uniform(size) * 0.8, 1),
            "breast_code": np.where(sore, "2", "1"),
            **dict.fromkeys(("lochia_code", "uterus_code", "wound_code"), "1"),
            "exam_abn_desc": where(sore, "左乳轻度胀痛，无红肿"),
            "class_code": np.where(sore, "2", "1"),
            "class_abn": where(sore, "乳汁淤积"),
            "guide_codes": every(size, ["1", "2", "3", "4", "5"]),
            **self._referral(np.zeros(size, dtype=bool), ""),
            "next_visit_date": days(working_day_at_or_after(self.found["end"].to_numpy()[row] + 42)),
            "visit_doctor": columns["doctor_name"],
        }
        return frame(self.cat.forms["postpartum_visit"], columns | own, size)

    def six_weeks(self) -> pl.DataFrame:
        row = self._delivered()
        day = working_day_at_or_after(self.found["end"].to_numpy()[row] + self.chance.integers(len(row), 42, 47))
        kept = day <= self.times.today
        row, day = row[kept], day[kept]
        size = len(row)
        columns = self._signed(row, day)
        open_ = self.chance.flags(size, 0.03)
        own = {
            **self._after(row, day),
            **dict.fromkeys(("breast_code", "lochia_code", "wound_code"), "1"),
            "uterus_code": np.where(open_, "2", "1"),
            "exam_abn_desc": where(open_, "子宫复旧欠佳"),
            "class_code": np.where(open_, "2", "1"),
            "class_abn": where(open_, "子宫复旧欠佳，待复查"),
            "guide_codes": every(size, ["1", "2", "3", "4"]),
            "handle_code": np.where(open_, "2", "1"),
            "referral_reason": where(open_, "子宫复旧欠佳"),
            "referral_org": where(open_, self._hospital),
            "visit_doctor": columns["doctor_name"],
        }
        return frame(self.cat.forms["postpartum_42d"], columns | own, size)

    # --- parts ----------------------------------------------------------------------------------------------------

    @property
    def _hospital(self) -> str:
        return f"{self.institution.county_name}人民医院妇产科"

    def _delivered(self) -> Ints:
        return np.flatnonzero(self.found["end"].to_numpy() < NEVER)

    def _signed(self, row: Ints, day: Ints) -> dict[str, Any]:
        mother = self.found["mother"].to_numpy()[row]
        doctor = child_doctors(self.institution, self.people["household"].to_numpy()[mother], 1)
        columns = envelope(self.people, mother, doctor, np.zeros(len(row), dtype=bool), self.institution)
        columns["_entered_day"] = entered_days(day, self.times.today, self.chance)
        return columns

    def _weight(self, row: Ints, day: Ints) -> Floats:
        """Weight before the pregnancy, a kilogram in the first twelve weeks, then a steady gain."""
        mother, lmp = self.found["mother"].to_numpy()[row], self.found["lmp"].to_numpy()[row]
        before = np.clip(weights_on(self.people, mother, lmp, self.times), 42.0, 92.0)
        weeks = (day - lmp) / 7
        gained = np.minimum(weeks / 12, 1) + np.maximum(weeks - 12, 0) / 28 * (self.gain[row] - 1)
        return np.round(before + gained + self.chance.normal(len(row), 0, 0.2), 1)

    def _pressure(self, row: Ints) -> tuple[Floats, Floats]:
        size = len(row)
        systolic = np.asarray(np.round(np.clip(self.chance.normal(size, self.pressure[row], 5), 92, 134)), np.float64)
        diastolic = np.round(np.clip(systolic * 0.64 + self.chance.normal(size, 0, 3), 54, 84))
        return systolic, np.asarray(diastolic, np.float64)

    def _husband(self, mother: Ints, day: Ints) -> dict[str, Any]:
        """The man of the house: the women on record live with one."""
        people = self.people
        relation, household = people["relation"].to_numpy(), people["household"].to_numpy()
        mate = np.full(int(household.max()) + 1, -1, dtype=np.int64)
        spouses = np.flatnonzero(people["couple"].to_numpy() & (relation != HEAD))
        mate[household[spouses]] = spouses
        husband = np.where(relation[mother] == HEAD, mate[household[mother]], people["head"].to_numpy()[mother])
        age = whole_years(people["birth"].to_numpy()[husband], day)
        return {
            "husband_name": people["name"].gather(husband),
            "husband_age": where(age >= 20, age),
            "husband_phone": people["phone"].gather(husband),
        }

    def _laboratory(self, row: Ints, mother: Ints, seed: int) -> dict[str, Any]:
        """What is examined once, all within what is usual; anaemia is told in the assessment."""
        size, chance = len(row), self.chance
        abo, rh = (group[mother] for group in blood_groups(self.people, self.institution, seed))
        known = np.array(["1", "2", "3", "4"])[mother % 4]
        hgb = np.round(self.blood[row])
        bilirubin = np.round(np.clip(chance.normal(size, 11, 2.5), 5, 19), 1)
        alt = np.round(np.clip(chance.normal(size, 18, 6), 6, 40), 1)
        carrier = chance.flags(size, 0.02)
        anaemic = hgb < 110
        eroded = chance.flags(size, 0.03)
        return {
            "cervix_code": np.where(eroded, "2", "1"),
            "exam_abn_desc": where(eroded, "宫颈柱状上皮外移"),
            "hgb": hgb,
            "wbc": np.round(np.clip(chance.normal(size, 8.2, 1.4), 4.5, 12.5), 1),
            "plt": np.round(np.clip(chance.normal(size, 225, 40), 120, 340)),
            "urine_protein": "1",
            "urine_glucose": chance.pick(size, ["1", "2"], [0.97, 0.03]),
            "urine_ketone": chance.pick(size, ["1", "2"], [0.93, 0.07]),
            "urine_blood": chance.pick(size, ["1", "2"], [0.95, 0.05]),
            "blood_abo": np.where(abo == "5", known, abo),
            "blood_rh": np.where(rh == "1", "1", "2"),
            "glucose": np.round(np.clip(chance.normal(size, 4.7, 0.3), 3.8, 5.0), 1),
            "alt": alt,
            "ast": np.round(np.clip(alt + chance.normal(size, 1, 3), 8, 42), 1),
            "albumin": np.round(np.clip(chance.normal(size, 42, 2.2), 36, 48), 1),
            "tbil": bilirubin,
            "dbil": np.round(bilirubin * chance.uniform(size, 0.2, 0.38), 1),
            "creatinine": np.round(np.clip(chance.normal(size, 48, 7), 30, 70), 1),
            "urea": np.round(np.clip(chance.normal(size, 3.4, 0.6), 1.9, 5.4), 1),
            "vag_secretion_codes": every(size, ["1"]),
            "vag_clean_code": chance.pick(size, ["1", "2"], [0.4, 0.6]),
            "hbsag": np.where(carrier, "2", "1"),
            "hbsab": np.where(carrier, "1", chance.pick(size, ["2", "1"], [0.7, 0.3])),
            "hbeag": "1",
            "hbeab": "1",
            "hbcab": np.where(carrier, "2", "1"),
            "syphilis_code": "1",
            "hiv_code": "1",
            "ultrasound": "宫内早孕，单活胎，大小与孕周相符",
            "overall_code": np.where(anaemic | carrier | eroded, "2", "1"),
            "overall_abn": where(
                anaemic | carrier | eroded,
                np.select([anaemic, carrier], ["轻度贫血", "乙肝表面抗原阳性"], "宫颈柱状上皮外移"),
            ),
            "guide_codes": every(size, ["1", "2", "3", "4", "5"]),
            **self._referral(carrier, "乙肝表面抗原阳性，建议母婴阻断"),
        }

    def _after(self, row: Ints, day: Ints) -> dict[str, Any]:
        """What both forms after childbirth say."""
        size = len(row)
        systolic, diastolic = self._pressure(row)
        return {
            "visit_date": days(day),
            "delivery_date": days(self.found["end"].gather(row)),
            "discharge_date": days(self.found["discharge"].gather(row)),
            "general_health": self.chance.pick(size, ["良好", "一般情况好", "尚可"], [6, 3, 1]),
            "general_mental": self.chance.pick(size, _MOODS, [5, 4, 2]),
            "sbp": systolic,
            "dbp": diastolic,
        }

    def _referral(self, referred: Bools, reason: str) -> dict[str, Any]:
        return {
            "referral_flag": np.where(referred, "2", "1"),
            "referral_reason": where(referred, reason),
            "referral_org": where(referred, self._hospital),
        }
