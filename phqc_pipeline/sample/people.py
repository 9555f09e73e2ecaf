"""Who lives there: households with their members, names, identity numbers, telephones, and what became of each archive.

Belongs here: everything about a resident that holds on every form. Does not belong here: diseases and habits
(``conditions``), what any form says (``profile``, ``visits``, ``exams``).

One row a resident, days as day numbers (days since 1970-01-01). All people are made up: identity numbers have a right
checksum and a real county code, and belong to nobody we know of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from phqc_pipeline.sample import names
from phqc_pipeline.sample.calendar import (
    Times,
    day_number,
    nearest_working_day,
    parts,
    whole_years,
    working_day_at_or_before,
    year_start,
)
from phqc_pipeline.sample.chance import Bools, Chance, Ints
from phqc_pipeline.sample.names import Texts
from phqc_pipeline.sample.places import AREA_CODE, COUNTIES, ELSEWHERE, FORMER, Institution
from phqc_pipeline.sample.refused import SampleRefusedError

_DAYS_A_YEAR = 365.2425
_ID_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2], dtype=np.int64)  # GB 11643
_ID_CHECKS = np.array(list("10X98765432"), dtype=object)
_MOBILE_PREFIXES = np.array(
    [
        *(130, 131, 132, 133, 135, 136, 137, 138, 139, 150, 151, 152, 153, 155, 156, 157, 158, 159),
        *(176, 177, 178, 180, 181, 182, 183, 185, 186, 187, 188, 189, 199),
    ],
    dtype=np.int64,
)
_FAR = 10**6  # a day number beyond every date: "never"
_YOUNGEST = 36  # days: nobody is younger, so that an archive and the services of the first weeks are there
_APART = 380  # days at least between two births of one mother, but for twins

# Roles in a household: code of CL_HOUSEHOLD_REL.
HEAD, SPOUSE, SON, DAUGHTER, GRANDCHILD, PARENT = "0", "1", "2", "3", "4", "5"


def settle(institution: Institution, times: Times, seed: int) -> pl.DataFrame:
    """The residents of one institution: ``institution.residents`` rows.

    Columns: person (row number), household, relation (CL_HOUSEHOLD_REL), ethnic, female, birth, given, family, name,
    id_card, id_region (county where the number was given, today's code), village (position), archive_day, status
    (CL_ARCHIVE_STATUS), status_day (a far day while active), couple, archive_no, phone, contact_name, contact_phone,
    head (person), head_name, head_id_card.
    """
    chance = institution.chance(seed, "people")
    members = _households(institution.residents, times, chance)
    members.birth = _distinct_births(members, times)
    given, family, full = _names(members, institution.staff, chance)
    archive_day = _archive_days(members, times, chance)
    status, status_day = _fates(members, archive_day, times, institution.burden, chance)
    id_card, region = _identity_numbers(members, institution, chance)
    size = len(members.household)
    villages = chance.indexes(
        int(members.household.max()) + 1, [1.0 + (n % 5) * 0.25 for n in range(len(institution.villages))]
    )
    people = pl.DataFrame(
        {
            "person": np.arange(size, dtype=np.int64),
            "household": members.household,
            "relation": members.relation.astype(str),
            "ethnic": members.ethnic.astype(str),
            "female": members.female,
            "birth": members.birth,
            "given": given.astype(str),
            "family": family.astype(str),
            "name": full.astype(str),
            "id_card": id_card.astype(str),
            "id_region": region.astype(str),
            "village": villages[members.household],
            "archive_day": archive_day,
            "status": status.astype(str),
            "status_day": status_day,
            "couple": members.couple,
        }
    )
    people = people.with_columns(pl.Series("archive_no", _archive_numbers(people, institution)))
    return _telephones(people, institution, chance)


@dataclass
class _Members:
    """Residents as parallel arrays, household after household, the head first."""

    household: Ints
    relation: Texts
    female: Bools
    birth: Ints
    ethnic: Texts
    couple: Bools  # head or spouse of a couple living together


def _households(residents: int, times: Times, chance: Chance) -> _Members:
    """Households until there are enough residents; the last one is cut to size. Ages make a township's pyramid."""
    number = residents  # every household has at least its head
    band = chance.indexes(number, [0.16, 0.2, 0.28, 0.22, 0.1, 0.04])
    low = np.array([25, 35, 45, 55, 65, 75])[band]
    high = np.array([35, 45, 55, 65, 75, 95])[band]
    head_age = chance.uniform(number, low, high)
    couple = chance.flags(number, np.array([0.86, 0.9, 0.88, 0.84, 0.7, 0.45])[band])
    head_female = np.where(
        couple, chance.flags(number, 0.1), chance.flags(number, np.array([0.4, 0.4, 0.45, 0.55, 0.65, 0.7])[band])
    )
    spouse_age = np.maximum(head_age + np.where(head_female, 2.0, -2.0) + chance.normal(number, 0, 2.5), 21.5)
    children = _child_counts(band, couple, chance)
    grandchildren = np.where((band >= 2) & (band <= 4), chance.indexes(number, [0.74, 0.16, 0.1]), 0) * (head_age > 50)
    parents = np.where((band <= 2), chance.indexes(number, [0.87, 0.1, 0.03]), 0)
    ethnic = chance.pick(number, [code for code, _ in names.ETHNIC], [share for _, share in names.ETHNIC])

    sizes = 1 + couple.astype(np.int64) + children + grandchildren + parents
    enough = int(np.searchsorted(np.cumsum(sizes), residents)) + 1
    sizes = sizes[:enough]
    household = np.repeat(np.arange(enough), sizes)
    place = np.arange(len(household)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # 0 = head, 1 = spouse if any …
    spouse_at = couple[household].astype(np.int64)
    children_at = spouse_at + children[household]
    grand_at = children_at + grandchildren[household]
    role = np.select(
        [place == 0, place <= spouse_at, place <= children_at, place <= grand_at],
        [HEAD, SPOUSE, SON, GRANDCHILD],
        PARENT,
    ).astype(object)

    size = len(household)
    older = np.maximum(head_age, np.where(couple, spouse_age, head_age))[household]
    younger = np.minimum(head_age, np.where(couple, spouse_age, head_age))[household]
    age = np.select(
        [role == HEAD, role == SPOUSE, role == SON, role == GRANDCHILD],
        [
            head_age[household],
            spouse_age[household],
            younger - chance.uniform(size, 19.5, 36),
            younger - chance.uniform(size, 42, 58),
        ],
        older + chance.uniform(size, 21, 33),
    )
    # A child "to come" is one of an age drawn anew instead, within what the parents' ages allow.
    young = np.isin(role, [SON, GRANDCHILD])
    room = np.where(role == SON, younger - 19.5, younger - 42)
    age = np.where(young & (age < 0.1), chance.uniform(size, 0.1, np.maximum(room, 0.5)), age)
    age = np.where(young, np.maximum(age, 0.1), np.minimum(age, 98.0))
    first_parent = place == grand_at + 1
    female = np.where(
        role == HEAD,
        head_female[household],
        np.where(
            role == SPOUSE, ~head_female[household], np.where(role == PARENT, first_parent, chance.flags(size, 0.49))
        ),
    )
    role = np.where((role == SON) & female, DAUGHTER, role)
    birth = times.today - np.floor(age * _DAYS_A_YEAR).astype(np.int64) - chance.integers(size, 0, 27)
    kept = slice(0, residents)
    return _Members(
        household=household[kept],
        relation=role[kept],
        female=female[kept].astype(bool),
        birth=birth[kept],
        ethnic=ethnic[household][kept],
        couple=(np.isin(role, [HEAD, SPOUSE]) & couple[household])[kept],
    )


def _child_counts(band: Ints, couple: Bools, chance: Chance) -> Ints:
    """Children living at home: by the head's age, fewer where one parent is alone."""
    weights = (
        [0.4, 0.38, 0.19, 0.03],
        [0.16, 0.34, 0.4, 0.1],
        [0.36, 0.36, 0.24, 0.04],
        [0.62, 0.28, 0.1],
        [0.84, 0.14, 0.02],
        [0.88, 0.12],
    )
    counts = np.zeros(len(band), dtype=np.int64)
    for number, share in enumerate(weights):
        here = band == number
        counts[here] = chance.indexes(int(here.sum()), share)
    return np.where(couple, counts, np.minimum(counts, 1))


def _distinct_births(members: _Members, times: Times) -> Ints:
    """Birth days, none before 1925 (nobody near a hundred) and none within the last weeks (no archive yet)."""
    earliest = day_number(times.snapshot.replace(year=times.snapshot.year - 98, day=1))
    return _spaced(members, np.clip(members.birth, earliest, times.today - _YOUNGEST))


def _spaced(members: _Members, birth: Ints) -> Ints:
    """Children of one couple are twins or more than a year apart, and born to grown-ups."""
    parent = np.isin(members.relation, [HEAD, SPOUSE])
    younger = np.zeros(int(members.household.max()) + 1, dtype=np.int64) - _FAR
    np.maximum.at(younger, members.household[parent], birth[parent])
    spaced = birth.copy()
    children = np.flatnonzero(np.isin(members.relation, [SON, DAUGHTER]))
    order = children[np.lexsort((-birth[children], members.household[children]))]  # the youngest of a house first
    before = np.roll(order, 1)
    sibling = members.household[order] == members.household[before]
    for _ in range(2):  # a third child is moved after the second has its place
        gap = spaced[before] - spaced[order]
        close = sibling & (gap != 0) & (gap < _APART)
        moved = spaced[before] - _APART - np.abs(gap) % 60
        twin = (np.abs(gap) < 21) | (moved < younger[members.household[order]] + int(18.2 * _DAYS_A_YEAR))
        spaced[order] = np.where(close, np.where(twin, spaced[before], moved), spaced[order])
    return spaced


def _names(members: _Members, staff: frozenset[str], chance: Chance) -> tuple[Texts, Texts, Texts]:
    """Given name, surname (or father's given name) and whole name; nobody shares name, sex and birth day.

    Nor does anybody bear the name of a doctor: doctors' names may be told, residents' may not.
    """
    size = len(members.household)
    given = names.given_names(members.ethnic, members.female, chance)
    family = names.surnames(members.ethnic, chance)
    # Children carry their father's: his given name, or his surname.
    heads = np.flatnonzero(members.relation == HEAD)
    spouses = np.flatnonzero(members.relation == SPOUSE)
    father = np.full(int(members.household.max()) + 1, -1, dtype=np.int64)
    father[members.household[spouses]] = np.where(members.female[spouses], -1, spouses)
    father[members.household[heads]] = np.where(members.female[heads], father[members.household[heads]], heads)
    child = np.isin(members.relation, [SON, DAUGHTER])
    his = father[members.household]
    known = child & (his >= 0)
    patronymic = np.isin(members.ethnic.astype(str), sorted(names.PATRONYMIC))
    family[known & patronymic] = given[his[known & patronymic]]
    family[known & ~patronymic] = family[his[known & ~patronymic]]
    for _ in range(20):
        full = names.full_names(members.ethnic, given, family)
        keys = pl.DataFrame({"n": full.astype(str), "f": members.female, "b": members.birth})
        again = keys.select(pl.int_range(pl.len()).over("n", "f", "b") > 0).to_series().to_numpy()
        # Two living in one house do not bear one name either.
        keys = pl.DataFrame({"n": full.astype(str), "h": members.household})
        again |= keys.select(pl.int_range(pl.len()).over("n", "h") > 0).to_series().to_numpy()
        again |= np.isin(full.astype(str), sorted(staff))
        if not again.any():
            break
        given[again] = names.given_names(members.ethnic[again], members.female[again], chance)
    return given, family, names.full_names(members.ethnic, given, family).reshape(size)


def _archive_days(members: _Members, times: Times, chance: Chance) -> Ints:
    """When each archive was made: nearly half in the campaign of the first years, some after the basis year.

    Those who are adults today were at least 18 then, so that marriage, schooling and work fit the day it was made. A
    child born here since the programme began has one from the first visit on, a week after birth.
    """
    size = len(members.birth)
    adult = whole_years(members.birth, np.full(size, times.today)) >= 18
    start = np.maximum(times.archives_start, members.birth + np.where(adult, 18 * 366, 40))
    end = times.basis_end - 12
    window = np.maximum(end - start, 1)
    campaign = np.minimum(window, 1280)
    day = start + np.where(
        chance.flags(size, 0.46), chance.uniform(size) * campaign, chance.uniform(size) * window
    ).astype(np.int64)
    moves_in = chance.flags(size, 0.022 if size > 2000 else 0.07)
    newcomer = (start > end) | moves_in
    fresh = np.minimum(np.maximum(start, times.basis_end + 3), times.today - 25)
    late = fresh + np.floor(chance.uniform(size) * np.maximum(times.today - 20 - fresh, 1)).astype(np.int64)
    day = np.where(newcomer, late, day)
    made = np.maximum(working_day_at_or_before(day), members.birth + 20)
    at_birth = (members.birth >= times.archives_start) & ~(moves_in & (members.birth < times.basis_end - 60))
    return np.where(at_birth, first_home_visit(members.birth), made)


def first_home_visit(birth: Ints) -> Ints:
    """The day mother and child are first seen at home: five to nine days after birth, or on a holiday all the same."""
    planned = birth + 5 + birth % 5
    day = nearest_working_day(planned)
    return np.where((day >= birth + 4) & (day <= birth + 11), day, planned)


def _fates(members: _Members, archive_day: Ints, times: Times, burden: float, chance: Chance) -> tuple[Texts, Ints]:
    """Archive status (CL_ARCHIVE_STATUS) on the snapshot date and since when (a far day for 活动)."""
    size = len(members.birth)
    age = whole_years(members.birth, np.full(size, times.today))
    dies = np.select([age >= 80, age >= 65, age >= 45], [0.16, 0.07, 0.016], 0.0025)
    drawn = chance.uniform(size)
    shares = [dies, *(np.full(size, share) for share in (0.018, 0.004, 0.005, 0.003, 0.007))]
    edges = np.cumsum(np.stack(shares), axis=0) * burden
    status = np.full(size, "1", dtype=object)
    for code, low, high in zip("324569", [np.zeros(size), *edges[:-1]], edges, strict=True):
        status[(drawn >= low) & (drawn < high)] = code
    # The longest spell is six years back (in a small sample two, for services to be there); nobody leaves within 90
    # days of joining or within ten of today.
    earliest = np.maximum(archive_day + 90, times.today - (6 * 365 if burden == 1 else 600))
    latest = times.today - 10
    status[earliest >= latest] = "1"
    day = earliest + np.floor(chance.uniform(size) * np.maximum(latest - earliest, 1)).astype(np.int64)
    return status, np.where(status == "1", _FAR, day)


def _identity_numbers(members: _Members, institution: Institution, chance: Chance) -> tuple[Texts, Texts]:
    """Eighteen characters, all different, also between institutions: each has its own part of the order numbers."""
    size = len(members.birth)
    age_rank = members.birth < year_start(1985)
    born_away = np.where((members.ethnic == names.HAN) & age_rank, 0.34, 0.03)
    neighbours = [code for code in COUNTIES if code != institution.county]
    region = np.full(size, institution.county, dtype=object)
    region = np.where(chance.flags(size, 0.06), chance.pick(size, neighbours), region)
    region = np.where(chance.flags(size, born_away), chance.pick(size, list(ELSEWHERE)), region)
    width = max(500 // institution.count, 1)
    for attempt in range(4):
        keys = pl.DataFrame({"r": region.astype(str), "b": members.birth, "f": members.female})
        rank = keys.select(pl.int_range(pl.len()).over("r", "b", "f")).to_series().to_numpy()
        full = rank >= width
        if not full.any():
            break
        region[full] = institution.county if attempt == 0 else neighbours[attempt]
    if (rank >= width).any():
        raise SampleRefusedError("示范居民太多，同一天出生者的身份证顺序号不够用；请减少 --residents 或 --institutions")
    slot = institution.index * width + (rank + members.birth * 7919) % width
    return identity_numbers(codes_at_birth(region, members.birth), members.birth, slot, members.female), region


def codes_at_birth(region: Texts, birth: Ints) -> Texts:
    """County codes as they were in the year of birth."""
    years = parts(birth)[0]
    found = region.copy()
    for code, (former, changed) in FORMER.items():
        found[(region == code) & (years < changed)] = former
    return found


def identity_numbers(region: Texts, birth: Ints, slot: Ints, female: Bools) -> Texts:
    """GB 11643 numbers from county code, birth day, order number 0 … 499 and sex (odd for men)."""
    years, months, days = parts(birth)
    body = (
        region.astype(np.int64) * 10**11
        + (years * 10000 + months * 100 + days) * 10**3
        + slot * 2
        + np.where(female, 0, 1)
    )
    digits = (body[:, None] // 10 ** np.arange(16, -1, -1, dtype=np.int64)) % 10
    return body.astype(str).astype(object) + _ID_CHECKS[(digits * _ID_WEIGHTS).sum(axis=1) % 11]


def _archive_numbers(people: pl.DataFrame, institution: Institution) -> list[str]:
    """17 digits: county, town, village, and the order in which archives were made in the village."""
    codes = pl.Series([village.region_code for village in institution.villages])
    order = people.select(
        pl.struct("archive_day", "person").rank("ordinal").over("village").cast(pl.Utf8).str.zfill(5)
    ).to_series()
    return (codes.gather(people["village"]) + order).to_list()


def _telephones(people: pl.DataFrame, institution: Institution, chance: Chance) -> pl.DataFrame:
    """Own telephone, and whom to call: a spouse, a parent, or a relative who lives elsewhere.

    No number is shared by more than five archives (UNI-U-006): a mother's by her children alone.
    """
    size = people.height
    birth = people["birth"].to_numpy()
    age = (birth.max() + _YOUNGEST - birth) / _DAYS_A_YEAR
    numbers = _mobile_numbers(2 * size, institution)
    landlines = _landlines(size, institution)
    own = np.where(chance.flags(size, np.select([age < 65, age < 80], [0.97, 0.74], 0.42)), numbers[:size], "无")
    own = np.where((own == "无") & chance.flags(size, 0.35), landlines, own).astype(object)

    household = people["household"].to_numpy()
    relation = people["relation"].to_numpy()
    full = people["name"].to_numpy()
    head = np.flatnonzero(relation == HEAD)[household]  # households are numbered in order, one head each
    spouse = np.full(int(household.max()) + 1, -1, dtype=np.int64)
    spouses = np.flatnonzero(relation == SPOUSE)
    spouse[household[spouses]] = spouses
    mate = spouse[household]

    minor = age < 16
    child = minor & np.isin(relation, [SON, DAUGHTER])
    with_mate = child & (mate >= 0)
    phone = own.copy()
    phone[minor] = "无"
    phone[with_mate] = own[mate[with_mate]]
    contact = np.full(size, -1, dtype=np.int64)
    contact[minor] = head[minor]
    contact[(relation == HEAD) & (mate >= 0)] = mate[(relation == HEAD) & (mate >= 0)]
    contact[relation == SPOUSE] = head[relation == SPOUSE]
    contact[relation == PARENT] = head[relation == PARENT]
    grown = ~minor & np.isin(relation, [SON, DAUGHTER, GRANDCHILD])
    contact[grown] = head[grown]

    ethnic = people["ethnic"].to_numpy().astype(object)
    contact_name = names.random_names(size, ethnic, chance.flags(size, 0.5), chance)
    contact_phone = numbers[size:].copy()
    reachable = (contact >= 0) & (own[contact] != "无") & (own[contact] != phone)
    contact_name[reachable] = full[contact[reachable]]
    contact_phone[reachable] = own[contact[reachable]]
    # A stranger of the same name, or of a doctor's, is called otherwise.
    same = (contact_name == full) | np.isin(contact_name.astype(str), sorted(institution.staff))
    contact_name[same] = np.where(full[same] == "马玉兰", "王秀英", "马玉兰")
    return people.with_columns(
        pl.Series("phone", phone.astype(str)),
        pl.Series("contact_name", contact_name.astype(str)),
        pl.Series("contact_phone", contact_phone.astype(str)),
        pl.Series("head", head),
        pl.Series("head_name", full[head].astype(str)),
        pl.Series("head_id_card", people["id_card"].to_numpy()[head].astype(str)),
    )


def spare_mobile_numbers(size: int, institution: Institution) -> Texts:
    """Numbers nobody of the institution has (for faults that need a new one)."""
    return _mobile_numbers(2 * institution.residents + size, institution)[-size:]


def spare_landlines(size: int, institution: Institution) -> Texts:
    """Telephones of offices: nobody of the institution has them."""
    return _landlines(institution.residents + size, institution)[-size:]


def _mobile_numbers(size: int, institution: Institution) -> Texts:
    """Different plausible mobile numbers: no long runs, nobody else's in the whole sample."""
    share = 10**8 // institution.count
    counter = institution.index * share + np.arange(min(int(size * 1.1) + 200, share), dtype=np.int64)
    tail = (counter * 61803399 + 27182818) % 10**8  # a permutation: the factor has no factor of ten
    prefix = _MOBILE_PREFIXES[(counter * 13 + tail // 977) % len(_MOBILE_PREFIXES)]
    return _without_runs(prefix * 10**8 + tail, 11)[:size].astype(str).astype(object)


def _landlines(size: int, institution: Institution) -> Texts:
    share = 10**6 * 7 // institution.count
    counter = institution.index * share + np.arange(min(int(size * 1.2) + 200, share), dtype=np.int64)
    tail = 2000000 + (counter * 3301) % 7000000
    kept = _without_runs(tail, 7)[:size].astype(str).astype(object)
    return np.asarray(AREA_CODE + "-" + kept, dtype=object)


def _without_runs(numbers: NDArray[np.int64], digits: int) -> NDArray[np.int64]:
    """Those without five equal or five rising or falling digits in a row."""
    figures = (numbers[:, None] // 10 ** np.arange(digits - 1, -1, -1, dtype=np.int64)) % 10
    steps = np.diff(figures, axis=1)
    bad = np.zeros(len(numbers), dtype=bool)
    for step in (-1, 0, 1):
        same = steps == step
        for start in range(same.shape[1] - 3):
            bad |= same[:, start : start + 4].all(axis=1)
    return numbers[~bad]
