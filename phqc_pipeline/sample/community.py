"""What an institution does for its whole place: 健康教育活动, 卫生监督协管 (报告, 巡查), 突发公共卫生事件报告.

Belongs here: the records of the four forms that belong to no person. Does not belong here: services to residents.

Health education is as the programme asks (规范三·健康教育): the health centre lectures every month and the clinic every
two, wall newspapers change within two months, twelve kinds of leaflets and six of films a year, nine days of advice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.sample.calendar import Times, nearest_working_day, parts, working_day_at_or_after, year_start
from phqc_pipeline.sample.chance import Chance, Ints
from phqc_pipeline.sample.places import Institution
from phqc_pipeline.sample.profile import centre_doctors
from phqc_pipeline.sample.rows import choose, codes, days, frame, institution_envelope, moments, where, whereabouts
from phqc_pipeline.sample.schedule import entered_afterwards

_TOPICS = (
    "高血压的自我管理",
    "糖尿病饮食与运动",
    "冬春季呼吸道传染病预防",
    "布鲁氏菌病防治",
    "老年人跌倒预防",
    "合理用药常识",
    "儿童预防接种",
    "包虫病防治",
    "健康素养66条",
    "吸烟有害健康",
    "孕产期保健",
    "结核病防治核心知识",
    "慢阻肺的早发现",
    "精神卫生与心理调适",
    "中医四季养生",
    "食品安全与饮水卫生",
    "口腔卫生",
    "脑卒中识别与急救",
)
_CHINESE_MEDICINE, _TOBACCO = _TOPICS.index("中医四季养生"), _TOPICS.index("吸烟有害健康")
_AUDIENCES = ("辖区居民", "高血压患者", "老年人", "0～6岁儿童家长", "农牧民", "中小学生", "孕产妇及家属")
# Form (CL_HE_FORM), what is used, days between two of them at the health centre, at a clinic (0: none).
_FORMS: tuple[tuple[str, str, int, int], ...] = (
    ("1", "折页", 27, 0),
    ("2", "视频", 52, 0),
    ("3", "宣传栏", 50, 50),
    ("4", "咨询资料", 36, 0),
    ("5", "讲义", 20, 50),
    ("6", "健康处方", 60, 0),
    ("7", "微信推文", 33, 0),
)
_LECTURE = "5"

# Kind (CL_SUP_TYPE), whom it concerns, what may be wrong.
_PATROLS: tuple[tuple[str, str, str], ...] = (
    ("1", "农家乐餐厅", "餐具消毒记录不全"),
    ("2", "村级供水点", "水源防护区有牲畜粪便"),
    ("3", "镇中心小学", "晨检记录不全"),
    ("3", "镇中心幼儿园", "教室通风记录缺失"),
    ("4", "药店、诊所", "未公示执业信息"),
    ("6", "采石场", "粉尘作业人员未佩戴口罩"),
    ("5", "计划生育服务点", "宣传资料过期"),
)
# Kind (CL_PHE_TYPE), disease, where, symptoms, signs.
_EVENTS: tuple[tuple[str, str, str, str, str], ...] = (
    ("1", "水痘", "镇中心小学", "皮疹、低热", "躯干散在疱疹"),
    ("1", "流行性感冒", "镇中学", "发热、咳嗽、咽痛", "咽部充血"),
    ("1", "手足口病", "镇中心幼儿园", "手足皮疹、口腔疼痛", "手足疱疹、口腔溃疡"),
    ("1", "流行性腮腺炎", "镇中心小学", "发热、腮部肿痛", "腮腺肿大"),
    ("2", "食物中毒", "农家乐餐厅", "恶心、呕吐、腹泻", "上腹部压痛"),
    ("1", "感染性腹泻", "镇中学", "腹痛、腹泻、呕吐", "腹软，肠鸣音活跃"),
)


def community_work(
    people: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, seed: int
) -> dict[str, pl.DataFrame]:
    """Records of the four forms, each in order of date."""
    chance = institution.chance(seed, "community")
    return {
        "health_education_activity": _education(institution, times, cat, chance),
        "supervision_report": _leads(institution, times, cat, chance),
        "supervision_patrol": _patrols(institution, times, cat, chance),
        "phe_report": _emergencies(institution, times, cat, chance),
    }


def _every(step: int, units: Ints, times: Times, chance: Chance) -> tuple[Ints, Ints]:
    """Each of ``units`` does something about every ``step`` days, on much the same days of each year: unit and working
    day, in order of date."""
    a_year = max(round(365 / step), 1)
    start = 2 + chance.integers(len(units), 0, 365 // a_year - 2)
    turns = (np.arange(a_year) * 365) // a_year
    years = np.array([year_start(year) for year in times.years], dtype=np.int64)
    day = (years[None, :, None] + start[:, None, None] + turns[None, None, :]).reshape(len(units), -1)
    day = nearest_working_day(day.ravel())
    unit = np.repeat(units, a_year * len(years))
    kept = (day >= times.history_start) & (day < times.today)
    order = np.argsort(day[kept], kind="stable")
    return unit[kept][order], day[kept][order]


def _village_doctors(institution: Institution) -> Ints:
    posts = [doctor.village for doctor in institution.doctors]
    return np.array([posts.index(village) for village in range(len(institution.villages))], dtype=np.int64)


def _numbered(day: Ints) -> Ints:
    """Running numbers within each year of records in order of date."""
    years = pl.DataFrame({"y": parts(day)[0]})
    return years.select(pl.int_range(1, pl.len() + 1).over("y")).to_series().to_numpy()


def _text(*parts_: Any) -> pl.Series:
    """Texts put together, piece by piece."""
    return pl.select(pl.concat_str(*(pl.lit(one) if isinstance(one, str) else one for one in parts_))).to_series()


def _digits(values: Ints) -> pl.Series:
    return pl.Series(values).cast(pl.String)


# --- health education ---------------------------------------------------------------------------------------------


def _education(institution: Institution, times: Times, cat: Catalogue, chance: Chance) -> pl.DataFrame:
    villages = np.arange(len(institution.villages), dtype=np.int64)
    held = []
    for place, (_, _, centre_step, clinic_step) in enumerate(_FORMS):
        units = [(np.array([-1], dtype=np.int64), centre_step)] + ([(villages, clinic_step)] if clinic_step else [])
        for who, step in units:
            unit, day = _every(step, who, times, chance)
            held.append((unit, day, np.full(len(day), place), np.arange(len(day), dtype=np.int64)))
    village, day, kind, turn = (np.concatenate([one[n] for one in held]) for n in range(4))
    order = np.argsort(day, kind="stable")
    village, day, kind, turn = village[order], day[order], kind[order], turn[order]
    size = len(day)
    centre = centre_doctors(institution)
    at_clinic = village >= 0
    doctor = np.where(
        at_clinic, _village_doctors(institution)[village], centre[chance.indexes(size, [1.0] * len(centre))]
    )
    columns = institution_envelope(village, doctor, at_clinic, institution)
    forms = np.array([one[0] for one in _FORMS])[kind]
    lecture = forms == _LECTURE
    topic = (turn + kind * 5 + np.maximum(village, 0) * 3) % len(_TOPICS)
    subject = choose(_TOPICS, topic)
    here = choose([one.name for one in institution.villages], village).fill_null(institution.town_name)
    audience = np.where(lecture, chance.integers(size, 28, 52), chance.integers(size, 38, 60))
    copies = np.floor(audience * chance.uniform(size, 1.2, 1.7)).astype(np.int64)
    number = _digits(_numbered(day))
    spots = np.where(at_clinic, "村委会活动室", np.where(lecture, "镇卫生院健康教育室", "镇巴扎"))
    title = choose(
        [
            f"{one}"
            for one in ("印刷资料发放", "音像资料播放", "宣传栏", "健康咨询", "健康讲座", "个体指导", "新媒体宣传")
        ],
        kind,
    )
    filled = np.minimum(day + chance.integers(size, 0, 5), times.today)
    columns |= {
        "activity_date": moments(day, chance.integers(size, 630, 1060)),
        "activity_place": _text(here, pl.Series(spots)),
        "activity_form": forms,
        "activity_topic": _text(subject, "（", _digits(parts(day)[0]), "年第", number, "期", title, "）"),
        "organizer": columns["institution_name"],
        "lecturer": where(lecture, columns["doctor_name"]),
        "audience_type": chance.pick(size, _AUDIENCES),
        "audience_count": audience.astype(np.float64),
        "material_name": _text("《", subject, "》", choose([one[1] for one in _FORMS], kind)),
        "material_count": copies.astype(np.float64),
        "content": _text(
            "围绕“", subject, "”向", here, "居民讲解防病知识和日常注意事项，发放资料", _digits(copies),
            "份，解答居民提问", _digits(chance.integers(size, 2, 18)), "人次。",
        ),
        "summary": _text(
            "参加", _digits(audience), "人，知晓率由活动前的", _digits(chance.integers(size, 42, 63)),
            "%提高到", _digits(chance.integers(size, 78, 96)), "%，达到预期效果。",
        ),
        "evidence_codes": codes(
            (chance.flags(size, 0.7), "1"),
            (np.ones(size, dtype=bool), "2"),
            (chance.flags(size, 0.4), "3"),
            (forms == "2", "4"),
            (np.ones(size, dtype=bool), "5"),
        ),
        "recorder": columns["doctor_name"],
        "in_charge": institution.doctors[int(centre[0])].name,
        "fill_date": days(filled),
        "tcm_flag": np.where(topic == _CHINESE_MEDICINE, "1", "2"),
        "tobacco_flag": np.where(topic == _TOBACCO, "1", "2"),
        "evidence_photo_count": chance.integers(size, 1, 5).astype(np.float64),
        **whereabouts(at_clinic & chance.flags(size, 0.3), village, institution, chance),
        "_entered_day": entered_afterwards(day, times),
    }  # fmt: skip
    return frame(cat.forms["health_education_activity"], columns, size)


# --- health supervision -------------------------------------------------------------------------------------------


def _leads(institution: Institution, times: Times, cat: Catalogue, chance: Chance) -> pl.DataFrame:
    """What was found and told to the county, within a day."""
    a_year = int(np.clip(institution.residents / 330, 6, 32))
    _, day = _every(max(365 // a_year, 4), np.array([-1], dtype=np.int64), times, chance)
    size = len(day)
    village = chance.integers(size, 0, len(institution.villages) - 1)
    columns = institution_envelope(village, _supervisor(size, institution), np.zeros(size, dtype=bool), institution)
    kind = chance.indexes(size, [1.0] * len(_PATROLS))
    found = chance.integers(size, 620, 900)
    next_day = chance.flags(size, 0.15) & (day + 1 < times.today)
    told = np.where(next_day, day + 1, day)
    answered = chance.flags(size, 0.7)
    columns |= {
        "seq_no": _numbered(day).astype(np.float64),
        "found_time": moments(day, found),
        "info_type_code": np.array([one[0] for one in _PATROLS])[kind],
        "info_content": _text(
            choose([one.name for one in institution.villages], village),
            choose([one[1] for one in _PATROLS], kind),
            "：",
            choose([one[2] for one in _PATROLS], kind),
        ),
        "report_time": moments(told, np.where(next_day, 620, found + chance.integers(size, 20, 180))),
        "report_target": where(chance.flags(size, 0.92), f"{institution.county_name}卫生健康综合监督所"),
        "reporter": columns["doctor_name"],
        "handle_result": where(answered, "监督员已到场核实，责令限期整改"),
        "evidence_photo_count": where(chance.flags(size, 0.8), chance.integers(size, 1, 4).astype(np.float64)),
        **whereabouts(chance.flags(size, 0.5), village, institution, chance),
        "_entered_day": entered_afterwards(np.maximum(day, told), times),
    }
    return frame(cat.forms["supervision_report"], columns, size)


def _patrols(institution: Institution, times: Times, cat: Catalogue, chance: Chance) -> pl.DataFrame:
    """Rounds every three weeks, some places on each."""
    _, round_day = _every(20, np.array([-1], dtype=np.int64), times, chance)
    places = chance.integers(len(round_day), 2, 4)
    day = np.repeat(round_day, places)
    size = len(day)
    village = chance.integers(size, 0, len(institution.villages) - 1)
    columns = institution_envelope(village, _supervisor(size, institution), np.zeros(size, dtype=bool), institution)
    kind = chance.indexes(size, [1.0] * len(_PATROLS))
    wrong = chance.flags(size, 0.3)
    columns |= {
        "seq_no": _numbered(day).astype(np.float64),
        "patrol_place": _text(
            choose([one.name for one in institution.villages], village), choose([one[1] for one in _PATROLS], kind)
        ),
        "patrol_type_code": np.array([one[0] for one in _PATROLS])[kind],
        "problem": pl.select(
            pl.when(pl.Series(wrong)).then(choose([one[2] for one in _PATROLS], kind)).otherwise(pl.lit("未发现问题"))
        ).to_series(),
        "handling": where(wrong, "现场指导整改，两周内复查"),
        "patrol_date": days(day),
        "patroller": columns["doctor_name"],
        "remark": where(chance.flags(size, 0.1), "与村委会干部同行"),
        "evidence_photo_count": where(chance.flags(size, 0.8), chance.integers(size, 1, 4).astype(np.float64)),
        **whereabouts(chance.flags(size, 0.5), village, institution, chance),
        "_entered_day": entered_afterwards(day, times),
    }
    return frame(cat.forms["supervision_patrol"], columns, size)


def _supervisor(size: int, institution: Institution) -> Ints:
    """Two doctors of the health centre by turns."""
    centre = centre_doctors(institution)
    return centre[(np.arange(size) % 2) % len(centre)]


# --- emergencies --------------------------------------------------------------------------------------------------


def _emergencies(institution: Institution, times: Times, cat: Catalogue, chance: Chance) -> pl.DataFrame:
    """Two or three cards an event, of all years, there being few: the first within two hours, the last at the end."""
    first, last = times.archives_start + 30, times.today - 40
    events = max(round(institution.residents / 5500 * (last - first) / 365), 4)
    begun = np.sort(nearest_working_day(first + chance.integers(events, 0, max(last - first, 1))))
    kind = chance.indexes(events, [1.0] * len(_EVENTS))
    early, middle = chance.integers(events, 6, 14), chance.integers(events, 2, 9)
    late = chance.integers(events, 0, 5)
    occurred, known = chance.integers(events, 605, 700), chance.integers(events, 0, 90)
    cards = []
    delays = (np.zeros(events, dtype=np.int64), chance.integers(events, 2, 4), chance.integers(events, 14, 26))
    for number, delay in enumerate(delays):
        there = chance.flags(events, 0.6) if number == 1 else np.ones(events, dtype=bool)
        cards.append((np.flatnonzero(there), np.full(int(there.sum()), number), delay[there]))
    event, stage, after = (np.concatenate([one[n] for one in cards]) for n in range(3))
    day = np.where(stage == 0, begun[event], working_day_at_or_after(begun[event] + after))
    order = np.lexsort((stage, day))
    event, stage, day = event[order], stage[order], day[order]
    size = len(event)
    total = early[event] + np.where(stage >= 1, middle[event], 0) + np.where(stage == 2, late[event], 0)
    fresh = np.select([stage == 0, stage == 1], [early[event], middle[event]], late[event])
    start, learnt = occurred[event], occurred[event] + 60 + known[event]
    told = np.where(stage == 0, learnt + chance.integers(size, 12, 110), chance.integers(size, 620, 1080))
    village = event % len(institution.villages)
    centre = centre_doctors(institution)
    columns = institution_envelope(village, np.full(size, centre[0]), np.zeros(size, dtype=bool), institution)
    which = kind[event]
    site = choose([one[2] for one in _EVENTS], which)
    area = f"新疆{institution.county_name}{institution.town_name}"
    columns |= {
        "report_kind_code": np.array(["1", "2", "3"])[stage],
        "event_name": _text(
            institution.town_name, site, choose([one[1] for one in _EVENTS], which), "事件（",
            _digits(parts(begun[event])[0]), "年第", _digits(event + 1), "起）",
        ),
        "event_type_code": np.array([one[0] for one in _EVENTS])[which],
        "event_level_code": np.where(total >= 22, "4", "5"),
        "confirm_time": pl.select(
            pl.when(pl.Series(stage > 0)).then(moments(begun[event] + 1, np.full(size, 640)))
        ).to_series(),
        "report_region": area,
        "occur_region": area,
        "occur_place": _text(area, choose([one.name for one in institution.villages], village), site),
        "occur_site": site,
        "known_time": moments(begun[event], learnt),
        "occur_time": moments(begun[event], start),
        "report_time": moments(day, told),
        "first_case_time": moments(begun[event] - 2, start),
        "last_case_time": moments(np.where(stage == 0, begun[event], begun[event] + 1), start),
        "cases_new": fresh.astype(np.float64),
        "cases_total": total.astype(np.float64),
        "deaths_new": np.zeros(size),
        "deaths_total": np.zeros(size),
        "exposed_count": (total + 30 + event % 7 * 12).astype(np.float64),
        "symptoms": choose([one[3] for one in _EVENTS], which),
        "signs": choose([one[4] for one in _EVENTS], which),
        "measures": _text("隔离治疗病人", _digits(total), "人，开展流行病学调查和终末消毒，晨午检零报告，健康教育"),
        "reporter": columns["doctor_name"],
        "contact_phone": institution.telephone,
        "evidence_photo_count": where(chance.flags(size, 0.5), 2.0),
        "_entered_day": entered_afterwards(day, times),
    }  # fmt: skip
    return frame(cat.forms["phe_report"], columns, size)
