"""Patients as recipes look them up: their cards, profiles, examinations, and the days of the period."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import polars as pl

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.calendar import to_date
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen
from phqc_pipeline.sample.faults.work import Fault, Work

FOLLOW_UPS: Mapping[str, str] = {
    "HTN": "htn_followup",
    "T2DM": "t2dm_followup",
    "COPD": "copd_followup",
    "SMI": "smi_followup",
    "TB": "tb_followup",
}
#: Where the profile tells a disease, and since when.
TOLD: Mapping[str, tuple[str, str]] = {
    "HTN": ("past_disease_codes", "past_disease_hypertension_date"),
    "T2DM": ("past_disease_codes", "past_disease_diabetes_date"),
    "COPD": ("past_disease_codes", "past_disease_copd_date"),
    "SMI": ("past_disease_codes", "past_disease_smi_date"),
}
_ELDER = 65
#: A second profile of somebody belongs to no household: its head would have one member too many.
NO_HOUSEHOLD: Mapping[str, None] = dict.fromkeys(
    ("household_id", "household_head_name", "household_head_id_card", "household_relation")
)
_SATISFIED, _BY_TELEPHONE = "1", "3"


def period_of(work: Work) -> tuple[date, date]:
    """First day of the period judged, and today."""
    return to_date(work.times.period_start), work.times.snapshot


def share_of(work: Work) -> float:
    """The part of the natural year that has passed, today included."""
    year = work.times.snapshot.year
    whole = (date(year, 12, 31) - date(year, 1, 1)).days + 1
    return ((work.times.snapshot - date(year, 1, 1)).days + 1) / whole


def alone(kitchen: Kitchen, form_id: str) -> list[int]:
    """Free people with records on a follow-up form and on no other one, whose archive is active."""
    frames = kitchen.work.frames
    others = {
        person
        for other in FOLLOW_UPS.values()
        if other != form_id and other in frames
        for person in frames[other]["_person"].to_list()
    }
    status = kitchen.work.people["status"].to_list()
    return [person for person in kitchen.people(form_id) if person not in others and status[person] == "1"]


def walks(kitchen: Kitchen, form_id: str, *, only: bool = False) -> Iterator[tuple[int, pl.DataFrame]]:
    """Free people with their visits of the period, in order: those on this follow-up form alone; where there are none
    (and not ``only``), those on others too."""
    start, _ = period_of(kitchen.work)
    for person in alone(kitchen, form_id) or ([] if only else kitchen.people(form_id)):
        yield person, kitchen.work.rows_of(form_id, person).filter(pl.col("visit_date") >= start)


def settled(visits: pl.DataFrame) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Controlled visits face to face with the controlled one behind each (None: the last)."""
    rows = visits.to_dicts()
    for n, row in enumerate(rows):
        following = rows[n + 1] if n + 1 < len(rows) else None
        before = rows[n - 1] if n else None
        fit = all(one is None or one["class_code"] == _SATISFIED for one in (before, row, following))
        if fit and row["visit_mode_code"] != _BY_TELEPHONE:
            yield row, following


def card_of(work: Work, person: int, disease: str) -> dict[str, Any] | None:
    """The person's active registration for a disease."""
    cards = work.rows_of("chronic_registry", person).filter(
        (pl.col("disease") == disease) & (pl.col("manage_status") == "1")
    )
    return cards.row(-1, named=True) if cards.height == 1 else None


def profile_of(work: Work, person: int) -> dict[str, Any]:
    return work.rows_of("resident_profile", person).row(0, named=True)


def person_with(work: Work, archive_no: str | None) -> int | None:
    """Who has an archive number; of nobody known, None."""
    places = (work.people["archive_no"] == archive_no).arg_true() if archive_no else pl.Series([], dtype=pl.UInt32)
    return int(places[0]) if len(places) else None


def exams_of(work: Work, person: int) -> pl.DataFrame:
    """The person's examinations, the last one at the end."""
    return work.rows_of("health_exam", person).sort("exam_date")


def younger(work: Work, person: int) -> bool:
    """Whether somebody is no elder in the period's year, of whom more is expected."""
    return work.times.snapshot.year - to_date(work.people["birth"][person]).year < _ELDER


def adults_without_service(kitchen: Kitchen) -> list[int]:
    """Free, active people in middle age whom no form but the profile knows."""
    age = kitchen.work.people["age"].to_list()
    return [person for person in kitchen.lonely(fresh=False) if 42 <= age[person] < _ELDER - 1]


def moved(work: Work, form_id: str, row: Mapping[str, Any], day: date) -> dict[str, Any]:
    """The values of a record moved to another day, with the dates that hang on it, entered on that day."""
    service = work.cat.forms[form_id].service_date
    shift = day - row[service]
    names = ("next_visit_date", "hba1c_date", "feedback_date", "hosp_in_date_1", "hosp_out_date_1", "vacc1_date")
    dates = {name: row[name] + shift for name in names if row.get(name) is not None}
    if dates.get("feedback_date") is not None and dates["feedback_date"] > work.times.snapshot:
        dates["feedback_date"] = None
    return {**dates, service: day, "created_at": work.entered(day), "updated_at": None, "updated_by": None}


def reported(kitchen: Kitchen, rule: Rule, form_id: str, row: Mapping[str, Any]) -> Fault:
    """The fault of a person, who is reserved from now on."""
    kitchen.reserve(row)
    return Fault(rule.rule_id, form_id, rule.field, subject=row["archive_no"])
