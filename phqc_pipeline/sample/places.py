"""Where the sample plays: the counties of Altay prefecture, their towns, villages, health centres, clinics, doctors.

Belongs here: institutions with their codes and names, villages, the doctors on the register.
Does not belong here: residents (``people``).

County codes are those of GB/T 2260; town names are real, the three digits of a town and everything below it follow the
style of GB/T 10114 but were not checked against the official list (未核). Doctors are made up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from phqc_pipeline.sample import names
from phqc_pipeline.sample.chance import Chance
from phqc_pipeline.sample.refused import SampleRefusedError

FOUNDING_NAME = "阿勒泰市阿拉哈克镇中心卫生院"
FOUNDING_CODE = "654301104901"
FOUNDING_ELECTRONIC = 10129  # 2023 年度已建立电子健康档案人数 (service-contract.md)
LARGE = 2_000  # residents from which an institution is like in life
AREA_CODE = "0906"  # telephone area code of Altay prefecture
HOSPITAL_DOCTORS = ("沈国栋", "哈依拉提·马坎", "范丽君", "热扎克·吐尔逊", "孔令辉")  # of the hospitals referred to

COUNTIES: dict[str, str] = {
    "654301": "阿勒泰市",
    "654321": "布尔津县",
    "654322": "富蕴县",
    "654323": "福海县",
    "654324": "哈巴河县",
    "654325": "青河县",
    "654326": "吉木乃县",
}

# Where people who moved to Altay come from: county code (GB/T 2260) and its full name.
ELSEWHERE: dict[str, str] = {
    "652301": "新疆昌吉回族自治州昌吉市",
    "654201": "新疆塔城地区塔城市",
    "411421": "河南省商丘市民权县",
    "620522": "甘肃省天水市秦安县",
    "620421": "甘肃省白银市靖远县",
    "320322": "江苏省徐州市沛县",
    "371322": "山东省临沂市郯城县",
    "510322": "四川省自贡市富顺县",
}

# The codes these counties had before, and the year they changed: who was born earlier has the former one in the
# identity number.
FORMER: dict[str, tuple[str, int]] = {
    "654301": ("652621", 1984),
    "654321": ("652622", 1984),
    "654322": ("652623", 1984),
    "654323": ("652624", 1984),
    "654324": ("652625", 1984),
    "654325": ("652626", 1984),
    "654326": ("652627", 1984),
    "652301": ("652321", 1983),
    "654201": ("652521", 1984),
    "411421": ("412323", 1997),
    "620522": ("622530", 1985),
    "620421": ("622422", 1985),
    "320322": ("322122", 1983),
    "371322": ("372822", 1994),
    "510322": ("512522", 1983),
}

# Towns in the order they get an institution; the first is the founding institution's. (county, three digits, name)
_TOWNS: tuple[tuple[str, str, str], ...] = (
    ("654301", "104", "阿拉哈克镇"),
    ("654301", "103", "切木尔切克镇"),
    ("654301", "102", "红墩镇"),
    ("654301", "101", "阿苇滩镇"),
    ("654301", "200", "汗德尕特蒙古族乡"),
    ("654301", "201", "拉斯特乡"),
    ("654301", "202", "喀拉希力克乡"),
    ("654301", "203", "萨尔胡松乡"),
    ("654301", "204", "巴里巴盖乡"),
    ("654301", "205", "切尔克齐乡"),
    ("654321", "100", "布尔津镇"),
    ("654321", "101", "冲乎尔镇"),
    ("654321", "102", "窝依莫克镇"),
    ("654321", "103", "阔斯特克镇"),
    ("654321", "200", "杜来提乡"),
    ("654321", "201", "也格孜托别乡"),
    ("654323", "100", "福海镇"),
    ("654323", "101", "喀拉玛盖镇"),
    ("654323", "102", "解特阿热勒镇"),
    ("654323", "201", "阔克阿尕什乡"),
    ("654323", "202", "齐干吉迭乡"),
    ("654323", "203", "阿尔达乡"),
    ("654324", "100", "阿克齐镇"),
    ("654324", "101", "萨尔布拉克镇"),
    ("654324", "102", "齐巴尔镇"),
    ("654324", "103", "库勒拜镇"),
    ("654324", "200", "加依勒玛乡"),
    ("654324", "201", "萨尔塔木乡"),
    ("654324", "202", "铁热克提乡"),
    ("654322", "100", "库额尔齐斯镇"),
    ("654322", "101", "可可托海镇"),
    ("654322", "102", "恰库尔图镇"),
    ("654322", "103", "喀拉通克镇"),
    ("654322", "104", "杜热镇"),
    ("654322", "200", "吐尔洪乡"),
    ("654322", "201", "克孜勒希力克乡"),
    ("654322", "202", "铁买克乡"),
    ("654322", "203", "喀拉布勒根乡"),
    ("654325", "100", "青河镇"),
    ("654325", "101", "塔克什肯镇"),
    ("654325", "102", "阿热勒镇"),
    ("654325", "103", "阿热勒托别镇"),
    ("654325", "104", "阿格达拉镇"),
    ("654325", "200", "查干郭勒乡"),
    ("654325", "201", "萨尔托海乡"),
    ("654326", "100", "托普铁热克镇"),
    ("654326", "101", "吉木乃镇"),
    ("654326", "102", "喀尔交镇"),
    ("654326", "103", "乌拉斯特镇"),
    ("654326", "200", "托斯特乡"),
    ("654326", "201", "恰勒什海乡"),
    ("654326", "202", "别斯铁热克乡"),
)
MOST_INSTITUTIONS = len(_TOWNS)

_VILLAGE_FIRST = ("阿克", "喀拉", "克孜勒", "萨尔", "阔克", "库木", "托普", "塔斯", "别斯", "乌宗", "加勒", "哈拉")
_VILLAGE_LAST = (
    "布拉克",
    "塔斯",
    "铁热克",
    "阿尕什",
    "托别",
    "吉迭",
    "喀巴克",
    "乌英克",
    "阔孜",
    "库都克",
    "希力克",
    "加依劳",
)


@dataclass(frozen=True)
class Village:
    """A village and its clinic. ``region_code`` has 12 digits; the clinic's institution code is the same number."""

    region_code: str
    name: str

    @property
    def clinic_code(self) -> str:
        return self.region_code

    @property
    def clinic_name(self) -> str:
        return f"{self.name}卫生室"


@dataclass(frozen=True)
class Doctor:
    """A doctor on the register. ``village`` is the position of the village served, None in the health centre."""

    doctor_id: str
    name: str
    from_date: date
    village: int | None


@dataclass(frozen=True)
class Institution:
    """A town's health centre with its villages, clinics and doctors. ``index`` 0 is the founding institution.

    ``staff``: the names of all doctors of the sample, those of the hospitals too; no resident bears one of them.
    """

    index: int
    count: int
    code: str
    name: str
    county: str
    county_name: str
    town: str
    town_name: str
    residents: int
    villages: tuple[Village, ...]
    doctors: tuple[Doctor, ...]
    staff: frozenset[str] = frozenset()

    @property
    def is_founding(self) -> bool:
        return self.index == 0

    @property
    def telephone(self) -> str:
        """The health centre's own."""
        return f"{AREA_CODE}-{6723140 + 37 * self.index}"

    @property
    def burden(self) -> float:
        """How much oftener than in life people are ill, or leave. A small sample must hold a case of everything."""
        return 1.0 if self.residents >= LARGE else 2.4

    def chance(self, seed: int, *words: str | int) -> Chance:
        """A stream of this institution's own: independent of how many institutions the sample has."""
        return Chance(seed, self.code, *words)


def found_institutions(count: int, residents: list[int], seed: int) -> list[Institution]:
    """The sample's institutions; ``residents`` gives the number of archives of each.

    Raises ValueError when there are more than the prefecture has towns.
    """
    if not 1 <= count <= MOST_INSTITUTIONS:
        raise SampleRefusedError(f"示范机构数须在 1～{MOST_INSTITUTIONS} 之间，给出的是 {count}；请减少 --institutions")
    found = [_institution(index, count, residents[index], seed) for index in range(count)]
    staff = frozenset(doctor.name for one in found for doctor in one.doctors) | frozenset(HOSPITAL_DOCTORS)
    return [replace(one, staff=staff) for one in found]


def _institution(index: int, count: int, residents: int, seed: int) -> Institution:
    county, digits, town_name = _TOWNS[index]
    town = county + digits
    chance = Chance(seed, town, "places")
    villages = _villages(town, residents, chance)
    centre = "中心卫生院" if town_name.endswith("镇") else "卫生院"
    return Institution(
        index=index,
        count=count,
        code=f"{town}901",
        name=f"{COUNTIES[county]}{town_name}{centre}",
        county=county,
        county_name=COUNTIES[county],
        town=town,
        town_name=town_name,
        residents=residents,
        villages=villages,
        doctors=_doctors(town, residents, len(villages), chance),
    )


def _villages(town: str, residents: int, chance: Chance) -> tuple[Village, ...]:
    number = int(np.clip(round(residents / 720), 2, 40))
    pairs = [(first, last) for first in _VILLAGE_FIRST for last in _VILLAGE_LAST if first != last]
    order = chance.order(len(pairs))
    return tuple(
        Village(f"{town}{101 + position:03d}", "".join(pairs[order[position]]) + "村") for position in range(number)
    )


def _doctors(town: str, residents: int, villages: int, chance: Chance) -> tuple[Doctor, ...]:
    """Health centre first, then one or two to a village. Names are unique within the institution."""
    centre = int(np.clip(round(residents / 1100), 3, 14))
    second = chance.flags(villages, 0.35 if residents > 2000 else 0.0)
    posts: list[int | None] = [None] * centre
    for village in range(villages):
        posts += [village] * (2 if second[village] else 1)
    doctor_names = names.distinct_names(len(posts), chance)
    years = chance.integers(len(posts), 1996, 2004)  # they sign records of all the programme's years, and doses before
    return tuple(
        Doctor(f"{town}D{position + 1:03d}", doctor_names[position], date(int(years[position]), 7, 1), post)
        for position, post in enumerate(posts)
    )
