"""The registry of a sample: institutions, doctors, the signed and paid orders, requests for service, a refund.

Belongs here: the registry files of contract section 2. Does not belong here: extracts (``delivery``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

import polars as pl

from phqc_pipeline.sample.calendar import Times
from phqc_pipeline.sample.places import Institution

UNIT_PRICE = Decimal("0.6")  # 元/人/年 (service-contract.md)
PENALTY_RATE = "0.05"
_OVERPAID = "20"  # yuan, by the last of several institutions on the first day of service
_PAID_BACK_AFTER = 6  # days

#: Made-up requests: kind, first or last institution, what was seen, what was done, and when it was reported, answered
#: and settled: days after the service began and time of day, None while it is open. In time, late, without a deadline,
#: open; in the order they were reported in.
_REQUESTS = (
    ("故障", 0, "质控结果页打不开", "清理浏览器缓存后恢复", (3, "10:30"), (3, "11:10"), (3, "16:40")),
    ("故障", -1, "夜间任务未运行，当日没有新结果", "释放磁盘空间后补跑", (10, "10:05"), (12, "15:00"), (17, "17:00")),
    ("咨询", 0, "整改单里的已豁免是什么意思", "已电话说明", (12, "11:00"), (12, "12:00"), (12, "15:30")),
    ("培训", 0, "新到岗人员培训整改单填写", "已现场培训", (17, "10:00"), (18, "10:00"), (24, "12:00")),
    ("咨询", -1, "报表核对的差异名单怎样导出", None, (31, "10:30"), (31, "11:30"), None),
)  # fmt: skip


def write_registry(folder: Path, institutions: Sequence[Institution], charged: dict[str, int], times: Times) -> None:
    """Write institution, doctor, order, payment and party, and what there was by the snapshot of requests for service
    and refunds. ``charged``: the basis year's figure by institution. Of a single institution nothing is paid back."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {
        "institution": _institutions(institutions),
        "doctor": _doctors(institutions),
        "order": _orders(institutions, times),
        "payment": _payments(institutions, charged, times),
        "party": _parties(institutions),
        "service_request": _requests(institutions, times),
        "refund": _refunds(institutions, times),
    }
    for name, frame in rows.items():
        if frame.height:
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
    for refund in _refunds(institutions, times).iter_rows(named=True):
        more = {"paid_on": times.service_from.isoformat(), "amount": refund["amount"], "invoice_no": None}
        found.append({"order_no": refund["order_no"], **more})
    return pl.DataFrame(found)


def _refunds(institutions: Sequence[Institution], times: Times) -> pl.DataFrame:
    """What the last of several institutions paid too much, paid back."""
    on = times.service_from + timedelta(days=_PAID_BACK_AFTER)
    names = ("order_no", "refunded_on", "amount", "voucher_no", "reason")
    told = []
    if len(institutions) > 1 and on <= times.snapshot:
        told = [(order_number(institutions[-1], times), on.isoformat(), _OVERPAID, "TK-0001", "多付退回")]
    return pl.DataFrame(told, schema=dict.fromkeys(names, pl.String), orient="row")


def _requests(institutions: Sequence[Institution], times: Times) -> pl.DataFrame:
    names = (
        "request_no", "institution_code", "kind", "reported_at", "phenomenon", "responded_at", "resolved_at", "action",
        "handled_by",
    )  # fmt: skip
    told = []
    for number, (kind, whose, seen, done, *moments) in enumerate(_REQUESTS, start=1):
        reported, responded, resolved = (_moment(moment, times.service_from, times.snapshot) for moment in moments)
        if reported is not None:
            code, action = institutions[whose].code, done if resolved else None
            by = "示例工程师" if responded else None
            told.append((f"QQ-{number:04d}", code, kind, reported, seen, responded, resolved, action, by))
    return pl.DataFrame(told, schema=dict.fromkeys(names, pl.String), orient="row")


def _moment(moment: tuple[int, str] | None, begins: date, snapshot: date) -> str | None:
    """The moment as the registry writes it; None of what has not come about by the snapshot."""
    if moment is None:
        return None
    day = begins + timedelta(days=moment[0])
    return f"{day.isoformat()} {moment[1]}" if day <= snapshot else None


def _parties(institutions: Sequence[Institution]) -> pl.DataFrame:
    """Both sides of the contract, made up: no such company, account or telephone (numbers of all zeros) exists."""
    names = ("role", "institution_code", "name", "contact", "phone", "address", "bank", "account", "tax_no")
    bank = ("示例银行示例支行", "0000000000000000000", "000000000000000000")
    seller = ("seller", None, "示例数据服务有限公司", "示例联系人", "000-00000000", "示例市示例路 1 号", *bank)
    buyers = [
        ("buyer", one.code, one.name, "示例负责人", "000-00000000", None, None, None, None) for one in institutions
    ]
    return pl.DataFrame([seller, *buyers], schema=dict.fromkeys(names, pl.String), orient="row")
