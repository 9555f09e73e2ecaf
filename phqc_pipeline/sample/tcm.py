"""老年人中医药健康管理服务记录表: the constitution of every elder who is examined.

Belongs here: answers to the 33 questions, their scores and results, the advice. Does not belong here: who is examined
(``exams``).

An elder's constitution stays what it is from year to year: one kind that shows, sometimes a second. How heavy the body
and how wide the waist are (questions 9 and 28) is what the examination measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.sample.calendar import Times, parts, working_day_at_or_before
from phqc_pipeline.sample.chance import Chance, Ints
from phqc_pipeline.sample.places import Institution
from phqc_pipeline.sample.profile import doctor_of
from phqc_pipeline.sample.rows import days, entered_days, envelope, frame, where

# Constitution and its questions (老年人中医药健康管理服务技术规范).
QUESTIONS: dict[str, tuple[int, int, int, int]] = {
    "qixu": (2, 3, 4, 14),
    "yangxu": (11, 12, 13, 29),
    "yinxu": (10, 21, 26, 31),
    "tanshi": (9, 16, 28, 32),
    "shire": (23, 25, 27, 30),
    "xueyu": (19, 22, 24, 33),
    "qiyu": (5, 6, 7, 8),
    "tebing": (15, 17, 18, 20),
}
_SHARES = (0.24, 0.2, 0.16, 0.1, 0.09, 0.1, 0.08, 0.03)
_BALANCED_REVERSED = (2, 4, 5, 13)  # 平和质: question 1, and these counted backwards
_BODY_MASS = (24.0, 25.0, 26.0, 28.0)  # kg/m² from which question 9 is answered 2, 3, 4, 5
_WAIST = (80.0, 86.0, 91.0, 105.1)  # cm from which question 28 is
_YES, _LEANS = 11, 9  # scores
_ADVICE = ("食疗：山药薏米粥，每周三次", "八段锦，每日一遍", "耳穴压豆，每周一次")


def constitutions(
    frames: Mapping[str, pl.DataFrame],
    people: pl.DataFrame,
    institution: Institution,
    times: Times,
    cat: Catalogue,
    seed: int,
) -> dict[str, pl.DataFrame]:
    """One record an elder and examination."""
    chance = institution.chance(seed, "tcm")
    exams = frames["health_exam"].filter(pl.col("elder_adl_code").is_not_null())
    size = exams.height
    person = exams["_person"].to_numpy()
    examined = exams["exam_date"].cast(pl.Int32).to_numpy().astype(np.int64)
    day = _days(examined, people["leave_day"].to_numpy()[person], times, chance)
    mine = people[person]
    columns = envelope(people, person, doctor_of(mine, institution), chance.flags(size, 0.3), institution)
    answers = _answers(person, exams["bmi"].to_numpy(), exams["waist_cm"].to_numpy(), chance)
    columns |= {f"q{n}": answer.astype(np.float64) for n, answer in answers.items()}
    columns |= _results(answers, chance)
    columns |= {
        "fill_date": days(day),
        "assess_doctor": columns["doctor_name"],
        "_entered_day": entered_days(day, times.today, chance),
    }
    return {"elderly_tcm": frame(cat.forms["elderly_tcm"], columns, size)}


def _days(examined: Ints, leave: Ints, times: Times, chance: Chance) -> Ints:
    """Mostly on the day of the examination, else within ten days of the same year."""
    size = len(examined)
    later = working_day_at_or_before(examined + chance.integers(size, 3, 10))
    fits = (later > examined) & (later <= times.today) & (later < leave) & (parts(later)[0] == parts(examined)[0])
    return np.where(fits & chance.flags(size, 0.2), later, examined)


def _answers(person: Ints, body_mass: Any, waist: Any, chance: Chance) -> dict[int, Ints]:
    """The answers (1 … 5) by question: seldom but for the questions of the elder's own constitution."""
    size = len(person)
    lot = (person * 7919 % 1000) / 1000.0  # the same in every year
    edges = np.cumsum(_SHARES)
    first = np.searchsorted(edges / edges[-1], lot, side="right")
    shows = person * 6133 % 100 < 72
    second = (first + 1 + person % 5) % len(QUESTIONS)
    both = shows & (person * 3571 % 100 < 22)
    answers = {n: 1 + chance.flags(size, 0.35).astype(np.int64) for n in range(1, 34)}
    answers[1] = 3 + chance.indexes(size, [0.3, 0.45, 0.25])
    for place, numbers in enumerate(QUESTIONS.values()):
        own = (shows & (first == place)) | (both & (second == place))
        for n in numbers:
            answers[n] = np.where(own, 2 + chance.indexes(size, [0.3, 0.5, 0.2]), answers[n])
    answers[9] = 1 + np.searchsorted(np.array(_BODY_MASS), body_mass, side="right")
    answers[28] = 1 + np.searchsorted(np.array(_WAIST), waist, side="right")
    return answers


def _results(answers: Mapping[int, Ints], chance: Chance) -> dict[str, Any]:
    """Score, result (CL_TCM_RESULT) and advice for each of the nine."""
    size = len(answers[1])
    scores = {name: np.sum([answers[n] for n in numbers], axis=0) for name, numbers in QUESTIONS.items()}
    results = {
        name: np.select([score >= _YES, score >= _LEANS], ["1", "2"], "3").astype(str) for name, score in scores.items()
    }
    most = np.max(list(scores.values()), axis=0)
    scores["pinghe"] = answers[1] + np.sum([6 - answers[n] for n in _BALANCED_REVERSED], axis=0)
    balanced = scores["pinghe"] >= 17
    results["pinghe"] = np.select([balanced & (most < _LEANS), balanced & (most < _YES)], ["1", "2"], "3").astype(str)
    columns: dict[str, Any] = {}
    for name, score in scores.items():
        advised = results[name] != "3"
        other = advised & chance.flags(size, 0.06)
        given = [(advised, "2"), (advised & chance.flags(size, 0.6), "3"), (advised & chance.flags(size, 0.5), "4")]
        given += [(advised & chance.flags(size, 0.35), "1"), (advised & chance.flags(size, 0.3), "5"), (other, "6")]
        columns |= {
            f"score_{name}": score.astype(np.float64),
            f"result_{name}": results[name],
            f"guide_{name}_codes": _list(given),
            f"guide_{name}_other": where(other, chance.pick(size, _ADVICE)),
        }
    return columns


def _list(given: list[tuple[Any, str]]) -> pl.Series:
    """The codes whose mask holds, in their order; NULL where none does."""
    table = pl.DataFrame({code: where(mask, code) for mask, code in sorted(given, key=lambda one: one[1])})
    chosen = pl.concat_list(pl.all()).list.drop_nulls()
    return table.select(pl.when(chosen.list.len() > 0).then(chosen).alias("codes")).to_series()
