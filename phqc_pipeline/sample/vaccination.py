"""预防接种卡 and its doses: one card a child under seven, one record a dose given since birth.

Belongs here: when a dose is given, from which lot, what card and dose say. Does not belong here: the programme's ages
and intervals (``rules/codes/vaccine_programme.yaml``).

All doses that are due at one age are given on one day, so that live vaccines lie on one day or months apart. A child
follows the programme that was in force when it was born; from the day a later one drops a routine dose its successor is
given instead (白破 → 百白破第5剂).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.catalogue.model import Code
from phqc_pipeline.sample.births import births
from phqc_pipeline.sample.calendar import Times, day_number, months_after, parts, working_day_at_or_after
from phqc_pipeline.sample.chance import Chance, Ints
from phqc_pipeline.sample.children import child_doctors
from phqc_pipeline.sample.places import ELSEWHERE, Institution
from phqc_pipeline.sample.rows import choose, days, entered_days, envelope, frame, optional_days, where

_PROGRAMMES = ("CL_VACC_PROG_2021", "CL_VACC_PROG_2025", "CL_VACC_PROG_2026")
_ROUTINE = (
    *(("HEPB", n) for n in (1, 2, 3)),
    ("BCG", 1),
    *(("IPV", n) for n in (1, 2)),
    *(("BOPV", n) for n in (3, 4)),
    *(("DTAP", n) for n in (1, 2, 3, 4)),
    ("DT", 1),
    ("DTAP", 5),
    *(("MMR", n) for n in (1, 2)),
    *(("JEL", n) for n in (1, 2)),
    *(("MPSVA", n) for n in (1, 2)),
    *(("MPSVAC", n) for n in (1, 2)),
    ("HEPAL", 1),
    *(("HEPAI", n) for n in (1, 2)),
)
# Of one kind a child gets the one or the other: the live hepatitis A vaccine once, or the inactivated one twice.
_INACTIVATED_A = 0.15
# Maker, days a lot keeps, how a lot is called, and where it is given (CL_VACC_SITE).
_SUPPLY: dict[str, tuple[str, int, str, str]] = {
    "HEPB": ("深圳康泰生物制品股份有限公司", 1095, "B", "2"),
    "BCG": ("成都生物制品研究所有限责任公司", 730, "K", "1"),
    "IPV": ("北京生物制品研究所有限责任公司", 730, "P", "4"),
    "BOPV": ("北京生物制品研究所有限责任公司", 730, "D", "6"),
    "DTAP": ("武汉生物制品研究所有限责任公司", 730, "T", "3"),
    "DT": ("武汉生物制品研究所有限责任公司", 1095, "U", "1"),
    "MMR": ("上海生物制品研究所有限责任公司", 540, "M", "1"),
    "JEL": ("成都生物制品研究所有限责任公司", 540, "J", "2"),
    "MPSVA": ("兰州生物制品研究所有限责任公司", 730, "A", "1"),
    "MPSVAC": ("玉溪沃森生物技术有限公司", 730, "C", "2"),
    "HEPAL": ("中国医学科学院医学生物学研究所", 540, "H", "2"),
    "HEPAI": ("科兴生物制品股份有限公司", 1095, "N", "2"),
}
# Doses due at three and at six years are given on the birthday: who is six must have them (VAC-T-003), and three
# years lie between two of them.
_ON_BIRTHDAY = (36, 72)
_LOT_LASTS = 70  # days of deliveries from one lot
_ILLNESSES = ("水痘", "手足口病", "流行性腮腺炎")


@dataclass(frozen=True)
class _Dose:
    """A dose of one programme: key of the dose before it, earliest age, least distance from that one (days, months)."""

    vaccine: str
    number: int
    months: int
    before: str | None
    gap_days: int
    gap_months: int

    @property
    def key(self) -> str:
        return f"{self.vaccine}-{self.number}"


def vaccinations(
    people: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, seed: int
) -> dict[str, pl.DataFrame]:
    """Cards and doses."""
    born = births(people, institution, times, cat, seed)
    chance = institution.chance(seed, "vaccination")
    return {
        "vaccination_card": _cards(people, born, institution, times, cat, chance),
        "vaccination_dose": _doses(people, born, institution, times, cat, chance),
    }


def _card_numbers(born: pl.DataFrame, institution: Institution) -> pl.Series:
    """18 digits: town, year of birth, order."""
    year = pl.Series(parts(born["birth"].to_numpy())[0]).cast(pl.String)
    order = pl.int_range(1, born.height + 1, eager=True).cast(pl.String).str.zfill(5)
    return pl.select(pl.lit(institution.town) + year + order).to_series()


def _cards(
    people: pl.DataFrame, born: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, chance: Chance
) -> pl.DataFrame:
    size = born.height
    person, birth = born["child"].to_numpy(), born["birth"].to_numpy()
    mine = people[person]
    leave = mine["leave_day"].to_numpy()
    arrived = _arrived(people, born, times)
    day = working_day_at_or_after(birth + chance.integers(size, 3, 20))
    day = np.where(arrived, mine["archive_day"].to_numpy(), day)
    day = np.minimum(day, np.minimum(leave - 3, times.today))
    columns = envelope(
        people, person, child_doctors(institution, born["household"].to_numpy(), 2), np.zeros(size, bool), institution
    )
    at_home = born["mother"].to_numpy() >= 0
    elder = ~at_home & np.isin(mine["relation"].to_numpy(), ["4"])
    by_father = ~at_home & (born["father"].to_numpy() >= 0)
    villages = [f"新疆{institution.county_name}{institution.town_name}{v.name}" for v in institution.villages]
    address = pl.select(
        choose(villages, mine["village"].to_numpy())
        + pl.Series(born["household"] % 9 + 1).cast(pl.String)
        + pl.lit("组")
    ).to_series()
    moved = np.isin(mine["status"].to_numpy(), ["2"])
    own = {
        "_entered_day": entered_days(day, times.today, chance),
        "child_code": _card_numbers(born, institution),
        "guardian_name": np.where(
            elder, mine["head_name"].to_numpy(), np.where(by_father, born["father_name"], born["mother_name"])
        ),
        "guardian_relation": np.select([elder, by_father], ["祖父母", "父亲"], "母亲"),
        "guardian_phone": np.where(
            elder,
            people["phone"].gather(mine["head"]).to_numpy(),
            np.where(by_father, born["father_phone"], born["mother_phone"]),
        ),
        "home_address": address,
        "household_address": address,
        "movein_date": optional_days(mine["archive_day"].to_numpy(), arrived),
        "moveout_date": optional_days(leave, moved),
        "moveout_reason": where(moved, "随父母外出务工"),
        "adverse_history": np.where(chance.flags(size, 0.01), "百白破接种后发热，1天后消退", "无"),
        "contraindication": np.where(chance.flags(size, 0.006), "鸡蛋过敏", "无"),
        "infection_history": np.where(chance.flags(size, 0.04), chance.pick(size, _ILLNESSES), "无"),
        "card_date": days(day),
        "card_doctor": columns["doctor_name"],
    }
    return frame(cat.forms["vaccination_card"], columns | own, size)


def _arrived(people: pl.DataFrame, born: pl.DataFrame, times: Times) -> np.ndarray:
    """Children who came from elsewhere; those archived late because the programme was new did not."""
    return (~born["here"] & (born["birth"] >= times.archives_start)).to_numpy()


def _doses(
    people: pl.DataFrame, born: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, chance: Chance
) -> pl.DataFrame:
    given = _schedule(people, born, times, cat, chance)
    row, day = given["row"].to_numpy(), given["day"].to_numpy()
    size = given.height
    child = born[row]
    person = child["child"].to_numpy()
    doctor = child_doctors(institution, child["household"].to_numpy(), 2)
    columns = envelope(people, person, doctor, np.zeros(size, dtype=bool), institution)
    at_birth = day - child["birth"].to_numpy() <= 1
    away = _arrived(people, born, times)[row] & (day < people["archive_day"].to_numpy()[person])
    town = np.array(sorted(ELSEWHERE.values()), dtype=object)[person % len(ELSEWHERE)]
    place = np.where(away, town + "预防接种门诊", np.where(at_birth, child["org"].to_numpy(), institution.name))
    vaccines = list(_SUPPLY)
    kind = given["kind"].to_numpy()
    produced, expires = _lots(kind, day)
    own = {
        "_entered_day": entered_days(day, times.today, chance),
        "child_code": _card_numbers(born, institution).gather(row),
        "vaccine_code": choose(vaccines, kind),
        "dose_no": given["number"],
        "dose_date": days(day),
        "site_code": choose([_SUPPLY[one][3] for one in vaccines], kind),
        "batch_no": choose([_SUPPLY[one][2] for one in vaccines], kind) + days(produced).dt.strftime("%Y%m%d"),
        "expire_date": days(expires),
        "manufacturer": choose([_SUPPLY[one][0] for one in vaccines], kind),
        "vaccinator": columns["doctor_name"],
        "vacc_org": place,
        "remark": where(away, "迁入前接种，据接种证补录"),
    }
    return frame(cat.forms["vaccination_dose"], columns | own, size)


def _lots(kind: Ints, day: Ints) -> tuple[Ints, Ints]:
    """When the lot of each dose was made and when it expires: it is used up within weeks, months after it was made."""
    shelf = np.array([one[1] for one in _SUPPLY.values()], dtype=np.int64)[kind]
    delivered = (day + kind * 11) // _LOT_LASTS * _LOT_LASTS - kind * 11
    produced = delivered - 120 - (delivered + kind) % 60
    return produced, produced + shelf


def _schedule(people: pl.DataFrame, born: pl.DataFrame, times: Times, cat: Catalogue, chance: Chance) -> pl.DataFrame:
    """One row a dose given: row (in ``born``), kind (position in the supply), number, day."""
    size = born.height
    birth = born["birth"].to_numpy()
    last = np.minimum(people["leave_day"].to_numpy()[born["child"].to_numpy()] - 3, times.today)
    delay = chance.integers(size, 0, 14)
    inactivated = chance.flags(size, _INACTIVATED_A)
    lists = [_doses_of(cat, list_id) for list_id in _PROGRAMMES]
    starts = [_start(cat, list_id) for list_id in _PROGRAMMES]
    in_force = np.searchsorted(np.array(starts[1:]), birth, side="right")
    found: list[pl.DataFrame] = []
    for place, programme in enumerate(lists):
        rows = np.flatnonzero(in_force == place)
        if not len(rows):
            continue
        extra = [one for one in lists[-1] if one.key == "DTAP-5" and one.key not in {dose.key for dose in programme}]
        given = _given(birth[rows], [*programme, *extra], delay[rows])
        for dose, day in given:
            kept = day <= last[rows]
            if dose.vaccine in ("HEPAL", "HEPAI"):
                kept &= inactivated[rows] == (dose.vaccine == "HEPAI")
            if dose.key == "DT-1":
                kept &= (day < starts[1]) & (place == 0)
            if dose.key == "DTAP-5":
                kept &= day >= starts[1]
            found.append(
                pl.DataFrame(
                    {
                        "row": rows[kept],
                        "kind": np.full(int(kept.sum()), list(_SUPPLY).index(dose.vaccine)),
                        "number": np.full(int(kept.sum()), dose.number),
                        "day": day[kept],
                    }
                )
            )
    if not found:
        return pl.DataFrame(schema=dict.fromkeys(("row", "kind", "number", "day"), pl.Int64))
    return pl.concat(found).sort("row", "day", "kind")


def _given(birth: Ints, doses: list[_Dose], delay: Ints) -> list[tuple[_Dose, Ints]]:
    """The day of each dose: those due at one age together, when the last of them may be given."""
    done: dict[str, Ints] = {}
    found: list[tuple[_Dose, Ints]] = []
    for months in sorted({dose.months for dose in doses}):
        together = [dose for dose in doses if dose.months == months]
        prompt = months == 0 or months in _ON_BIRTHDAY
        day = months_after(birth, months) + (0 if prompt else delay)
        for dose in together:
            if dose.before in done:
                earlier = done[dose.before]
                day = np.maximum(day, months_after(earlier + dose.gap_days, dose.gap_months))
        day = day if prompt else working_day_at_or_after(day)
        for dose in together:
            done[dose.key] = day
            found.append((dose, day))
    return found


def _doses_of(cat: Catalogue, list_id: str) -> list[_Dose]:
    """The routine doses of one version of the programme."""
    codes = cat.codes[list_id].by_code
    found = []
    for vaccine, number in _ROUTINE:
        code = codes.get(f"{vaccine}-{number}")
        if code is None:
            continue
        before = f"{vaccine}-{number - 1}"
        found.append(
            _Dose(
                vaccine,
                number,
                _figure(code, "min_age_months"),
                str(code.attrs.get("previous", before)),
                _figure(code, "min_interval_days"),
                _figure(code, "min_interval_months"),
            )
        )
    return found


def _figure(code: Code, name: str) -> int:
    value: Any = code.attrs.get(name, 0)
    return int(value)


def _start(cat: Catalogue, list_id: str) -> int:
    """First day of a version of the programme; the first version has always been there."""
    starts = [code.valid_from for code in cat.codes[list_id].codes if code.valid_from is not None]
    return day_number(min(starts)) if starts else day_number(date(1970, 1, 1))
