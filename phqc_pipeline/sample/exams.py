"""健康体检表 and 老年人生活自理能力评估表: once a year for the elderly and for patients, now and then for others.

Belongs here: when the village is examined and what the two forms say. Does not belong here: who the people are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.sample.calendar import (
    Times,
    nearest_working_day,
    parts,
    whole_years,
    working_day_at_or_before,
    year_start,
)
from phqc_pipeline.sample.chance import Bools, Chance, Ints
from phqc_pipeline.sample.conditions import DM_DRUGS, HTN_DRUGS, HTN_SECOND_DRUGS
from phqc_pipeline.sample.places import Institution
from phqc_pipeline.sample.profile import centre_doctors, doctor_of
from phqc_pipeline.sample.rows import choose, codes, days, entered_days, envelope, frame, optional_days, where
from phqc_pipeline.sample.visits import weights_on

_JOBS = ("采矿工", "电焊工", "油漆工", "水泥工")


def examinations(
    people: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, seed: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Records of both forms; every elder examined is assessed on the same day."""
    chance = institution.chance(seed, "exams")
    person, day = _schedule(people, times, chance)
    order = np.lexsort((day, person))
    person, day = person[order], day[order]
    birth_year = parts(people["birth"].to_numpy())[0][person]
    elder = parts(day)[0] - birth_year >= 65
    size = len(person)
    mine = people[person]
    village_doctor, centre = doctor_of(mine, institution), centre_doctors(institution)
    doctor = np.where(chance.flags(size, 0.45), village_doctor, centre[person % len(centre)])
    columns = envelope(people, person, doctor, np.zeros(size, dtype=bool), institution)
    columns["_entered_day"] = entered_days(day, times.today, chance)
    exam = columns | _exam_columns(mine, person, day, elder, people, times, chance)
    exam["exam_date"], exam["exam_doctor"] = days(day), columns["doctor_name"]
    fed_back = day + chance.integers(size, 5, 24)
    exam["feedback_date"] = optional_days(fed_back, fed_back <= times.today)
    assessed = columns | _self_care_columns(mine, columns)
    assessed["assess_date"] = days(day)
    return (
        frame(cat.forms["health_exam"], exam, size),
        frame(cat.forms["elderly_self_care"], assessed, size).filter(pl.Series(elder)),
    )


def _schedule(people: pl.DataFrame, times: Times, chance: Chance) -> tuple[Ints, Ints]:
    """Each village is examined in its own weeks of the year; newcomers soon after they come.

    Hypertensives are examined before their first visit: when registered, or in the year before the history (HTN-C-010).
    Patients of tuberculosis are weighed when treatment begins, whenever that is (TB-X-002).
    """
    size = people.height
    birth_year = parts(people["birth"].to_numpy())[0]
    archive = people["archive_day"].to_numpy()
    leave = people["leave_day"].to_numpy()
    village = people["village"].to_numpy()
    follows = np.isin(people["status"].to_numpy(), ["1", "2", "3", "4"])
    persons: list[Ints] = []
    found: list[Ints] = []
    htn, registered = people["htn"].to_numpy(), people["htn_register"].to_numpy()
    last = np.full(size, -(10**6))
    for year in (times.years[0] - 1, *times.years):
        begin, end = year_start(year), year_start(year + 1) - 1
        elder = follows & (year - birth_year >= 65)
        patient = (people["htn"].to_numpy() & (people["htn_register"].to_numpy() <= end - 30)) | (
            people["dm"].to_numpy() & (people["dm_register"].to_numpy() <= end - 30)
        )
        patient |= people["smi"].to_numpy() & (people["smi_register"].to_numpy() <= end - 30)
        patient |= (starts := htn & (registered >= begin) & (registered <= end))
        other = follows & (people["age"].to_numpy() >= 20) & (people["person"].to_numpy() % 47 == year % 47)
        turn = begin + 70 + (village * 37) % 190 + chance.integers(size, -20, 24)
        # Some are not at home in their village's weeks and come later: every quarter has examinations.
        late = chance.flags(size, 0.12) * chance.integers(size, 40, 170)
        day = nearest_working_day(np.minimum(turn + late, begin + 345))
        newcomer = day < archive + 2
        day = np.where(newcomer, nearest_working_day(archive + 4 + chance.integers(size, 0, 12)), day)
        day = np.where(
            newcomer & (day > np.minimum(end, times.today)),
            working_day_at_or_before(np.full(size, min(end, times.today))),
            day,
        )
        # Who was examined late last year waits half a year.
        day = np.where(day < last + 190, nearest_working_day(last + 200), day)
        day = np.where(starts, np.minimum(day, registered), day)
        able = (day >= np.maximum(archive, begin)) & (day <= np.minimum(end, times.today)) & (day < leave - 3)
        # Before the history those alone who were under management when it began.
        wanted = elder | patient | other if year in times.years else htn & (registered < times.history_start)
        chosen = wanted & able
        persons.append(np.flatnonzero(chosen))
        found.append(day[chosen])
        last = np.where(chosen, day, last)
    person, day = np.concatenate(persons), np.concatenate(found)
    ill = people["tb"].to_numpy() & (people["tb_register"].to_numpy() >= times.history_start)
    begun, ended = people["tb_register"].to_numpy(), people["tb_end"].to_numpy()
    ill[person[(day >= begun[person]) & (day <= ended[person])]] = False
    # The examination of that year is moved, unless it is the one on registration for hypertension; the one of the year
    # after is not to follow within half a year.
    starts = htn[person] & (parts(registered[person])[0] == parts(day)[0])
    moved = ill[person] & (parts(day)[0] == parts(begun[person])[0]) & ~starts
    day[moved] = begun[person[moved]]
    early = np.isin(person, person[moved]) & (day > begun[person]) & (day < begun[person] + 190)
    day[early] = nearest_working_day(begun[person[early]] + 190)
    ill[person[moved]] = False
    person, day = person[day <= times.today], day[day <= times.today]
    person, day = np.concatenate([person, np.flatnonzero(ill)]), np.concatenate([day, begun[ill]])
    kept = ~_soon_again(person, day, birth_year)
    return person[kept], day[kept]


def _soon_again(person: Ints, day: Ints, birth_year: Ints) -> Bools:
    """Examinations of elders that another one follows within half a year, or in the same year: left out."""
    order = np.lexsort((day, person))
    who, when = person[order], day[order]
    year = parts(when)[0]
    soon = (np.diff(when) < 184) | (np.diff(year) == 0)
    elder = year[1:] - birth_year[who[1:]] >= 65
    close = np.zeros(len(person), dtype=bool)
    close[order[:-1]] = (np.diff(who) == 0) & soon & elder
    return close


def _self_care_columns(mine: pl.DataFrame, columns: dict[str, Any]) -> dict[str, Any]:
    scores = {
        name: mine[trait].to_numpy().astype(np.float64)
        for name, trait in (
            ("eat_score", "eat"),
            ("wash_score", "wash"),
            ("dress_score", "dress"),
            ("toilet_score", "toilet"),
            ("activity_score", "move"),
        )
    }
    return scores | {
        "total_score": np.sum(list(scores.values()), axis=0),
        "grade_code": mine["adl"].cast(pl.String),
        "assess_doctor": columns["doctor_name"],
    }


def _exam_columns(
    mine: pl.DataFrame, person: Ints, day: Ints, elder: Bools, people: pl.DataFrame, times: Times, chance: Chance
) -> dict[str, Any]:
    size = len(day)
    age = whole_years(mine["birth"].to_numpy(), day)
    vital = _vitals(mine, person, day, people, times, chance)
    lab = _laboratory(mine, elder, chance)
    habits = _habit_columns(mine, age)
    body = _organ_columns(mine, age, elder, chance)
    ecg_bad = elder & (mine["labile_rhythm"].to_numpy() | chance.flags(size, 0.13))
    us_bad = elder & chance.flags(size, 0.16)
    xray = chance.flags(size, 0.12)
    xray_bad = xray & chance.flags(size, 0.05)
    extra = {
        "heart_rhythm_code": np.where(mine["labile_rhythm"].to_numpy() & elder, "2", "1"),
        "ecg_code": where(elder, np.where(ecg_bad, "2", "1")),
        "ecg_abn": where(
            ecg_bad,
            np.where(
                mine["labile_rhythm"].to_numpy(),
                "房性早搏",
                chance.pick(size, ["窦性心动过缓", "ST-T改变", "左室高电压"]),
            ),
        ),
        "abd_us_code": where(elder, np.where(us_bad, "2", "1")),
        "abd_us_abn": where(us_bad, chance.pick(size, ["脂肪肝（轻度）", "胆囊结石", "肝囊肿", "左肾囊肿"])),
        "chest_xray_code": where(xray, np.where(xray_bad, "2", "1")),
        "chest_xray_abn": where(xray_bad, "双肺纹理增粗"),
    }
    found = {
        "血压偏高": np.maximum(vital["sbp_left"], vital["sbp_right"]) >= 140,
        "空腹血糖偏高": lab["_glucose"] >= 7.0,
        "心电图异常": ecg_bad,
        "腹部B超异常": us_bad,
        "胸片异常": xray_bad,
        "血红蛋白偏低": lab["_anaemic"],
        "肥胖": vital["bmi"] >= 28,
        "高血压": mine["htn"].to_numpy() & (mine["htn_diagnosis"].to_numpy() <= day),
        "2型糖尿病": mine["dm"].to_numpy() & (mine["dm_diagnosis"].to_numpy() <= day),
    }
    lab.pop("_glucose"), lab.pop("_anaemic")
    return (
        vital
        | lab
        | habits
        | body
        | extra
        | _evaluation(found, vital, mine, chance)
        | _medication(mine, day, elder, chance)
    )


def _vitals(
    mine: pl.DataFrame, person: Ints, day: Ints, people: pl.DataFrame, times: Times, chance: Chance
) -> dict[str, Any]:
    size = len(day)
    htn = mine["htn"].to_numpy()
    sbp = np.clip(
        chance.normal(size, mine["sbp"].to_numpy() + np.where(htn, 12, 0), 6),
        np.where(htn, 116, 104),
        np.where(htn, 158, 137),
    )
    sbp_left = np.round(sbp)
    sbp_right = np.round(np.clip(sbp_left + chance.integers(size, -6, 6), 102, np.where(htn, 160, 138)))
    dbp_left = np.round(
        np.clip(chance.normal(size, mine["dbp"].to_numpy() + np.where(htn, 4, 0), 4), 60, np.where(htn, 96, 88))
    )
    dbp_left = np.minimum(dbp_left, np.minimum(sbp_left, sbp_right) - 30)
    dbp_right = np.clip(dbp_left + chance.integers(size, -4, 4), 56, np.minimum(sbp_left, sbp_right) - 24)
    height = np.round(mine["height"].to_numpy() + chance.integers(size, -2, 2) * 0.1, 1)
    weight = np.round(np.clip(weights_on(people, person, day, times) + chance.normal(size, 0, 0.4), 40.5, 124.0), 1)
    pulse = np.round(np.clip(chance.normal(size, mine["pulse"].to_numpy(), 4), 56, 102))
    return {
        "symptom_codes": codes(
            (chance.flags(size, np.where(htn, 0.16, 0.05)), "3"),
            (chance.flags(size, 0.05), "2"),
            (chance.flags(size, np.where(mine["age"].to_numpy() >= 60, 0.1, 0.02)), "14"),
            (chance.flags(size, 0.03), "13"),
        ),
        "temperature": np.round(36.1 + chance.uniform(size) * 0.8, 1),
        "pulse_rate": pulse,
        "resp_rate": chance.integers(size, 15, 20).astype(np.float64),
        "sbp_left": sbp_left,
        "dbp_left": dbp_left,
        "sbp_right": sbp_right,
        "dbp_right": dbp_right,
        "height_cm": height,
        "weight_kg": weight,
        "waist_cm": np.round(mine["waist"].to_numpy() + chance.normal(size, 0, 0.8), 1),
        "bmi": np.round(weight / (height / 100) ** 2, 1),
        "heart_rate": np.clip(pulse + chance.integers(size, -2, 3), 55, 106),
    }


def _laboratory(mine: pl.DataFrame, elder: Bools, chance: Chance) -> dict[str, Any]:
    """Blood and urine: complete for elders; of patients the glucose; values that fit one another."""
    size = len(elder)
    female = mine["female"].to_numpy()
    dm = mine["dm"].to_numpy()
    patient = dm | mine["htn"].to_numpy()
    tested = elder | (patient & chance.flags(size, 0.75))
    glucose = np.round(
        np.where(
            dm,
            np.clip(chance.normal(size, 7.0, 1.3), 4.6, 12.5),
            np.clip(chance.normal(size, mine["glucose"].to_numpy(), 0.35), 3.9, 6.8),
        ),
        1,
    )
    measured_glucose = elder | (patient & chance.flags(size, 0.92))
    ldl = np.round(np.clip(chance.normal(size, 2.7, 0.6), 1.3, 4.6), 2)
    hdl = np.round(np.clip(chance.normal(size, 1.3, 0.22), 0.8, 2.1), 2)
    tg = np.round(np.clip(chance.normal(size, 1.6, 0.6), 0.5, 4.2), 2)
    tc = np.round(ldl + hdl + tg / 2.2 + chance.uniform(size, -0.25, 0.3), 2)
    tbil = np.round(np.clip(chance.normal(size, 13.5, 3.5), 5, 25), 1)
    hgb = np.round(np.clip(chance.normal(size, np.where(female, 128, 145), 11), 96, 176))
    anaemic = tested & (hgb < 110)
    liver = np.round(np.clip(chance.normal(size, 22, 7), 8, 48), 1)
    urine = np.array(["1", "2", "3"])
    return {
        "_glucose": np.where(measured_glucose, glucose, 0.0),
        "_anaemic": anaemic,
        "hgb": where(tested, hgb),
        "wbc": where(tested, np.round(np.clip(chance.normal(size, 6.3, 1.2), 3.6, 9.8), 1)),
        "plt": where(tested, np.round(np.clip(chance.normal(size, 218, 42), 110, 340))),
        "urine_protein": where(tested, urine[chance.indexes(size, [0.93, 0.05, 0.02])]),
        "urine_glucose": where(tested, np.where(dm & (glucose > 9.5), "3", "1")),
        "urine_ketone": where(tested, urine[chance.indexes(size, [0.985, 0.015])]),
        "urine_blood": where(tested, urine[chance.indexes(size, [0.92, 0.06, 0.02])]),
        "fbg_mmol": where(measured_glucose, glucose),
        "hba1c": where(dm & chance.flags(size, 0.3), np.round(np.clip(glucose * 0.7 + 1.9, 4.6, 12.0), 1)),
        "alt": where(tested, liver),
        "ast": where(tested, np.round(np.clip(liver + chance.normal(size, 1, 4), 9, 55), 1)),
        "albumin": where(tested & chance.flags(size, 0.5), np.round(np.clip(chance.normal(size, 43, 2.6), 35, 52), 1)),
        "tbil": where(tested, tbil),
        "dbil": where(tested & chance.flags(size, 0.6), np.round(tbil * chance.uniform(size, 0.18, 0.4), 1)),
        "creatinine": where(tested, np.round(np.clip(chance.normal(size, np.where(female, 62, 78), 10), 41, 112), 1)),
        "urea": where(tested, np.round(np.clip(chance.normal(size, 5.3, 1.0), 2.8, 8.6), 1)),
        "potassium": where(
            tested & chance.flags(size, 0.3), np.round(np.clip(chance.normal(size, 4.2, 0.3), 3.5, 5.2), 2)
        ),
        "sodium": where(tested & chance.flags(size, 0.3), np.round(np.clip(chance.normal(size, 140, 2), 135, 146), 1)),
        "tc": where(tested, tc),
        "tg": where(tested, tg),
        "ldl": where(tested, ldl),
        "hdl": where(tested, hdl),
    }


def _habit_columns(mine: pl.DataFrame, age: Ints) -> dict[str, Any]:
    """What the person does, as on the follow-up forms."""
    smoke = mine["smoke"].to_numpy()
    drink = mine["drink"].to_numpy()
    exercise = np.where(mine["adl"].to_numpy() >= 3, "4", mine["exercise"].to_numpy())
    moves, drinks = exercise != "4", drink != "1"
    hazard = (mine["person"].to_numpy() % 61 == 0) & ~mine["female"].to_numpy() & (age >= 30)
    return {
        "exercise_freq_code": exercise,
        "exercise_minutes": where(moves, mine["exercise_minutes"].to_numpy().astype(np.float64)),
        "exercise_years": where(moves, mine["exercise_years"].to_numpy()),
        "exercise_mode": where(moves, "散步"),
        "diet_codes": codes(
            (mine["person"].to_numpy() % 3 != 0, "1"),
            (mine["person"].to_numpy() % 3 == 0, "2"),
            (mine["salt"].to_numpy() == "3", "4"),
        ),
        "smoke_code": smoke,
        "smoke_per_day": where(smoke == "3", mine["cigarettes"].to_numpy().astype(np.float64)),
        "smoke_start_age": where(smoke != "1", mine["smoke_start"].to_numpy().astype(np.float64)),
        "smoke_quit_age": where(smoke == "2", mine["smoke_quit"].to_numpy().astype(np.float64)),
        "drink_freq_code": drink,
        "drink_per_day": where(drinks, mine["liquor"].to_numpy()),
        "drink_quit_flag": where(drinks, "1"),
        "drink_start_age": where(drinks, mine["drink_start"].to_numpy().astype(np.float64)),
        "drunk_last_year": where(drinks, np.where(drink == "4", "1", "2")),
        "drink_type_codes": pl.select(
            pl.when(pl.Series(drinks)).then(codes((drinks, "1"), (mine["person"].to_numpy() % 5 == 0, "2")))
        ).to_series(),
        "occup_hazard_flag": np.where(hazard, "2", "1"),
        "occup_job": where(hazard, np.array(_JOBS)[mine["person"].to_numpy() % 4]),
        "occup_years": where(hazard, 8.0),
        "occup_dust": where(hazard, "矽尘"),
        "occup_dust_protect": where(hazard, "2"),
    }


def _organ_columns(mine: pl.DataFrame, age: Ints, elder: Bools, chance: Chance) -> dict[str, Any]:
    """Physical examination and known diseases of organs, nearly all normal."""
    size = len(age)
    female = mine["female"].to_numpy()
    dm = mine["dm"].to_numpy()
    adl = mine["adl"].to_numpy()
    toothless = (age >= 70) | (elder & chance.flags(size, 0.5))
    caries = ~toothless & chance.flags(size, 0.12)
    denture = toothless & chance.flags(size, 0.3)
    left = np.round(np.clip(mine["vision"].to_numpy() + chance.integers(size, -1, 1) * 0.1, 4.0, 5.1), 1)
    right = np.round(np.clip(mine["vision"].to_numpy() - 0.1 + chance.integers(size, -1, 1) * 0.1, 4.0, 5.1), 1)
    right = np.where(elder & (left == 5.0) & (right == 5.0), 4.9, right)
    screened = female & (age >= 30) & (age < 65) & chance.flags(size, 0.2)
    swollen = chance.flags(size, 0.02)
    positive = elder & chance.flags(size, np.where(age >= 80, 0.1, 0.02))
    low_mood = elder & chance.flags(size, 0.015)
    cataract = elder & chance.flags(size, 0.06)
    angina = mine["person"].to_numpy() % 53 == 0
    one = np.full(size, "1")
    return {
        "elder_health_self_code": where(
            elder, np.array(["1", "2", "3", "4"])[chance.indexes(size, [0.5, 0.38, 0.08, 0.04])]
        ),
        "elder_adl_code": where(elder, adl.astype(str)),
        "elder_cognition_code": where(elder, np.where(positive, "2", "1")),
        "elder_mmse_score": where(positive, chance.integers(size, 15, 22).astype(np.float64)),
        "elder_emotion_code": where(elder, np.where(low_mood, "2", "1")),
        "elder_gds_score": where(low_mood, chance.integers(size, 11, 18).astype(np.float64)),
        "lips_code": np.where(chance.flags(size, 0.035), "4", "1"),
        "dentition_codes": codes((toothless, "2"), (caries, "3"), (denture, "4")),
        "dentition_missing": where(
            toothless, chance.pick(size, ["左上1右上1左下0右下2", "左上2右上2左下1右下1", "左上3右上2左下2右下3"])
        ),
        "dentition_caries": where(caries, chance.pick(size, ["左上1右上0左下0右下0", "左上0右上1左下1右下0"])),
        "dentition_denture": where(denture, "左上1右上1左下0右下0"),
        "pharynx_code": np.where(chance.flags(size, 0.03), "2", "1"),
        "vision_left": left,
        "vision_right": right,
        "hearing_code": np.where(elder & chance.flags(size, 0.1), "2", "1"),
        "motor_code": np.where(adl >= 3, "2", "1"),
        "fundus_code": where(dm & chance.flags(size, 0.35), "1"),
        "skin_code": np.where(chance.flags(size, 0.04), "6", "1"),
        "sclera_code": np.where(chance.flags(size, 0.025), "3", "1"),
        "lymph_code": one,
        "lung_barrel_code": np.where(mine["copd"].to_numpy(), "2", "1"),
        "lung_breath_code": one,
        "lung_rale_code": one,
        "heart_murmur_code": one,
        "abd_tender_code": one,
        "abd_mass_code": one,
        "abd_liver_code": one,
        "abd_spleen_code": one,
        "abd_ascites_code": one,
        "edema_code": np.where(swollen, "4", "1"),
        "dorsalis_code": where(dm | chance.flags(size, 0.2), "2"),
        "breast_codes": pl.select(pl.when(pl.Series(screened)).then(pl.concat_list(pl.lit("1")))).to_series(),
        "gyn_vulva_code": where(screened, "1"),
        "gyn_vagina_code": where(screened, "1"),
        "gyn_cervix_code": where(screened, "1"),
        "gyn_corpus_code": where(screened, "1"),
        "gyn_adnexa_code": where(screened, "1"),
        "pap_code": where(screened & chance.flags(size, 0.6), "1"),
        "cerebro_codes": codes((np.zeros(size, dtype=bool), "2")),
        "kidney_codes": codes((np.zeros(size, dtype=bool), "2")),
        "heart_codes": codes((angina & elder, "6")),
        "vessel_codes": codes((np.zeros(size, dtype=bool), "3")),
        "eye_codes": codes((cataract, "4")),
        "nervous_code": one,
        "othersys_code": one,
    }


def _evaluation(found: dict[str, Bools], vital: dict[str, Any], mine: pl.DataFrame, chance: Chance) -> dict[str, Any]:
    """Evaluation, guidance, control of risk factors: as what was found requires."""
    size = mine.height
    words = pl.DataFrame({word: where(mask, word) for word, mask in found.items()}).select(
        pl.concat_list(pl.all()).list.drop_nulls().alias("w")
    )["w"]
    abnormal = words.list.len().to_numpy() > 0
    patient = found["高血压"] | found["2型糖尿病"]
    fat = vital["bmi"] >= 28
    drinks = mine["drink"].to_numpy() == "4"
    smokes = mine["smoke"].to_numpy() == "3"
    over = vital["bmi"] >= 24
    vaccine = (mine["age"].to_numpy() >= 60) & chance.flags(size, 0.25)
    needs = smokes | drinks | over | vaccine | chance.flags(size, 0.4)
    guide = codes(
        (patient, "1"), (found["血压偏高"] | found["空腹血糖偏高"] | ~patient, "2"), (found["血红蛋白偏低"], "3")
    )
    risk = codes(
        (smokes, "1"),
        (mine["drink"].to_numpy() != "1", "2"),
        (over | ~(smokes | drinks), "3"),
        (chance.flags(size, 0.7), "4"),
        (fat, "5"),
        (vaccine, "6"),
    )
    return {
        "eval_code": np.where(abnormal, "2", "1"),
        "eval_abn_1": words.list.get(0, null_on_oob=True),
        "eval_abn_2": words.list.get(1, null_on_oob=True),
        "eval_abn_3": words.list.get(2, null_on_oob=True),
        "eval_abn_4": words.list.get(3, null_on_oob=True),
        "guide_codes": pl.select(pl.when(pl.Series(abnormal)).then(guide)).to_series(),
        "risk_control_codes": pl.select(pl.when(pl.Series(needs)).then(risk)).to_series(),
        "target_weight": where(fat, np.round(vital["weight_kg"] - 3.0, 1)),
        "vaccine_advice": where(vaccine, "流感疫苗"),
    }


def _medication(mine: pl.DataFrame, day: Ints, elder: Bools, chance: Chance) -> dict[str, Any]:
    """Main drugs as the follow-up forms have them, a vaccination, for some elders a stay in hospital."""
    size = len(day)
    takes = mine["takes_drugs"].to_numpy()
    htn = takes & mine["htn"].to_numpy() & (mine["htn_register"].to_numpy() <= day)
    dm = takes & mine["dm"].to_numpy() & (mine["dm_register"].to_numpy() <= day)
    tables = [*HTN_DRUGS, *DM_DRUGS, *HTN_SECOND_DRUGS]
    first = np.where(htn, mine["htn_drug"].to_numpy(), np.where(dm, len(HTN_DRUGS) + mine["dm_drug"].to_numpy(), -1))
    second = np.where(htn & dm, len(HTN_DRUGS) + mine["dm_drug"].to_numpy(), -1)
    columns: dict[str, Any] = {}
    years = (mine["person"].to_numpy() % 9 + 1).astype(str)
    for slot, chosen in ((1, first), (2, second)):
        known = chosen >= 0
        columns |= {
            f"drug{slot}_name": choose([drug[0] for drug in tables], chosen),
            f"drug{slot}_usage": where(known, "口服"),
            f"drug{slot}_dose": choose([drug[4] for drug in tables], chosen),
            f"drug{slot}_duration": where(known, np.char.add(years, "年")),
            f"drug{slot}_adherence": where(known, "1"),
        }
    shot = elder & chance.flags(size, 0.06)
    stay = elder & ~(htn | dm | mine["htn"].to_numpy() | mine["dm"].to_numpy()) & chance.flags(size, 0.06)
    entered = day - chance.integers(size, 40, 300)
    return columns | {
        "vacc1_name": where(shot, "流感疫苗"),
        "vacc1_date": optional_days(day - 100, shot),
        "vacc1_org": where(shot, "镇卫生院预防接种门诊"),
        "hosp_in_date_1": optional_days(entered, stay),
        "hosp_out_date_1": optional_days(entered + chance.integers(size, 4, 14), stay),
        "hosp_reason_1": where(stay, chance.pick(size, ["肺炎", "胆囊炎", "腰椎间盘突出", "白内障"])),
        "hosp_org_1": where(stay, "阿勒泰地区人民医院"),
        "hosp_no_1": where(stay, pl.Series(chance.integers(size, 100000, 999999)).cast(pl.String).to_numpy()),
    }
