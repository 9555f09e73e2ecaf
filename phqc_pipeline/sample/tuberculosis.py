"""肺结核: 第一次入户随访记录表, one a patient within three days of the notice, and 随访服务记录表 until treatment ends.

Belongs here: both forms' records. Does not belong here: who is ill and for how long (``conditions``).

A patient is seen every ten days for two months and every thirty afterwards, whoever watches the doses; the last visit
closes the treatment. Records of all years are kept, there being few.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.sample.calendar import Times, working_day_at_or_after, working_day_at_or_before
from phqc_pipeline.sample.chance import Chance, Ints
from phqc_pipeline.sample.conditions import NEVER
from phqc_pipeline.sample.places import Institution
from phqc_pipeline.sample.profile import centre_doctors
from phqc_pipeline.sample.rows import (
    codes,
    days,
    entered_days,
    envelope,
    frame,
    moments,
    optional_days,
    where,
    whereabouts,
)

_INTENSIVE, _STEP, _LATER = 6, 10, 30  # visits every ten days, then every thirty
_VISITS = 14  # more than the longest treatment takes
_EDUCATION = ("card", "storage", "course", "harm", "adr", "sputum", "travel", "habit", "contact")
_PLACE = "阿勒泰市疾病预防控制中心结核病门诊"
_OPINIONS = [
    *("继续按方案服药，按时复查", "继续服药，下月复查痰涂片", "继续服药，复查肝肾功能", "按时服药，注意休息和营养"),
    *("督导服药，如有不适及时就诊", "继续治疗，避免漏服", "继续服药，居室通风，注意消毒"),
]
_DEPARTMENT = "阿勒泰地区人民医院感染科"


def tb_doctor(institution: Institution) -> int:
    """The doctor of the health centre who looks after them: a position in ``institution.doctors``."""
    centre = centre_doctors(institution)
    return int(centre[2 % len(centre)])


def tuberculosis(
    people: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, seed: int
) -> dict[str, pl.DataFrame]:
    """Records of both forms."""
    chance = institution.chance(seed, "tuberculosis")
    return {
        "tb_first_visit": _first_visits(people, institution, times, cat, chance),
        "tb_followup": _follow_ups(people, institution, times, cat, chance),
    }


def _course(person: Ints, again: Any) -> dict[str, Any]:
    """What stays the same all through a treatment: the scheme, its form, who watches."""
    supervisor = np.array(["1", "2", "3", "4"])[
        np.searchsorted(np.array([50, 90, 97]), person * 7919 % 100, side="right")
    ]
    packed = person % 4 == 0
    return {
        "regimen": np.where(again, "2HRZES/6HRE", "2HRZE/4HR"),
        "usage_code": np.where(person % 9 == 0, "2", "1"),
        "dosage_form_codes": codes((~packed, "1"), (packed, "3"), (again, "4")),
        "supervisor_code": supervisor,
    }


def _habits(mine: pl.DataFrame) -> dict[str, Any]:
    cigarettes, liquor = mine["cigarettes"].to_numpy().astype(np.float64), mine["liquor"].to_numpy()
    return {
        "smoke_per_day": cigarettes,
        "smoke_target": np.floor(cigarettes / 2),
        "drink_per_day": liquor,
        "drink_target": np.zeros(mine.height),
    }


def _first_visits(
    people: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, chance: Chance
) -> pl.DataFrame:
    person = np.flatnonzero(people["tb"].to_numpy())
    mine = people[person]
    size = len(person)
    day, again = mine["tb_register"].to_numpy(), mine["tb_again"].to_numpy()
    noticed = day - chance.integers(size, 1, 2)
    columns = envelope(people, person, np.full(size, tb_doctor(institution)), np.zeros(size, dtype=bool), institution)
    columns |= _course(person, again) | _habits(mine)
    other = chance.flags(size, 0.03)
    columns |= {f"edu_{name}_code": np.where(chance.flags(size, 0.93), "1", "2") for name in _EDUCATION}
    at_home = chance.flags(size, 0.9)
    columns |= {
        "notice_date": moments(noticed, chance.integers(size, 600, 1100)),
        "treatment_start_date": days(mine["tb_diagnosis"].to_numpy()),
        "visit_date": days(day),
        "visit_mode_code": np.where(at_home, "2", "1"),
        "patient_type_code": np.where(again, "2", "1"),
        "sputum_code": np.array(["1", "2", "3"])[chance.indexes(size, [0.45, 0.5, 0.05])],
        "resistance_code": np.array(["2", "3"])[chance.indexes(size, [0.75, 0.25])],
        "symptom_codes": codes(
            (chance.flags(size, 0.75), "1"),
            (chance.flags(size, 0.4), "2"),
            (chance.flags(size, 0.15), "3"),
            (chance.flags(size, 0.3), "4"),
            (other, "10"),
            otherwise="0",
        ),
        "symptom_other": where(other, "声音嘶哑"),
        "supervisor_other": where(columns["supervisor_code"] == "4", "村志愿者"),
        "single_room_code": np.where(chance.flags(size, 0.6), "1", "2"),
        "ventilation_code": np.array(["1", "2", "3"])[chance.indexes(size, [0.55, 0.38, 0.07])],
        "pickup_place": _PLACE,
        "pickup_date": days(mine["tb_diagnosis"].to_numpy()),
        "next_visit_date": days(_later(day, _STEP)),
        "visit_doctor": columns["doctor_name"],
        **whereabouts(at_home & chance.flags(size, 0.6), mine["village"].to_numpy(), institution, chance),
        "evidence_photo_count": where(chance.flags(size, 0.7), chance.integers(size, 1, 4).astype(np.float64)),
        "_entered_day": entered_days(day, times.today, chance),
    }
    return frame(cat.forms["tb_first_visit"], columns, size)


def _later(day: Ints, step: int | Ints) -> Ints:
    """The last working day within so many days, or the first there is after a long holiday."""
    found = working_day_at_or_before(day + step)
    return np.where(found > day, found, working_day_at_or_after(day + 1))


def _schedule(people: pl.DataFrame, times: Times) -> tuple[Ints, Ints, Any]:
    """Person and day of each visit, and whether it closes the treatment."""
    patients = people.filter(pl.col("tb"))
    person, end = patients["person"].to_numpy(), patients["tb_end"].to_numpy()
    leave = patients["leave_day"].to_numpy()
    day = patients["tb_register"].to_numpy()
    persons, found, closing = [], [], []
    for number in range(_VISITS):
        step = _STEP if number < _INTENSIVE else _LATER
        day = _later(day, step)
        # What would fall into the last ten days is the closing visit.
        kept = (day <= times.today) & (day < leave) & (day < end - _STEP)
        persons.append(person[kept])
        found.append(day[kept])
        closing.append(np.zeros(int(kept.sum()), dtype=bool))
    closed = (end <= times.today) & (end < leave)
    persons.append(person[closed])
    found.append(end[closed])
    closing.append(np.ones(int(closed.sum()), dtype=bool))
    everyone, on, last = np.concatenate(persons), np.concatenate(found), np.concatenate(closing)
    order = np.lexsort((on, everyone))
    return everyone[order], on[order], last[order]


def _follow_ups(
    people: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, chance: Chance
) -> pl.DataFrame:
    person, day, closing = _schedule(people, times)
    size = len(person)
    mine = people[person]
    start, again = mine["tb_register"].to_numpy(), mine["tb_again"].to_numpy()
    month = (day - start) // 30 + 1
    early = day - start < 70
    columns = envelope(people, person, np.full(size, tb_doctor(institution)), np.zeros(size, dtype=bool), institution)
    columns |= _course(person, again) | _habits(mine)
    reaction = chance.flags(size, np.where(early, 0.07, 0.02))
    complication = chance.flags(size, 0.015)
    other = chance.flags(size, 0.02)
    refer = reaction | complication
    missed = np.where(chance.flags(size, 0.1), 1.0, 0.0)
    columns.pop("supervisor_other", None)
    columns |= {
        "visit_date": days(day),
        "treatment_month": month.astype(np.float64),
        "visit_mode_code": np.where(
            mine["adl"].to_numpy() == 4, "2", np.array(["1", "2", "3"])[chance.indexes(size, [0.35, 0.55, 0.1])]
        ),
        "symptom_codes": codes(
            (chance.flags(size, np.where(early, 0.45, 0.1)), "1"),
            (chance.flags(size, np.where(early, 0.15, 0.02)), "2"),
            (reaction & chance.flags(size, 0.5), "5"),
            (reaction & chance.flags(size, 0.3), "9"),
            (other, "11"),
            otherwise="0",
        ),
        "symptom_other": where(other, "声音嘶哑"),
        "missed_doses": missed,
        "adr_code": np.where(reaction, "2", "1"),
        "adr_desc": where(reaction, chance.pick(size, ["恶心、食欲减退", "皮疹", "关节疼痛", "转氨酶轻度升高"])),
        "complication_code": np.where(complication, "2", "1"),
        "complication_desc": where(complication, "结核性胸膜炎"),
        "referral_dept": where(refer, _DEPARTMENT),
        "referral_reason": where(refer, np.where(reaction, "药物不良反应", "出现合并症")),
        "referral_result": where(refer, "已就诊，调整用药后继续治疗"),
        "handle_opinion": np.where(closing, "完成疗程，结案", np.where(refer, "转诊，两周内随访", _advice(person))),
        "next_visit_date": optional_days(
            _later(day, np.where(day - start < _INTENSIVE * _STEP - 3, _STEP, _LATER)), ~closing
        ),
        "visit_doctor": columns["doctor_name"],
        "evidence_photo_count": where(chance.flags(size, 0.6), chance.integers(size, 1, 4).astype(np.float64)),
        **whereabouts(chance.flags(size, 0.4), mine["village"].to_numpy(), institution, chance),
        "_entered_day": entered_days(day, times.today, chance),
    }
    columns |= _closing(mine, person, day, closing, missed, columns, chance)
    return frame(cat.forms["tb_followup"], columns, size)


def _advice(person: Ints) -> np.ndarray:
    """What is written on each visit, never twice running for one patient; ``person`` in order."""
    turn = pl.DataFrame({"p": person}).select(pl.int_range(pl.len()).over("p")).to_series().to_numpy()
    return np.array(_OPINIONS)[(person + turn) % len(_OPINIONS)]


def _closing(
    mine: pl.DataFrame, person: Ints, day: Ints, closing: Any, missed: Any, columns: Any, chance: Chance
) -> dict[str, Any]:
    """How a treatment ended: completed, or cut short by death or removal, which is noted on the last visit."""
    size = len(person)
    last = np.diff(person, append=-1) != 0
    start, leave, end = (mine[name].to_numpy() for name in ("tb_register", "leave_day", "tb_end"))
    cut = last & ~closing & (end == leave) & (leave < NEVER)
    stopped = closing | cut
    dead = cut & (mine["status"].to_numpy() == "3")
    stop = np.where(dead, leave, day)
    due = stop - start
    # Doses missed so far, as the visits tell.
    total = pl.DataFrame({"p": person, "m": missed}).select(pl.col("m").cum_sum().over("p")).to_series().to_numpy()
    visits = pl.DataFrame({"p": person}).select(pl.int_range(1, pl.len() + 1).over("p")).to_series().to_numpy()
    taken = np.maximum(due - total, 0)
    return {
        "stop_date": optional_days(stop, stopped),
        "stop_reason_code": where(stopped, np.where(closing, "1", np.where(dead, "2", "3"))),
        "should_visit": where(stopped, (visits + chance.flags(size, 0.2)).astype(np.float64)),
        "actual_visit": where(stopped, visits.astype(np.float64)),
        "should_dose": where(stopped, due.astype(np.float64)),
        "actual_dose": where(stopped, taken.astype(np.float64)),
        "dose_rate": where(stopped, np.round(100 * taken / np.maximum(due, 1), 1)),
        "assess_doctor": pl.select(pl.when(pl.Series(stopped)).then(columns["doctor_name"])).to_series(),
    }
