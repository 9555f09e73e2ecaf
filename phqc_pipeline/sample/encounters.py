"""接诊记录表, 会诊记录表, 双向转诊单（转出、回转）: what residents come for outside the programme's own services.

Belongs here: these four forms' records. Does not belong here: visits under management (``visits``, ``copd`` …).

Every referral told on a follow-up has its slip of the same day; most patients come back within a month with a letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.sample.calendar import (
    Times,
    nearest_working_day,
    whole_years,
    working_day_at_or_before,
)
from phqc_pipeline.sample.chance import Chance, Ints
from phqc_pipeline.sample.places import HOSPITAL_DOCTORS, Institution
from phqc_pipeline.sample.profile import centre_doctors, doctor_of
from phqc_pipeline.sample.rows import choose, days, entered_days, envelope, frame, where, whereabouts
from phqc_pipeline.sample.schedule import first_of_each_day

# What people come for: complaint, findings, assessment, plan; adults and children; share.
_COMPLAINTS: tuple[tuple[str, str, str, str, bool, float], ...] = (
    (
        "咳嗽、流涕3天，伴咽痛",
        "咽部充血，双肺呼吸音清",
        "急性上呼吸道感染",
        "多饮水休息，口服感冒药3天，不适随诊",
        True,
        3.0,
    ),
    ("上腹部隐痛1周，餐后明显", "腹软，剑突下轻压痛", "慢性胃炎", "口服奥美拉唑，清淡饮食，两周后复诊", True, 2.0),
    ("腰痛半月，劳累后加重", "腰椎活动稍受限，直腿抬高试验阴性", "腰肌劳损", "理疗、外用膏药，避免负重", True, 2.0),
    (
        "双膝关节疼痛1月，上下楼明显",
        "双膝无红肿，活动有摩擦感",
        "膝骨关节炎",
        "口服氨基葡萄糖，减少负重，控制体重",
        True,
        1.6,
    ),
    ("尿频、尿痛2天", "双肾区无叩痛，尿常规白细胞升高", "下尿路感染", "口服左氧氟沙星3天，复查尿常规", True, 1.0),
    (
        "左手切割伤2小时",
        "左手食指皮肤裂伤约2厘米，活动正常",
        "左手食指皮肤裂伤",
        "清创缝合，注射破伤风疫苗，隔日换药",
        True,
        0.8,
    ),
    ("皮肤瘙痒、红疹3天", "双前臂散在红色丘疹", "过敏性皮炎", "口服氯雷他定，外用炉甘石洗剂", True, 1.0),
    ("失眠1月，入睡困难", "神志清，心肺查体未见异常", "睡眠障碍", "作息指导，必要时小剂量助眠药", True, 0.8),
    (
        "发热、咳嗽2天，最高38.3℃",
        "咽充血，双肺呼吸音粗",
        "急性支气管炎",
        "对症退热、止咳，观察体温，三天后复诊",
        False,
        1.6,
    ),
    ("腹泻水样便1天，4次", "精神可，无脱水貌，腹软", "急性胃肠炎", "口服补液盐、蒙脱石散，注意饮食卫生", False, 1.2),
)
_SEEN = 0.09  # of all residents in a year
_CONSULTED = 0.007

# Where the follow-up forms refer to, as they word it: hospital and department.
_TARGETS: dict[str, tuple[str, str]] = {
    "阿勒泰地区人民医院心内科": ("阿勒泰地区人民医院", "心内科"),
    "阿勒泰市人民医院内科": ("阿勒泰市人民医院", "内科"),
    "阿勒泰地区人民医院内分泌科": ("阿勒泰地区人民医院", "内分泌科"),
    "阿勒泰市人民医院全科医学科": ("阿勒泰市人民医院", "全科医学科"),
    "阿勒泰地区人民医院呼吸与危重症医学科": ("阿勒泰地区人民医院", "呼吸与危重症医学科"),
    "阿勒泰地区人民医院精神科": ("阿勒泰地区人民医院", "精神科"),
    "新疆精神卫生中心": ("新疆精神卫生中心", "精神科"),
    "阿勒泰地区精神病防治院": ("阿勒泰地区精神病防治院", "精神科"),
    "阿勒泰地区人民医院感染科": ("阿勒泰地区人民医院", "感染科"),
}
# Follow-up forms that refer: what the slip gives as impression, history, treatment so far; what comes back.
_REFERRING: dict[str, tuple[str, str, str, str]] = {
    "htn_followup": ("高血压，血压控制不满意", "高血压", "口服降压药，调整剂量后血压仍未达标", "血压、心电图、肾功能"),
    "t2dm_followup": ("2型糖尿病，血糖控制不满意", "2型糖尿病", "口服降糖药，饮食运动指导", "空腹血糖、糖化血红蛋白"),
    "copd_followup": (
        "慢性阻塞性肺疾病",
        "慢性阻塞性肺疾病",
        "吸入支气管舒张剂，口服祛痰药",
        "肺功能、胸部CT、血气分析",
    ),
    "smi_followup": (
        "严重精神障碍，病情波动",
        "严重精神障碍",
        "口服抗精神病药物，家属看护服药",
        "精神检查、血常规、心电图",
    ),
    "tb_followup": ("肺结核，抗结核治疗中", "肺结核", "按方案抗结核治疗", "肝功能、胸片、痰涂片"),
    "newborn_visit": ("新生儿访视发现异常，待查", "新生儿，足月", "未予治疗", "体格检查、血常规"),
    "prenatal_first": ("早孕，乙肝表面抗原阳性", "乙肝病毒携带", "未予治疗", "乙肝五项、肝功能"),
    "prenatal_followup": ("妊娠，血糖偏高", "妊娠期血糖偏高", "饮食控制、运动指导", "OGTT、胎儿超声"),
    "postpartum_42d": ("产后，子宫复旧欠佳", "产后42天", "观察，未用药", "妇科检查、盆腔超声"),
}
_ALWAYS_ANSWERED = ("newborn_visit", "prenatal_first", "prenatal_followup", "postpartum_42d")  # not seen again so soon
_ORG_COLUMNS = {"tb_followup": "referral_dept"}
_DAY_COLUMNS = {"prenatal_first": "fill_date"}


def receptions_and_consultations(
    people: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, seed: int
) -> dict[str, pl.DataFrame]:
    """Records of 接诊记录表 and 会诊记录表."""
    chance = institution.chance(seed, "encounters")
    return {
        "reception_record": _receptions(people, institution, times, cat, chance),
        "consultation_record": _consultations(people, institution, times, cat, chance),
    }


def referrals(
    frames: Mapping[str, pl.DataFrame],
    people: pl.DataFrame,
    institution: Institution,
    times: Times,
    cat: Catalogue,
    seed: int,
) -> dict[str, pl.DataFrame]:
    """Records of both slips: one a person and day that a follow-up form refers on, and its way back."""
    chance = institution.chance(seed, "referrals")
    referred = _referred(frames)
    address = frames["resident_profile"]["current_address"]
    return {
        "referral_out": _slips(referred, address, people, institution, times, cat, chance),
        "referral_back": _letters(referred, people, institution, times, cat, chance),
    }


# --- the surgery --------------------------------------------------------------------------------------------------


def _encounters(people: pl.DataFrame, share: float, least: int, times: Times, chance: Chance) -> tuple[Ints, Ints]:
    """People and working days, evenly over the history, of those who lived here and had an archive by then."""
    size = people.height
    span = times.today - times.history_start + 1
    wanted = max(round(size * share * span / 365), least)
    person = chance.integers(3 * wanted, 0, size - 1)
    day = working_day_at_or_before(times.history_start + 4 + chance.integers(3 * wanted, 0, span - 5))
    mine = people[person]
    able = (day >= mine["archive_day"].to_numpy() + 3) & (day < mine["leave_day"].to_numpy()) & (day <= times.today)
    able &= (day >= times.history_start) & first_of_each_day(person, day)
    kept = np.flatnonzero(able)[:wanted]
    kept = kept[np.lexsort((person[kept], day[kept]))]
    return person[kept], day[kept]


def _receptions(
    people: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, chance: Chance
) -> pl.DataFrame:
    person, day = _encounters(people, _SEEN, 12, times, chance)
    size = len(person)
    mine = people[person]
    young = whole_years(mine["birth"].to_numpy(), day) < 14
    of_age = [n for n, one in enumerate(_COMPLAINTS) if one[4]]
    of_children = [n for n, one in enumerate(_COMPLAINTS) if not one[4]]
    case = np.where(
        young,
        np.array(of_children)[chance.indexes(size, [_COMPLAINTS[n][5] for n in of_children])],
        np.array(of_age)[chance.indexes(size, [_COMPLAINTS[n][5] for n in of_age])],
    )
    centre = centre_doctors(institution)
    at_clinic = chance.flags(size, 0.4)
    doctor = np.where(at_clinic, doctor_of(mine, institution), centre[chance.indexes(size, [1.0] * len(centre))])
    columns = envelope(people, person, doctor, at_clinic, institution)
    warm = np.where(young, chance.integers(size, 368, 383), chance.integers(size, 362, 369))
    temperature = pl.Series("t", warm / 10).cast(pl.String)
    columns |= {
        "visit_date": days(day),
        "subjective": choose([one[0] for one in _COMPLAINTS], case),
        "objective": pl.select(
            pl.lit("体温") + temperature + pl.lit("℃，") + choose([one[1] for one in _COMPLAINTS], case)
        ).to_series(),
        "assessment": choose([one[2] for one in _COMPLAINTS], case),
        "plan": choose([one[3] for one in _COMPLAINTS], case),
        "visit_doctor": columns["doctor_name"],
        **whereabouts(at_clinic & chance.flags(size, 0.3), mine["village"].to_numpy(), institution, chance),
        "evidence_photo_count": where(chance.flags(size, 0.2), 1.0),
        "_entered_day": entered_days(day, times.today, chance),
    }
    return frame(cat.forms["reception_record"], columns, size)


def _consultations(
    people: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, chance: Chance
) -> pl.DataFrame:
    """The health centre asks the hospital, mostly by video."""
    person, day = _encounters(people.filter(pl.col("age") >= 18), _CONSULTED, 8, times, chance)
    person = people.filter(pl.col("age") >= 18)["person"].to_numpy()[person]
    size = len(person)
    centre = centre_doctors(institution)
    columns = envelope(people, person, np.full(size, centre[0]), np.zeros(size, dtype=bool), institution)
    kinds = (
        ("反复上腹痛，治疗效果不佳，请消化科会诊", "考虑慢性胃炎，建议完善胃镜、幽门螺杆菌检测", "消化内科"),
        ("胸片示右上肺阴影，请影像科会诊", "右上肺斑片影，建议胸部CT，排除结核", "影像科"),
        ("血压波动大，降压药调整困难，请心内科会诊", "建议联合用药，家庭自测血压两周后复诊", "心内科"),
        ("心电图示房性早搏，请心电会诊", "偶发房性早搏，无需特殊处理，三个月后复查", "心电诊断中心"),
        ("关节肿痛反复，请风湿科会诊", "建议查类风湿因子、血沉，暂予对症处理", "风湿免疫科"),
    )
    kind = chance.indexes(size, [1.0] * len(kinds))
    second = chance.flags(size, 0.35)
    colleague = centre[np.where(len(centre) > 1, 1 + person % max(len(centre) - 1, 1), 0)]
    columns |= {
        "consult_date": days(day),
        "consult_reason": choose([one[0] for one in kinds], kind),
        "consult_opinion": choose([one[1] for one in kinds], kind),
        "consult_org_1": "阿勒泰地区人民医院",
        "consult_doctors_1": choose(HOSPITAL_DOCTORS, kind),
        "consult_org_2": where(second, institution.name),
        "consult_doctors_2": where(second, choose([one.name for one in institution.doctors], colleague)),
        "responsible_doctor": columns["doctor_name"],
        "_entered_day": entered_days(day, times.today, chance),
    }
    return frame(cat.forms["consultation_record"], columns, size)


# --- referrals ----------------------------------------------------------------------------------------------------


def _referred(frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """One row a person and day referred on: person, day, doctor, form, org, reason."""
    found = []
    for form_id in _REFERRING:
        rows = frames.get(form_id)
        if rows is not None:
            org = _ORG_COLUMNS.get(form_id, "referral_org")
            found.append(
                rows.filter(pl.col(org).is_not_null()).select(
                    pl.col("_person").alias("person"),
                    pl.col(_DAY_COLUMNS.get(form_id, "visit_date")).cast(pl.Int32).cast(pl.Int64).alias("day"),
                    "doctor_name",
                    pl.lit(form_id).alias("form"),
                    pl.col(org).alias("org"),
                    pl.col("referral_reason").alias("reason"),
                )
            )
    return pl.concat(found).unique(["person", "day"], keep="first", maintain_order=True).sort("day", "person")


def _target(written: str) -> tuple[str, str]:
    """Hospital and department of a target as a form words it."""
    hospital, _, department = written.partition("医院")
    return _TARGETS.get(written, (f"{hospital}医院", department))


def _slips(
    referred: pl.DataFrame,
    address: pl.Series,
    people: pl.DataFrame,
    institution: Institution,
    times: Times,
    cat: Catalogue,
    chance: Chance,
) -> pl.DataFrame:
    size = referred.height
    person, day = referred["person"].to_numpy(), referred["day"].to_numpy()
    mine = people[person]
    columns = envelope(
        people, person, _position(referred["doctor_name"], institution), np.zeros(size, bool), institution
    )
    target = pl.Series([_target(one) for one in referred["org"].to_list()], dtype=pl.List(pl.String))
    words = _words(referred)
    age = pl.Series(whole_years(mine["birth"].to_numpy(), day)).cast(pl.String)
    sex = pl.Series(np.where(mine["female"].to_numpy(), "女", "男"), dtype=pl.String)
    columns |= {
        "referral_date": days(day),
        "sex_age_text": sex + "/" + age + "岁",
        "address": address.gather(person),
        "contact_phone": mine["phone"],
        "target_org": target.list.get(0),
        "target_dept": target.list.get(1),
        "target_doctor": where(chance.flags(size, 0.7), choose(HOSPITAL_DOCTORS, person % len(HOSPITAL_DOCTORS))),
        "impression": words["impression"],
        "main_history": referred["reason"] + "，建议上级医院进一步诊治",
        "past_history": words["history"],
        "treatment_course": words["treatment"],
        "referring_doctor": columns["doctor_name"],
        "doctor_phone": where(chance.flags(size, 0.85), institution.telephone),
        "_entered_day": entered_days(day, times.today, chance),
    }
    return frame(cat.forms["referral_out"], columns, size)


def _letters(
    referred: pl.DataFrame,
    people: pl.DataFrame,
    institution: Institution,
    times: Times,
    cat: Catalogue,
    chance: Chance,
) -> pl.DataFrame:
    back = referred["day"].to_numpy() + chance.integers(referred.height, 4, 22)
    back = nearest_working_day(back)
    person = referred["person"].to_numpy()
    answered = chance.flags(referred.height, 0.9) | referred["form"].is_in(_ALWAYS_ANSWERED).to_numpy()
    kept = answered & (back <= times.today) & (back < people["leave_day"].to_numpy()[person])
    kept &= (back > referred["day"].to_numpy()) & first_of_each_day(person, back)
    referred, back = referred.filter(pl.Series(kept)), back[kept]
    order = np.argsort(back, kind="stable")
    referred, back = referred[order], back[order]
    person = referred["person"].to_numpy()
    size = len(person)
    columns = envelope(
        people, person, _position(referred["doctor_name"], institution), np.zeros(size, bool), institution
    )
    words = _words(referred)
    admitted = chance.flags(size, 0.6)
    number = pl.Series(chance.integers(size, 20_000_000, 29_999_999)).cast(pl.String)
    columns |= {
        "back_date": days(back),
        "back_org": institution.name,
        "patient_no": where(admitted, number),
        "exam_results": words["tests"] + "已复查，结果见附页",
        "treatment_plan": np.where(
            admitted, "住院治疗后好转出院，按出院医嘱服药，两周后基层随访", "门诊调整用药，继续基层随访，一个月后复查"
        ),
        "diagnosis": words["history"],
        "back_doctor": choose(HOSPITAL_DOCTORS, person % len(HOSPITAL_DOCTORS)),
        "doctor_phone": where(chance.flags(size, 0.8), "0906-2123321"),
        "_entered_day": entered_days(back, times.today, chance),
    }
    return frame(cat.forms["referral_back"], columns, size)


def _words(referred: pl.DataFrame) -> pl.DataFrame:
    """The phrases of the form each came from."""
    table = pl.DataFrame(
        [(form_id, *words) for form_id, words in _REFERRING.items()],
        schema=["form", "impression", "history", "treatment", "tests"],
        orient="row",
    )
    return referred.select("form").join(table, on="form", how="left", maintain_order="left")


def _position(names: pl.Series, institution: Institution) -> Any:
    """Positions of doctors by name (unique within the institution)."""
    places = {doctor.name: n for n, doctor in enumerate(institution.doctors)}
    return names.replace_strict(places, return_dtype=pl.Int64).to_numpy()
