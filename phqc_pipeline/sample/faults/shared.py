"""A resident whom two institutions manage at once (UNI-U-009): one offers an archive, the next opens it again.

Belongs here: who is offered, and the second profile. Does not belong here: faults within one institution (``recipes``).

Reports and all other rules are none the wiser: the resident has no service, and the second profile is younger than
every period that is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from phqc_pipeline.catalogue import Rule
from phqc_pipeline.sample.faults.recipes.kitchen import Kitchen
from phqc_pipeline.sample.faults.recipes.patients import NO_HOUSEHOLD
from phqc_pipeline.sample.faults.work import Fault, Work

RULE = "UNI-U-009"
_PROFILE = "resident_profile"
_AGES = range(25, 56)
#: What a profile says of the institution that made it.
_OF_INSTITUTION = (
    "institution_code", "institution_name", "doctor_id", "doctor_name", "entered_by", "source_system",
    "archive_org_name", "archive_creator",
)  # fmt: skip
_NOT_TAKEN_OVER = ("updated_by", "updated_at", "service_lng", "service_lat", "sign_team", "sign_date")


def offer(work: Work) -> dict[str, Any] | None:
    """The profile of a resident without services and without faults, archived of late; None if there is none."""
    kitchen = Kitchen(work)
    for person in sorted(kitchen.lonely(fresh=True)):
        rows = work.rows_of(_PROFILE, person)
        row = rows.row(-1, named=True)
        sound = (
            rows.height == 1 and row["_row"] not in work.touched[_PROFILE] and row["archive_no"] and row["id_card_no"]
        )
        if sound and row["sex_code"] == "1" and work.people["age"][person] in _AGES:
            return row
    return None


def take_on(work: Work, rule: Rule, guest: Mapping[str, Any]) -> Fault | None:
    """Archive ``guest`` here too, under the same number; the fault, None where there is nobody to take after."""
    day = max(work.times.snapshot - timedelta(days=10), work.times.snapshot.replace(day=1))
    hosts = [row for row in Kitchen(work).rows(_PROFILE) if row["_row"] not in work.touched[_PROFILE]]
    if not hosts or day <= guest["archive_date"]:
        return None
    host = min(hosts, key=lambda row: row["_row"])
    own = {name: host[name] for name in _OF_INSTITUTION} | dict.fromkeys(_NOT_TAKEN_OVER) | dict(NO_HOUSEHOLD)
    kept = {name: value for name, value in guest.items() if name not in ("_row", "record_id")}
    values = {**kept, **own, "_person": -1, "archive_date": day, "created_at": work.entered(day)}
    work.clone(_PROFILE, host["_row"], values)
    work.faults.append(Fault(rule.rule_id, _PROFILE, rule.field, subject=guest["archive_no"]))
    return work.faults[-1]
