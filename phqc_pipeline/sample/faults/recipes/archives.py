"""Recipes on archives: households, one archive a person, what profiles and the registry say of records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.proposals import check_digit
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen, Recipe
from phqc_pipeline.sample.faults.recipes.patients import NO_HOUSEHOLD
from phqc_pipeline.sample.faults.recipes.twins import shared_phone
from phqc_pipeline.sample.faults.work import Fault, Work

_PROFILE = "resident_profile"
_HEAD = "0"
_NOBODY = "阿依肯"  # on no list of doctors


def _signed_by_nobody(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for row in kitchen.rows(form_id):
        kitchen.reserve(row)
        kitchen.work.edit(form_id, row["_row"], {"doctor_name": _NOBODY})
        return Fault(rule.rule_id, form_id, rule.field, row=row["_row"])
    return None


# --- households ---------------------------------------------------------------------------------------------------


def _profiles(work: Work) -> pl.DataFrame:
    """Profiles of people still free, with the size of their household."""
    rows = work.frames[_PROFILE].with_columns(pl.len().over("household_id").alias("_size"))
    free = ~pl.col("_person").is_in(sorted(work.reserved)) & ~pl.col("_row").is_in(sorted(work.touched[_PROFILE]))
    return rows.filter(free & pl.col("household_id").is_not_null()).sample(
        fraction=1.0, shuffle=True, seed=work.chance.whole(0, 10**6)
    )


def _parent_as_child(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """The father or mother of the head, entered as the head's child."""
    for row in _profiles(kitchen.work).filter(pl.col("household_relation") == "5").head(1).iter_rows(named=True):
        kitchen.reserve(row)
        kitchen.work.edit(form_id, row["_row"], {"household_relation": "2" if row["sex_code"] == "1" else "3"})
        return Fault(rule.rule_id, form_id, rule.field, row=row["_row"])
    return None


def _no_head(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    heads = _profiles(kitchen.work).filter((pl.col("household_relation") == _HEAD) & (pl.col("_size") > 1))
    for row in heads.head(1).iter_rows(named=True):
        kitchen.reserve(row)
        kitchen.work.edit(form_id, row["_row"], {"household_relation": "8"})
        return Fault(rule.rule_id, form_id, rule.field, subject=row["household_id"])
    return None


def _crowded(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """People of other households, hung on one."""
    work = kitchen.work
    rows = _profiles(work)
    heads = rows.filter(pl.col("household_relation") == _HEAD)
    others = rows.filter(~pl.col("household_relation").is_in([_HEAD, "5"])).head(int(rule.params["max_members"]) + 1)
    if heads.is_empty() or others.height <= rule.params["max_members"]:
        return None
    home = heads.row(0, named=True)
    kitchen.reserve(home)
    same = {name: home[name] for name in ("household_id", "household_head_name", "household_head_id_card")}
    for row in others.iter_rows(named=True):
        kitchen.reserve(row)
        work.edit(form_id, row["_row"], {**same, "household_relation": "8"})
    return Fault(rule.rule_id, form_id, rule.field, subject=home["household_id"])


def _other_head(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    rows = _profiles(kitchen.work).filter(
        ~pl.col("household_relation").is_in([_HEAD, "2", "3"]) & pl.col("household_head_id_card").is_not_null()
    )
    for row in rows.head(1).iter_rows(named=True):
        kitchen.reserve(row)
        told = {"household_head_id_card": _other_number(row["household_head_id_card"])}
        kitchen.work.edit(form_id, row["_row"], told)
        return Fault(rule.rule_id, form_id, rule.field, subject=row["archive_no"])
    return None


def _other_number(number: str) -> str:
    """Another right number of the same birth day and sex."""
    body = number[:14] + f"{(int(number[14:17]) + 2) % 1000:03d}"
    return body + check_digit(body)


# --- one archive a person -----------------------------------------------------------------------------------------


def _again_with_old_number(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A resident archived again, under the identity card of before 1999."""
    work = kitchen.work
    for person in kitchen.lonely(fresh=True) or kitchen.lonely(fresh=False):
        row = kitchen.row(form_id, person)
        number = row["id_card_no"]
        if number is None or number[6:8] != "19":
            continue
        work.reserved.add(person)
        values: dict[str, Any] = {
            "archive_no": row["archive_no"][:12] + f"{70000 + row['_row'] % 20000:05d}",
            "id_card_no": number[:6] + number[8:17],
            "created_at": row["created_at"] + timedelta(minutes=43),
            **NO_HOUSEHOLD,
        }
        if row["phone"] != "无":
            values["phone"] = next(work.phones)
        work.clone(form_id, row["_row"], values)
        work.touched[form_id].add(row["_row"])
        return Fault(rule.rule_id, form_id, rule.field, subject=row["archive_no"])
    return None


def _number_differs(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    for service in ("htn_followup", "health_exam"):
        for person in kitchen.people(service):
            row = kitchen.work.rows_of(service, person).row(0, named=True)
            kitchen.reserve(row)
            kitchen.work.edit(service, row["_row"], {"id_card_no": _other_number(row["id_card_no"])})
            return Fault(rule.rule_id, form_id, rule.field, subject=row["archive_no"])
    return None


# --- profiles -----------------------------------------------------------------------------------------------------


def _contradicted(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A profile that says of somebody what cannot be."""
    work = kitchen.work
    for person in kitchen.people(form_id):
        profile = work.rows_of(_PROFILE, person)
        if profile.is_empty():
            continue
        work.reserved.add(person)
        work.edit(_PROFILE, profile["_row"][0], {rule.params["column"]: rule.params["codes"][0]})
        return Fault(rule.rule_id, form_id, rule.field, subject=kitchen.row(form_id, person)["archive_no"])
    return None


def _card_of_nobody(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """A second card of a child, under numbers nobody has."""
    work = kitchen.work
    cards = work.frames[form_id].filter(
        ~pl.col("_person").is_in(sorted(work.reserved))
        & (pl.col("birth_date") > work.times.snapshot - timedelta(days=365 * 6))
        & pl.col("id_card_no").is_not_null()
    )
    for row in cards.head(1).iter_rows(named=True):
        kitchen.reserve(row)
        archive_no = row["archive_no"][:12] + f"{90000 + row['_row'] % 9000:05d}"
        work.clone(form_id, row["_row"], {
            "archive_no": archive_no,
            "id_card_no": _other_number(row["id_card_no"]),
            "child_code": row["child_code"][:-2] + "99",
            "created_at": row["created_at"] + timedelta(seconds=71),
        })  # fmt: skip
        return Fault(rule.rule_id, form_id, rule.field, subject=archive_no)
    return None


def _in_two_places(kitchen: Kitchen, rule: Rule, form_id: str) -> Fault | None:
    """Two visits of one day, at the health centre and at a clinic far away by the places told."""
    work = kitchen.work
    clinic = work.institution.villages[0].clinic_code
    for person in kitchen.people("t2dm_followup"):
        here = work.rows_of("htn_followup", person)
        for there in work.rows_of("t2dm_followup", person).iter_rows(named=True):
            same = here.filter((pl.col("visit_date") == there["visit_date"]) & (pl.col("visit_mode_code") != "3"))
            if same.is_empty() or there["visit_mode_code"] == "3":
                continue
            work.reserved.add(person)
            row = same.row(0, named=True)
            work.edit("htn_followup", row["_row"], {
                "institution_code": work.institution.code, "service_lng": 87.3, "service_lat": 47.4,
            })  # fmt: skip
            work.edit("t2dm_followup", there["_row"], {
                "institution_code": clinic, "service_lng": 87.8, "service_lat": 47.9,
            })  # fmt: skip
            return Fault(rule.rule_id, form_id, rule.field, subject=row["archive_no"])
    return None


RECIPES: Mapping[str, Recipe] = {
    "XFM-X-020": _in_two_places,
    "XFM-X-017": _card_of_nobody,
    "XFM-X-015": _contradicted,
    "XFM-X-016": _contradicted,
    "RES-L-015": _parent_as_child,
    "RES-L-017": _crowded,
    "RES-L-016": _no_head,
    "UNI-U-008": _other_head,
    "UNI-U-007": shared_phone,
    "UNI-U-005": _again_with_old_number,
    "XFM-X-004": _number_differs,
    "COM-F-017": _signed_by_nobody,
}
