"""A few made-up people on hand-written records: homes small enough to judge many nights of."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path

from phqc_pipeline.catalogue import Catalogue, load_catalogue
from phqc_pipeline.home import DEFAULT_RULES, Home
from phqc_pipeline.orchestration import stages
from phqc_pipeline.orchestration.session import Session

INSTITUTION = "654301101000"
NAME = "阿勒泰市阿拉哈克镇中心卫生院"

#: A hypertension visit nothing is wrong with.
VISIT: Mapping[str, str] = {
    "record_id": "V1", "archive_no": "65430110110100001", "person_name": "巴合提古丽",
    "id_card_no": "654301195001011223", "sex_code": "2", "birth_date": "1950-01-01",
    "region_code": "654301101101", "institution_code": INSTITUTION, "institution_name": NAME,
    "doctor_name": "李医生", "created_at": "2024-03-06 10:21:00", "record_status": "1", "archive_status": "1",
    "visit_date": "2024-03-05", "visit_mode_code": "1", "symptom_codes": "1", "sbp": "132", "dbp": "82",
    "weight_kg": "62.0", "target_weight_kg": "60.0", "height_cm": "164.0", "bmi": "23.1", "heart_rate": "74",
    "smoke_per_day": "0", "smoke_target": "0", "drink_per_day": "0", "drink_target": "0", "exercise_times": "5",
    "exercise_minutes": "30", "exercise_times_target": "5", "exercise_minutes_target": "30", "salt_code": "1",
    "salt_target_code": "1", "psych_code": "1", "compliance_code": "1", "adherence_code": "1", "adr_code": "1",
    "class_code": "1", "drug1_name": "苯磺酸氨氯地平片", "drug1_freq": "1", "drug1_dose": "5",
    "drug1_unit": "1", "referral_flag": "1", "next_visit_date": "2024-05-30", "visit_doctor": "李医生",
}  # fmt: skip

REGISTRY = {
    "institution.csv": "institution_code,institution_name,level,parent_code,region_code\n"
    f"{INSTITUTION},{NAME},乡镇,,654301101000\n",
    "order.csv": "order_no,institution_code,basis_report,basis_year,basis_period,basis_item,unit_price,currency,"
    "rounding,signed_on,service_from,service_to,penalty_rate\n"
    f"T-1,{INSTITUTION},r_archive,2023,Y,ehr_electronic,0.6,CNY,yuan_down,2024-10-25,2024-01-01,2025-11-01,0.05\n",
    "payment.csv": "order_no,paid_on,amount,invoice_no\nT-1,2024-10-28,6077,1\n",
}


@cache
def catalogue() -> Catalogue:
    return load_catalogue(DEFAULT_RULES)


def register(home: Path) -> Home:
    """An empty home whose one institution has a paid order."""
    folder = home / "registry"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in REGISTRY.items():
        (folder / name).write_text(text, encoding="utf-8")
    return Home(home)


def deliver(home: Home, day: str, visits: Sequence[Mapping[str, str]], name: str = "htn_followup.csv") -> Path:
    """A night's hypertension visits: each a change to VISIT."""
    columns = [column.name for column in catalogue().forms["htn_followup"].fields]
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
            "archive_no": f"654301101101{number:05d}",
            "created_at": f"2024-03-06 10:{number % 60:02d}:00",
            **of_number.get(f"v{number}", {}),
        }
        made.append(visit)
    return made


def judge(home: Home, day: str, run_id: str = "test") -> None:
    """One night through the stages, as the job calls them, without the orchestrator."""
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
    stages.charge(session)
    stages.build(session)
    stages.publish(session)
