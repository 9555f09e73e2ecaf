"""The registry of a sample: institutions, doctors, the signed and paid orders.

Belongs here: the registry files of contract section 2. Does not belong here: extracts (``delivery``).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

import polars as pl

from phqc_pipeline.sample.calendar import Times
from phqc_pipeline.sample.places import Institution

UNIT_PRICE = Decimal("0.6")  # 元/人/年 (service-contract.md)
PENALTY_RATE = "0.05"


def write_registry(folder: Path, institutions: Sequence[Institution], charged: dict[str, int], times: Times) -> None:
    """Write institution, doctor, order, payment and party. ``charged``: the basis year's figure by institution."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {
        "institution": _institutions(institutions),
        "doctor": _doctors(institutions),
        "order": _orders(institutions, times),
        "payment": _payments(institutions, charged, times),
        "party": _parties(institutions),
    }
    for name, frame in rows.items():
        (folder / f"{name}.csv").write_bytes(frame.write_csv().encode("utf-8-sig"))


def _institutions(institutions: Sequence[Institution]) -> pl.DataFrame:
    """Health centres and, below them, their villages' clinics; the county above is no institution here."""
    found = []
    for one in institutions:
        found.append((one.code, one.name, "乡镇", one.county, one.town))
        found += [(v.clinic_code, v.clinic_name, "村", one.code, v.region_code) for v in one.villages]
    names = ["institution_code", "institution_name", "level", "parent_code", "region_code"]
    return pl.DataFrame(found, schema=names, orient="row")


def _doctors(institutions: Sequence[Institution]) -> pl.DataFrame:
    """Every doctor at the health centre, village doctors at their clinic as well (乡村一体化管理)."""
    found = []
    for one in institutions:
        for doctor in one.doctors:
            since = doctor.from_date.isoformat()
            found.append((one.code, doctor.doctor_id, doctor.name, since, None))
            if doctor.village is not None:
                found.append((one.villages[doctor.village].clinic_code, doctor.doctor_id, doctor.name, since, None))
    names = ["institution_code", "doctor_id", "doctor_name", "from_date", "to_date"]
    return pl.DataFrame(found, schema=dict.fromkeys(names, pl.String), orient="row")


def order_number(institution: Institution, times: Times) -> str:
    return f"PHQC-{times.service_from.year}-{institution.index + 1:03d}"


def _orders(institutions: Sequence[Institution], times: Times) -> pl.DataFrame:
    found = [
        {
            "order_no": order_number(one, times),
            "institution_code": one.code,
            "basis_report": "r_archive",
            "basis_year": times.basis_year,
            "basis_period": "Y",
            "basis_item": "ehr_electronic",
            "unit_price": str(UNIT_PRICE),
            "currency": "CNY",
            "rounding": "yuan_down",
            "signed_on": times.signed_on.isoformat(),
            "service_from": times.service_from.isoformat(),
            "service_to": times.service_to.isoformat(),
            "penalty_rate": PENALTY_RATE,
        }
        for one in institutions
    ]
    return pl.DataFrame(found)


def _payments(institutions: Sequence[Institution], charged: dict[str, int], times: Times) -> pl.DataFrame:
    found = [
        {
            "order_no": order_number(one, times),
            "paid_on": times.paid_on.isoformat(),
            "amount": str((charged[one.code] * UNIT_PRICE).quantize(Decimal("1"), rounding=ROUND_DOWN)),
            "invoice_no": f"65{times.service_from.year}{one.index + 1:08d}",
        }
        for one in institutions
    ]
    return pl.DataFrame(found)


def _parties(institutions: Sequence[Institution]) -> pl.DataFrame:
    """Both sides of the contract, made up: no such company, account or telephone (numbers of all zeros) exists."""
    names = ("role", "institution_code", "name", "contact", "phone", "address", "bank", "account", "tax_no")
    bank = ("示例银行示例支行", "0000000000000000000", "000000000000000000")
    seller = ("seller", None, "示例数据服务有限公司", "示例联系人", "000-00000000", "示例市示例路 1 号", *bank)
    buyers = [
        ("buyer", one.code, one.name, "示例负责人", "000-00000000", None, None, None, None) for one in institutions
    ]
    return pl.DataFrame([seller, *buyers], schema=dict.fromkeys(names, pl.String), orient="row")
