"""传染病报告卡: residents who fell ill, and some strangers who have no archive here.

Belongs here: the form's records. Does not belong here: treatment (``tuberculosis``).

Tuberculosis is reported of those who are on the register for it; other diseases by season of nothing but age.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.sample.calendar import Times, parts, whole_years, working_day_at_or_before
from phqc_pipeline.sample.chance import Bools, Chance, Ints
from phqc_pipeline.sample.names import ETHNIC, random_names
from phqc_pipeline.sample.people import codes_at_birth, identity_numbers, spare_mobile_numbers
from phqc_pipeline.sample.places import ELSEWHERE, Institution
from phqc_pipeline.sample.profile import centre_doctors
from phqc_pipeline.sample.rows import choose, days, envelope, frame, moments, where
from phqc_pipeline.sample.schedule import entered_afterwards, first_of_each_day

# Disease (CL_NOTIFIABLE), class of the law, least and greatest age, share, days from onset to diagnosis at most.
_DISEASES: tuple[tuple[str, str, int, int, float, int], ...] = (
    ("流行性感冒", "C", 1, 90, 5.0, 3),
    ("手足口病", "C", 1, 6, 4.0, 3),
    ("水痘", "O", 2, 16, 3.0, 3),
    ("感染性腹泻病", "C", 1, 80, 2.0, 2),
    ("流行性腮腺炎", "C", 3, 16, 1.5, 4),
    ("布鲁氏菌病", "B", 18, 75, 2.5, 40),
    ("乙型肝炎", "B", 18, 80, 2.0, 60),
    ("丙型肝炎", "B", 25, 80, 0.6, 60),
    ("梅毒", "B", 18, 80, 1.5, 30),
    ("猩红热", "B", 3, 15, 0.8, 3),
    ("包虫病", "C", 18, 75, 0.8, 90),
    ("细菌性和阿米巴性痢疾", "B", 1, 80, 0.6, 3),
)
_TUBERCULOSIS = ("肺结核", "B", 40)
_HEPATITIS = ("乙型肝炎", "丙型肝炎")
_A_YEAR = 0.011  # cards for each resident
_STRANGERS = 0.12  # of the cards


def infectious_cards(
    people: pl.DataFrame, institution: Institution, times: Times, cat: Catalogue, seed: int
) -> dict[str, pl.DataFrame]:
    """One card a case, in order of report."""
    chance = institution.chance(seed, "infectious")
    person, disease, diagnosed = _cases(people, times, chance)
    strange = _strange(people, person, disease, institution, chance)
    columns = _who(people, person, strange, institution, chance)
    columns |= _illness(columns, disease, diagnosed, times, institution, chance)
    return {"infectious_report": frame(cat.forms["infectious_report"], columns, len(person))}


def _cases(people: pl.DataFrame, times: Times, chance: Chance) -> tuple[Ints, Ints, Ints]:
    """Person, disease (position in ``_DISEASES``, past it tuberculosis) and day of diagnosis, a working day."""
    span = times.today - times.history_start
    wanted = max(round(people.height * _A_YEAR * span / 365), 16)
    size = 6 * wanted
    person = chance.integers(size, 0, people.height - 1)
    disease = chance.indexes(size, [one[4] for one in _DISEASES])
    day = working_day_at_or_before(times.history_start + 5 + chance.integers(size, 0, max(span - 12, 1)))
    mine = people[person]
    age = whole_years(mine["birth"].to_numpy(), day)
    least, greatest = (np.array([one[n] for one in _DISEASES])[disease] for n in (2, 3))
    able = (age >= least) & (age <= greatest) & _there(mine, day) & first_of_each_day(person, day)
    # Nobody falls ill of one disease twice.
    able &= first_of_each_day(person, disease)
    kept = np.flatnonzero(able)[:wanted]
    ill = people.filter(pl.col("tb") & (pl.col("tb_diagnosis") >= times.history_start))
    consumption = working_day_at_or_before(ill["tb_diagnosis"].to_numpy())
    person = np.concatenate([person[kept], ill["person"].to_numpy()])
    disease = np.concatenate([disease[kept], np.full(ill.height, len(_DISEASES))])
    day = np.concatenate([day[kept], consumption])
    once = first_of_each_day(person, day)
    person, disease, day = person[once], disease[once], day[once]
    order = np.lexsort((person, day))
    return person[order], disease[order], day[order]


def _there(mine: pl.DataFrame, day: Ints) -> Bools:
    return (day >= mine["archive_day"].to_numpy() + 3) & (day + 6 < mine["leave_day"].to_numpy())


def _strange(
    people: pl.DataFrame, person: Ints, disease: Ints, institution: Institution, chance: Chance
) -> dict[str, Any]:
    """Strangers in the place of some cases: of the same sex and about the same age, from elsewhere."""
    size = len(person)
    mine = people[person]
    strange = chance.flags(size, _STRANGERS) & (disease < len(_DISEASES))
    birth = mine["birth"].to_numpy() - chance.integers(size, 0, 20)
    female = mine["female"].to_numpy()
    ethnic = chance.pick(size, [code for code, _ in ETHNIC], [share for _, share in ETHNIC])
    name = random_names(size, ethnic, female, chance)
    name[np.isin(name.astype(str), sorted(institution.staff))] = "马玉兰"
    region = chance.pick(size, list(ELSEWHERE))
    slot = chance.integers(size, 0, 499)
    return {
        "is": strange,
        "name": name.astype(str),
        "birth": birth,
        "id": identity_numbers(codes_at_birth(region, birth), birth, slot, female).astype(str),
        "region": region.astype(str),
    }


def _who(
    people: pl.DataFrame, person: Ints, strange: dict[str, Any], institution: Institution, chance: Chance
) -> dict[str, Any]:
    """The envelope, and what the card says of the patient."""
    size = len(person)
    mine = people[person]
    away = strange["is"]
    centre = centre_doctors(institution)
    columns = envelope(people, person, np.full(size, centre[-1]), np.zeros(size, dtype=bool), institution)

    def mixed(theirs: Any, ours: Any) -> pl.Series:
        return pl.select(pl.when(pl.Series(away)).then(pl.Series(theirs)).otherwise(pl.Series(ours))).to_series()

    county = np.where(np.char.startswith(strange["region"].astype(str), "65"), "3", "4")
    town = [f"新疆{institution.county_name}{institution.town_name}{village.name}" for village in institution.villages]
    house = pl.Series(chance.integers(size, 1, 260)).cast(pl.String)
    return columns | {
        "_person": np.where(away, -1, person),
        "_birth": np.where(away, strange["birth"], mine["birth"].to_numpy()),
        "archive_no": where(~away, columns["archive_no"]),
        "archive_status": where(~away, columns["archive_status"]),
        "archive_status_date": pl.select(pl.when(pl.Series(~away)).then(columns["archive_status_date"])).to_series(),
        "person_name": mixed(strange["name"], mine["name"]),
        "patient_name": mixed(strange["name"], mine["name"]),
        "id_card_no": mixed(strange["id"], mine["id_card"]),
        "birth_date": days(np.where(away, strange["birth"], mine["birth"].to_numpy())),
        "contact_phone": mixed(
            spare_mobile_numbers(size + 300, institution)[:size].astype(str),
            np.where(mine["phone"].to_numpy() == "无", mine["contact_phone"].to_numpy(), mine["phone"].to_numpy()),
        ),
        "parent_name": mine["contact_name"],
        "belong_code": np.where(away, county, "1"),
        "address_code": columns["region_code"],
        "current_address": pl.select(choose(town, mine["village"].to_numpy()) + house + pl.lit("号")).to_series(),
    }


def _illness(
    columns: dict[str, Any], disease: Ints, diagnosed: Ints, times: Times, institution: Institution, chance: Chance
) -> dict[str, Any]:
    size = len(disease)
    birth = columns.pop("_birth")
    names = [one[0] for one in _DISEASES] + [_TUBERCULOSIS[0]]
    kinds = [one[1] for one in _DISEASES] + [_TUBERCULOSIS[1]]
    longest = np.array([one[5] for one in _DISEASES] + [_TUBERCULOSIS[2]])[disease]
    # Onset after birth; the report within hours, on the working day of the diagnosis.
    onset = np.maximum(diagnosed - np.floor(chance.uniform(size) * longest).astype(np.int64), birth + 1)
    minute = chance.integers(size, 600, 960)
    age = whole_years(birth, diagnosed)
    population = _population(age, chance)
    pupil = np.isin(population, ["1", "3"])
    corrected = chance.flags(size, 0.05)
    hepatitis = np.isin(np.array(names)[disease], _HEPATITIS)
    year = pl.Series(parts(diagnosed)[0]).cast(pl.String)
    serial = pl.int_range(1, size + 1, eager=True).cast(pl.String).str.zfill(5)
    child = age <= 14
    noted = chance.flags(size, 0.12)
    return {
        "card_no": pl.select(pl.lit(institution.code) + year + serial).to_series(),
        "report_type_code": np.where(corrected, "2", "1"),
        "parent_name": where(child, columns["parent_name"]),
        "age_value": age.astype(np.float64),
        "age_unit": "1",
        "work_unit": where(
            pupil, np.where(population == "1", "镇中心幼儿园", np.where(age < 13, "镇中心小学", "镇中学"))
        ),
        "population_code": population,
        "case_class_code": np.array(["1", "2", "3"])[chance.indexes(size, [0.05, 0.5, 0.45])],
        "case_form_code": where(hepatitis, np.where(chance.flags(size, 0.9), "2", "1")),
        "onset_date": days(onset),
        "diagnosis_time": moments(diagnosed, minute),
        "disease_class_code": np.array(kinds)[disease],
        "disease_code": np.array(names)[disease],
        "correct_disease": where(corrected, np.array(names)[disease]),
        "report_org": institution.name,
        "report_doctor": columns["doctor_name"],
        "report_time": moments(diagnosed, minute + chance.integers(size, 8, 110)),
        "remark": where(noted, chance.pick(size, ["居家隔离治疗", "已转上级医院", "密切接触者已登记"])),
        "_entered_day": entered_afterwards(diagnosed, times),
    }


def _population(age: Ints, chance: Chance) -> np.ndarray:
    """CL_CASE_POP by age: at home, kindergarten, school, farmers and herders, retired."""
    grown = np.array(["11", "12", "7", "14", "16", "10"])[
        chance.indexes(len(age), [0.45, 0.25, 0.08, 0.06, 0.12, 0.04])
    ]
    bands = [age < 3, age < 7, age < 18, age >= 65]
    return np.select(bands, ["2", "1", "3", "15"], grown).astype(str)
