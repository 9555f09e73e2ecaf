"""A few made-up pupils on hand-written records of the foreign catalogue: homes small enough to judge many nights of.

The foreign catalogue (tests/foreign) has two forms, so that a night costs what a night costs, and not what dbt takes to
look at thirty forms nobody delivered.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path

from phqc_pipeline.catalogue import Catalogue, load_catalogue
from phqc_pipeline.home import Home
from phqc_pipeline.orchestration import stages
from phqc_pipeline.orchestration.session import Session
from tests.end_to_end.conftest import ROOT

RULES = ROOT / "tests" / "foreign" / "rules"
INSTITUTION = "3101010010"
NAME = "江湾镇第二小学"

#: A screening nothing is wrong with.
VISIT: Mapping[str, str] = {
    "record_id": "V1", "institution_code": INSTITUTION, "doctor_name": "周校医", "created_at": "2024-03-06 10:21:00",
    "archive_no": "X000000001", "person_name": "甲同学", "sex_code": "1", "birth_date": "2015-03-01",
    "screened_on": "2024-03-05", "grade": "3", "glasses_code": "1", "naked_left": "5.0", "naked_right": "5.1",
    "advice_codes": "1",
}  # fmt: skip

#: What makes a screening break VIS-L-001: weak sight, and no advice to see a doctor.
BAD = {"naked_left": "4.8"}

REGISTRY = {
    "institution.csv": "institution_code,institution_name,level,parent_code,region_code\n"
    f"{INSTITUTION},{NAME},学校,,310101000000\n",
    "order.csv": "order_no,institution_code,basis_report,basis_year,basis_period,basis_item,unit_price,currency,"
    "rounding,signed_on,service_from,service_to,penalty_rate\n"
    f"T-1,{INSTITUTION},r_vision,2023,Y,screened,0.6,CNY,yuan_down,2024-10-25,2024-01-01,2025-11-01,0.05\n",
    "payment.csv": "order_no,paid_on,amount,invoice_no\nT-1,2024-10-28,6077,1\n",
}


@cache
def catalogue() -> Catalogue:
    return load_catalogue(RULES)


def register(home: Path) -> Home:
    """An empty home whose one institution has a paid order."""
    folder = home / "registry"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in REGISTRY.items():
        (folder / name).write_text(text, encoding="utf-8")
    return Home(home)


def deliver(home: Home, day: str, visits: Sequence[Mapping[str, str]], name: str = "vision_screening.csv") -> Path:
    """A night's screenings: each a change to VISIT."""
    columns = [column.name for column in catalogue().forms["vision_screening"].fields]
    path = home.landing / INSTITUTION / day / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows({**VISIT, **visit} for visit in visits)
    return path


def visits(count: int, **of_number: Mapping[str, str]) -> list[dict[str, str]]:
    """``count`` visits of as many people, alike but for their numbers; ``v3={...}`` changes the third."""
    made = []
    for number in range(1, count + 1):
        visit = {
            "record_id": f"V{number}",
            "archive_no": f"X{number:09d}",
            "created_at": f"2024-03-06 10:{number % 60:02d}:00",
            **of_number.get(f"v{number}", {}),
        }
        made.append(visit)
    return made


def judge(home: Home, day: str, run_id: str = "test", *, published: bool = True) -> None:
    """One night through the stages, as the job calls them, without the orchestrator.

    ``published=False``: a night nobody looks at before the next: laid down and followed, which is all that nights
    leave each other.
    """
    snapshot = date.fromisoformat(day)
    session = Session(home, catalogue(), "nightly", run_id)
    quiet = lambda _: None  # noqa: E731
    stages.recover(session)
    stages.take_in(session, snapshot, quiet)
    stages.judge_records(session, snapshot, quiet)
    stages.judge_cross(session, snapshot)
    stages.lay_down(session, snapshot)
    stages.settle_later(session, [snapshot], quiet)
    stages.follow(session)
    if not published:
        return
    stages.charge(session)
    stages.build(session)
    stages.publish(session)
