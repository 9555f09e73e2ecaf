"""Residents hang together, and their numbers are right in form and nobody's twice."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from stdnum.cn import ric

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.sample.calendar import times_for, whole_years
from phqc_pipeline.sample.people import HEAD, settle, spare_mobile_numbers
from phqc_pipeline.sample.places import COUNTIES, ELSEWHERE, FORMER, found_institutions

SNAPSHOT = date(2024, 12, 31)


@pytest.fixture(scope="module")
def town() -> pl.DataFrame:
    return settle(found_institutions(1, [6000], 3)[0], times_for(SNAPSHOT), 3)


def test_identity_numbers_are_valid(town: pl.DataFrame) -> None:
    for number in town["id_card"].to_list():
        assert ric.is_valid(number), number
    assert town["id_card"].n_unique() == town.height


def test_identity_numbers_say_birth_and_sex(town: pl.DataFrame) -> None:
    said = town.select(
        pl.col("id_card").str.slice(6, 8).str.to_date("%Y%m%d").alias("birth"),
        (pl.col("id_card").str.slice(16, 1).cast(pl.Int64) % 2 == 0).alias("female"),
    )
    assert (said["birth"].cast(pl.Int32).cast(pl.Int64) == town["birth"]).all()
    assert (said["female"] == town["female"]).all()


def test_county_codes_are_in_the_catalogue(cat: Catalogue) -> None:
    known = cat.codes["CL_COUNTY"].by_code
    assert {code for code in (*COUNTIES, *ELSEWHERE) if code not in known} == set()
    former = {code for code, _ in FORMER.values()}
    assert former - {*known, *cat.codes["CL_REGION_OTHER"].by_code} == set()


def test_institutions_share_no_number() -> None:
    """Twenty institutions of one county: no identity number, archive number or telephone twice."""
    places = found_institutions(20, [900] * 20, 1)
    people = pl.concat(
        [
            settle(place, times_for(SNAPSHOT), 1).select("id_card", "archive_no", "phone", "contact_phone")
            for place in places[:6]
        ]
    )
    assert people["id_card"].n_unique() == people.height
    assert people["archive_no"].n_unique() == people.height
    by_phone = people.filter(pl.col("phone") != "无").group_by("phone").len()
    assert by_phone["len"].max() <= 5
    spare = [number for place in places[:6] for number in spare_mobile_numbers(50, place)]
    assert len(set(spare)) == 300
    assert not set(spare) & set(people["phone"].to_list())


def test_telephones_are_plausible(town: pl.DataFrame, cat: Catalogue) -> None:
    numbers = pl.concat([town["phone"], town["contact_phone"]])
    numbers = numbers.filter(numbers != "无")
    assert numbers.str.contains(r"^1[3-9][0-9]{9}$|^0906-[0-9]{7}$").all()
    assert not set(numbers.to_list()) & set(cat.codes["CL_FAKE_PHONE"].by_code)
    assert not numbers.str.contains("|".join(digit * 5 for digit in "0123456789")).any()


def test_households_have_one_head_and_possible_ages(town: pl.DataFrame) -> None:
    heads = town.filter(pl.col("relation") == HEAD)
    assert heads["household"].n_unique() == heads.height == town["household"].n_unique()
    assert town.group_by("household").len()["len"].max() <= 15
    head_birth = town["birth"].gather(town["head"])
    child = town["relation"].is_in(["2", "3"])
    assert ((town["birth"] - head_birth).filter(child) > 18 * 365).all()
    assert ((head_birth - town["birth"]).filter(town["relation"] == "5") > 18 * 365).all()


def test_nobody_shares_name_sex_and_birth(town: pl.DataFrame) -> None:
    assert town.select("name", "female", "birth").n_unique() == town.height
    assert town["name"].str.contains(r"^[\p{Han}·]{2,}$").all()


def test_the_age_pyramid_is_a_townships(town: pl.DataFrame) -> None:
    age = whole_years(town["birth"].to_numpy(), np.full(town.height, times_for(SNAPSHOT).today))
    assert 0.13 < (age < 15).mean() < 0.24
    assert 0.08 < (age >= 65).mean() < 0.16
    assert age.min() == 0
    assert age.max() < 100
    shares = dict(town["ethnic"].value_counts(normalize=True).iter_rows())
    assert shares["17"] > shares["01"] > shares["03"]


def test_archives_follow_birth_and_precede_leaving(town: pl.DataFrame) -> None:
    assert (town["archive_day"] > town["birth"]).all()
    left = town.filter(pl.col("status") != "1")
    assert (left["status_day"] > left["archive_day"]).all()
    assert set(left["status"].unique()) >= {"2", "3", "9"}
