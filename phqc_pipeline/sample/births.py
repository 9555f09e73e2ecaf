"""Children under seven with their parents and how they were born, and the pregnancies of the households' women.

Belongs here: what the forms of mothers and of children must agree on. Does not belong here: what a form says
(``mothers``, ``children``, ``vaccination``).

A child of a couple was born to the woman of the house; her pregnancy is on record when she was cared for here all the
time. The parents of a grandchild live elsewhere and are known by name only. Besides, some women are pregnant now;
nobody is due before the snapshot.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.sample import names
from phqc_pipeline.sample.calendar import Times, whole_years
from phqc_pipeline.sample.chance import Chance, Ints
from phqc_pipeline.sample.conditions import NEVER
from phqc_pipeline.sample.growth import LENGTH, WEIGHT, Growth
from phqc_pipeline.sample.people import DAUGHTER, HEAD, SON, SPOUSE, first_home_visit, spare_mobile_numbers
from phqc_pipeline.sample.places import LARGE, Institution

CARED_FOR = 7  # years of age below which a child has services of its own
_TERM = (259, 292)  # days of gestation: 37 to 41 weeks
_TWIN_TERM = (259, 267)
_FIRST_SEEN = 90  # days after the last period by which a pregnancy is known here
_OTHER_NUMBERS = 200  # telephone numbers set aside for faults


def history_start(institution: Institution, times: Times) -> int:
    """First day with records of children and mothers. A small sample goes back to the oldest child's birth."""
    if institution.residents >= LARGE:
        return times.history_start
    return max(times.today - CARED_FOR * 366, times.archives_start)


def born_here(people: pl.DataFrame) -> np.ndarray:
    """Who has an archive since the first days of life; other children came later."""
    return (people["archive_day"] - people["birth"]).to_numpy() <= 28


def births(people: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, seed: int) -> pl.DataFrame:
    """One row a child under seven, by person.

    Columns: child, birth, female, household, here (born here), mother, father (persons; -1 elsewhere), couple, names,
    births and phones of both, gest_days, twin, caesarean, assisted, org, discharge (mother's, a day number), scores
    score_weight, score_length, score_head (standard deviations), birth_weight (kg), birth_length (cm).
    """
    chance = institution.chance(seed, "births")
    child = np.flatnonzero(people["age"].to_numpy() < CARED_FOR)
    size = len(child)
    mine = people[child]
    birth, female = mine["birth"].to_numpy(), mine["female"].to_numpy()
    mother, father = (one[child] for one in parents(people))
    parent = _parents(people, mine, mother, father, institution, chance)
    _, first, group = np.unique(mine["household"].to_numpy() * 10**6 + birth, return_index=True, return_inverse=True)
    alike = first[group]  # twins are born at one time, in one way
    twin = np.bincount(group, minlength=len(first))[group] > 1
    gestation = chance.integers(size, np.where(twin, _TWIN_TERM[0], _TERM[0]), np.where(twin, _TWIN_TERM[1], _TERM[1]))
    caesarean = chance.flags(size, np.where(twin, 0.8, 0.36))[alike]
    assisted = ~caesarean & chance.flags(size, 0.04)[alike]
    hospitals = [f"{institution.county_name}人民医院", f"{institution.county_name}妇幼保健院", "阿勒泰地区人民医院"]
    visit = first_home_visit(birth)
    stay = birth + np.where(caesarean, 4, 2) + chance.integers(size, 0, 1)[alike]
    body = _scores(size, twin, chance)
    growth = Growth(cat)
    weight = growth.measure(WEIGHT, female, birth, birth, body["score_weight"]) - np.where(twin, 0.3, 0.0)
    length = growth.measure(LENGTH, female, birth, birth, body["score_length"]) - np.where(twin, 1.0, 0.0)
    return pl.DataFrame(
        {
            "child": child,
            "birth": birth,
            "female": female,
            "household": mine["household"],
            "here": born_here(mine),
            "mother": mother,
            "father": father,
            **parent,
            "gest_days": gestation[alike],
            "twin": twin,
            "caesarean": caesarean,
            "assisted": assisted,
            "org": chance.pick(size, hospitals, [4, 3, 2])[alike].astype(str),
            "discharge": np.clip(stay, visit - 7, visit - 1),
            **body,
            "birth_weight": np.clip(np.round(weight, 2), 2.5, 4.4),
            "birth_length": np.clip(np.round(length, 1), 46.0, 54.5),
        }
    )


def pregnancies(
    people: pl.DataFrame, born: pl.DataFrame, institution: Institution, times: Times, seed: int
) -> pl.DataFrame:
    """One row a pregnancy on record, by mother: mother, lmp, end (day of delivery, NEVER while it lasts), gest_days,
    caesarean, org, discharge (these four NULL while it lasts), earlier (deliveries before)."""
    chance = institution.chance(seed, "pregnancies")
    since = history_start(institution, times)
    leave = people["leave_day"].to_numpy()
    archive = people["archive_day"].to_numpy()
    well = ~people["htn"].to_numpy() & ~people["dm"].to_numpy()  # others are cared for by a hospital
    ended = born.filter(pl.col("here") & (pl.col("mother") >= 0) & (pl.col("father") >= 0) & (pl.col("birth") >= since))
    ended = ended.unique(["mother", "birth"], keep="first", maintain_order=True)
    mother, end = ended["mother"].to_numpy(), ended["birth"].to_numpy()
    lmp = end - ended["gest_days"].to_numpy()
    age = whole_years(people["birth"].to_numpy()[mother], end)
    known = well[mother] & (archive[mother] <= lmp + 40) & (leave[mother] > end + 75) & (age >= 18) & (age <= 44)
    found = ended.select(
        "mother", pl.Series("lmp", lmp), pl.col("birth").alias("end"), "gest_days", "caesarean", "org", "discharge"
    ).filter(pl.Series(known))
    now = _expecting(people, well, institution, times, chance)
    return _with_earlier(pl.concat([found, now], how="diagonal"), people).sort("mother", "lmp")


def parents(people: pl.DataFrame) -> tuple[Ints, Ints]:
    """Mother and father of everybody who lives with them, as persons; -1 for the others."""
    relation, household = people["relation"].to_numpy(), people["household"].to_numpy()
    female = people["female"].to_numpy()
    head = people["head"].to_numpy()
    spouse = np.full(int(household.max()) + 1, -1, dtype=np.int64)
    spouses = np.flatnonzero(relation == SPOUSE)
    spouse[household[spouses]] = spouses
    mate = spouse[household]
    child = np.isin(relation, [SON, DAUGHTER])
    mother = np.where(child, np.where(female[head], head, mate), -1)
    return mother, np.where(child, np.where(female[head], mate, head), -1)


def _parents(
    people: pl.DataFrame, mine: pl.DataFrame, mother: Ints, father: Ints, institution: Institution, chance: Chance
) -> dict[str, np.ndarray]:
    """Name, birth day and telephone of both parents; of those elsewhere made up, to fit the child's own name."""
    size = mine.height
    ethnic = mine["ethnic"].to_numpy().astype(object)
    birth, family = mine["birth"].to_numpy(), mine["family"].to_numpy().astype(object)
    patronymic = np.isin(ethnic.astype(str), sorted(names.PATRONYMIC))
    men, women = np.zeros(size, dtype=bool), np.ones(size, dtype=bool)
    given = names.given_names(ethnic, men, chance)
    known_as = names.full_names(
        ethnic,
        np.where(patronymic, family, given),
        np.where(patronymic, names.given_names(ethnic, men, chance), family),
    )
    away = {
        "mother": names.random_names(size, ethnic, women, chance),
        "father": known_as,
    }
    mother_age = chance.integers(size, 20 * 366, 33 * 366)
    born = {"mother": birth - mother_age, "father": birth - mother_age - chance.integers(size, 0, 1500)}
    numbers = spare_mobile_numbers(_OTHER_NUMBERS + 2 * size, institution)[_OTHER_NUMBERS:]
    phone = {"mother": numbers[:size], "father": numbers[size:]}
    found: dict[str, np.ndarray] = {}
    for role, person in (("mother", mother), ("father", father)):
        at_home = person >= 0
        staff = np.isin(away[role].astype(str), sorted(institution.staff))
        stranger = np.where(staff, away[role] + "娜" if role == "mother" else away[role] + "江", away[role])
        found[f"{role}_name"] = np.where(at_home, people["name"].to_numpy()[person], stranger).astype(str)
        found[f"{role}_birth"] = np.where(at_home, people["birth"].to_numpy()[person], born[role])
        found[f"{role}_phone"] = np.where(at_home, people["phone"].to_numpy()[person], phone[role]).astype(str)
    return found


def _scores(size: int, twin: np.ndarray, chance: Chance) -> dict[str, np.ndarray]:
    """Standard deviation scores of a child, kept for life: a tall one is heavy. None beyond ±1.6."""
    length = np.clip(chance.normal(size, np.where(twin, -0.3, 0.0), 0.75), -1.6, 1.6)
    weight = np.clip(0.55 * length + chance.normal(size, 0.05, 0.6), -1.6, 1.6)
    head = np.clip(0.4 * length + chance.normal(size, 0.0, 0.6), -1.6, 1.6)
    return {"score_weight": weight, "score_length": length, "score_head": head}


def _expecting(
    people: pl.DataFrame, well: np.ndarray, institution: Institution, times: Times, chance: Chance
) -> pl.DataFrame:
    """Women with a pregnancy that lasts: seven weeks to thirty-seven after the last period."""
    mother, _ = parents(people)
    last = np.full(people.height, -NEVER, dtype=np.int64)
    has = np.flatnonzero(mother >= 0)
    np.maximum.at(last, mother[has], people["birth"].to_numpy()[has])
    age, relation = people["age"].to_numpy(), people["relation"].to_numpy()
    able = (
        people["female"].to_numpy()
        & people["couple"].to_numpy()
        & np.isin(relation, [HEAD, SPOUSE])
        & (age >= 22)
        & (age <= 37)
        & (people["status"] == "1").to_numpy()
        & (people["archive_day"].to_numpy() < times.today - 300)
        & (last < times.today - 560)
        & well
    )
    chosen = np.flatnonzero(able & chance.flags(people.height, min(0.07 * institution.burden, 0.2)))
    gone = chance.integers(people.height, 50, 262)[chosen]
    return pl.DataFrame(
        {"mother": chosen, "lmp": times.today - gone, "end": np.full(len(chosen), NEVER, dtype=np.int64)}
    )


def _with_earlier(found: pl.DataFrame, people: pl.DataFrame) -> pl.DataFrame:
    """``earlier``: how often each woman had given birth before, by the children of the house."""
    mother, _ = parents(people)
    children = pl.DataFrame({"mother": mother, "_born": people["birth"]}).filter(pl.col("mother") >= 0).unique()
    before = (
        found.select("mother", "lmp")
        .join(children, on="mother")
        .filter(pl.col("_born") < pl.col("lmp"))
        .group_by("mother", "lmp")
        .agg(pl.len().cast(pl.Int64).alias("earlier"))
    )
    return found.join(before, on=["mother", "lmp"], how="left").with_columns(pl.col("earlier").fill_null(0))
