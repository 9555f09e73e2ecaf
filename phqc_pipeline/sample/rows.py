"""Rows in the making: one form's records as a typed frame with every column of the form.

Belongs here: the envelope every record has, turning arrays into a form's frame, when a record was entered.
Does not belong here: what a form's own fields say (``profile``, ``visits``, ``exams``).

A form frame has the form's columns in order, typed as in the lake (text and code String, int and dec Float64, date and
ym Date, dt Datetime, multi List(String)), and ``_person`` (position in ``people``; -1 for nobody).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Form
from phqc_pipeline.extracts.cells import VALUE_TYPES
from phqc_pipeline.sample.chance import Chance, Ints
from phqc_pipeline.sample.places import Institution

SOURCE_SYSTEM = "阿勒泰地区公共卫生服务平台"
_OPENS = 10 * 60  # service hours 10:00 to 19:30 (service-contract.md), in minutes
_MINUTES = 570


def days(values: Ints | pl.Series) -> pl.Series:
    """Day numbers as dates."""
    return pl.Series(values).cast(pl.Int32).cast(pl.Date)


def optional_days(values: Ints, known: Any) -> pl.Series:
    """Day numbers as dates where ``known``, else NULL."""
    return pl.select(pl.when(pl.Series(known)).then(days(np.where(known, values, 0)))).to_series()


def choose(table: Any, positions: Ints) -> pl.Series:
    """``table[position]`` each; NULL for a negative position."""
    pool = pl.Series(list(table))
    known = pl.Series(positions >= 0)
    picked = pool.gather(np.where(positions >= 0, positions, 0))
    return pl.select(pl.when(known).then(picked)).to_series()


def where(mask: Any, values: Any) -> pl.Series:
    """The values where the mask holds, else NULL. ``values`` is one for all or a sequence."""
    mask_series = pl.Series(np.asarray(mask, dtype=bool))
    if isinstance(values, str | int | float):
        return pl.select(pl.when(mask_series).then(pl.lit(values))).to_series()
    if isinstance(values, np.ndarray) and values.dtype == object:
        values = values.astype(str)
    return pl.select(pl.when(mask_series).then(pl.Series(values))).to_series()


def moments(values: Ints, minutes: Ints) -> pl.Series:
    """Day numbers and minutes of the day as times."""
    return pl.Series((values * 1440 + minutes) * 60_000_000).cast(pl.Datetime("us"))


def codes(*pairs: tuple[Any, str], otherwise: str = "1") -> pl.Series:
    """Multi-choice cells: the codes whose mask holds, in order; ``otherwise`` alone where none does."""
    frame_of_codes = pl.DataFrame({str(n): where(mask, code) for n, (mask, code) in enumerate(pairs)})
    chosen = pl.concat_list(pl.all()).list.drop_nulls()
    return frame_of_codes.select(
        pl.when(chosen.list.len() > 0).then(chosen).otherwise(pl.concat_list(pl.lit(otherwise))).alias("codes")
    ).to_series()


def every(size: int, chosen: Sequence[str]) -> pl.Series:
    """The same choice in every multi-choice cell."""
    return pl.Series([list(chosen)], dtype=pl.List(pl.String)).new_from_index(0, size)


def envelope(
    people: pl.DataFrame, person: Ints, doctor: Ints, at_clinic: Any, institution: Institution
) -> dict[str, Any]:
    """The columns every record has, but ``record_id`` and the times of entry (``finish``).

    ``person`` positions in ``people``, ``doctor`` in ``institution.doctors``; ``at_clinic``: the village clinic's code
    instead of the health centre's.
    """
    mine = people[person]
    village = mine["village"].to_numpy()
    clinic = np.asarray(at_clinic, dtype=bool)
    villages = institution.villages
    doctors = institution.doctors
    active = mine["status"] == "1"
    return {
        "_person": person,
        "archive_no": mine["archive_no"],
        "person_name": mine["name"],
        "id_card_no": mine["id_card"],
        "sex_code": np.where(mine["female"].to_numpy(), "2", "1"),
        "birth_date": days(mine["birth"]),
        "region_code": choose([v.region_code for v in villages], village),
        "institution_code": np.where(clinic, np.array([v.clinic_code for v in villages])[village], institution.code),
        "institution_name": np.where(clinic, np.array([v.clinic_name for v in villages])[village], institution.name),
        "doctor_id": choose([d.doctor_id for d in doctors], doctor),
        "doctor_name": choose([d.name for d in doctors], doctor),
        "entered_by": choose([d.name for d in doctors], doctor),
        "record_status": "1",
        "archive_status": mine["status"],
        "archive_status_date": optional_days(mine["status_day"].to_numpy(), ~active.to_numpy()),
        "source_system": SOURCE_SYSTEM,
    }


def whereabouts(told: Any, village: Ints, institution: Institution, chance: Chance) -> dict[str, pl.Series]:
    """Where a service was given, in degrees: near the village (the health centre for a negative one), where ``told``.

    The villages of a town lie within ten kilometres of its centre, homes within half a kilometre of their village's.
    """
    size = len(village)
    known = np.broadcast_to(np.asarray(told, dtype=bool), (size,))
    away = np.where(village < 0, 0.0, 2.0 + village * 5 % 8)  # km from the centre, in all directions
    turn = village * 2.4
    east = away * np.sin(turn) + chance.uniform(size, -0.5, 0.5)
    north = away * np.cos(turn) + chance.uniform(size, -0.5, 0.5)
    return {
        "service_lng": where(known, np.round(87.3 + 0.05 * (institution.index % 8) + east / 75, 6)),
        "service_lat": where(known, np.round(47.5 + 0.04 * (institution.index // 8) + north / 111, 6)),
    }


def institution_envelope(village: Ints, doctor: Ints, at_clinic: Any, institution: Institution) -> dict[str, Any]:
    """The same for records that belong to no person. ``village`` positions; negative for the whole town."""
    clinic = np.asarray(at_clinic, dtype=bool) & (village >= 0)
    villages = institution.villages
    doctors = institution.doctors
    here = np.where(clinic, village, -1)
    return {
        "_person": np.full(len(village), -1, dtype=np.int64),
        "region_code": choose([v.region_code for v in villages], village).fill_null(f"{institution.town}000"),
        "institution_code": choose([v.clinic_code for v in villages], here).fill_null(institution.code),
        "institution_name": choose([v.clinic_name for v in villages], here).fill_null(institution.name),
        "doctor_id": choose([d.doctor_id for d in doctors], doctor),
        "doctor_name": choose([d.name for d in doctors], doctor),
        "entered_by": choose([d.name for d in doctors], doctor),
        "record_status": "1",
        "source_system": SOURCE_SYSTEM,
    }


def frame(form: Form, columns: Mapping[str, Any], rows: int) -> pl.DataFrame:
    """The form's frame from some of its columns; the others are NULL. KeyError for a column the form lacks."""
    unknown = set(columns) - {field.name for field in form.fields} - {"_person", "_entered_day"}
    if unknown:
        raise KeyError(f"{form.form_id} has no column {sorted(unknown)}")
    made = []
    for field in form.fields:
        kind = VALUE_TYPES[field.kind]
        values = columns.get(field.name)
        if values is None or isinstance(values, str | int | float):
            series = pl.Series(field.name, [values], dtype=kind).new_from_index(0, rows)
        else:
            objects = isinstance(values, np.ndarray) and values.dtype.kind == "O"
            series = pl.Series(field.name, values.astype(str) if objects else values)
            series = series.cast(kind)
        made.append(series)
    for name in ("_person", "_entered_day"):
        made.append(pl.Series(name, columns[name], dtype=pl.Int64))
    return pl.DataFrame(made)


def enter(frames: dict[str, pl.DataFrame], institution: Institution, seed: int) -> dict[str, pl.DataFrame]:
    """Give every record its number and its time of entry on ``_entered_day``.

    A doctor's records of one day, of all forms, are spread over the working hours in random order, so that no two
    minutes' worth of people fall into one minute (AUT-A-012).
    """
    chance = institution.chance(seed, "entry")
    parts = [
        pl.DataFrame(
            {
                "form": pl.Series([form_id]).new_from_index(0, rows.height),
                "doctor": rows["doctor_name"],
                "day": rows["_entered_day"],
            }
        )
        for form_id, rows in frames.items()
    ]
    entries = pl.concat(parts)
    total = entries.height
    rank = pl.col("u").rank("ordinal").over("doctor", "day").cast(pl.Float64) - 1
    count = pl.len().over("doctor", "day").cast(pl.Float64)
    entries = entries.with_columns(pl.Series("u", chance.uniform(total)), pl.Series("v", chance.uniform(total)))
    second = (rank + pl.col("v")) * (_MINUTES * 60) / count + _OPENS * 60
    entered = (pl.col("day").cast(pl.Int64) * 86400 + second.cast(pl.Int64)) * 1_000_000
    entries = entries.with_columns(entered.cast(pl.Datetime("us")).alias("at"))
    done: dict[str, pl.DataFrame] = {}
    start = 0
    for form_id, rows in frames.items():
        stamped = rows.with_columns(
            entries["at"][start : start + rows.height].alias("created_at"),
            (
                pl.lit(f"{PREFIX.get(form_id, 'XX')}{institution.town}")
                + pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(8)
            ).alias("record_id"),
        )
        done[form_id] = stamped.drop("_entered_day")
        start += rows.height
    return done


PREFIX = {
    "newborn_visit": "XS",
    "child_exam_1_8m": "EA",
    "child_exam_12_30m": "EB",
    "child_exam_3_6y": "EC",
    "child_tcm": "EZ",
    "vaccination_card": "YK",
    "vaccination_dose": "YJ",
    "prenatal_first": "CY",
    "prenatal_followup": "CS",
    "delivery_record": "FM",
    "postpartum_visit": "CF",
    "postpartum_42d": "CJ",
    "resident_profile": "DA",
    "health_exam": "TJ",
    "chronic_registry": "ZX",
    "htn_followup": "GX",
    "t2dm_followup": "TN",
    "elderly_self_care": "ZL",
    "elderly_tcm": "ZY",
    "copd_followup": "MZ",
    "smi_registration": "JB",
    "smi_followup": "JS",
    "tb_first_visit": "JR",
    "tb_followup": "JH",
    "infectious_report": "CR",
    "phe_report": "TF",
    "supervision_report": "XB",
    "supervision_patrol": "XC",
    "health_education_activity": "JY",
    "reception_record": "JZ",
    "consultation_record": "HZ",
    "referral_out": "ZC",
    "referral_back": "HF",
}


def entered_days(service: Ints, latest: int, chance: Chance) -> Ints:
    """The day a service was entered: mostly the same day, never more than five days later, never after the snapshot."""
    lag = chance.indexes(len(service), [0.58, 0.22, 0.1, 0.05, 0.03, 0.02])
    return np.minimum(service + lag, latest)
