"""The registry's files: which there are, their columns, and what is said of a row that cannot be used.

Belongs here: descriptions. Does not belong here: reading the files (``registry``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from phqc_pipeline.catalogue.pricing import REQUEST_KINDS

#: How a resident was asked, what came of it, and what was concluded (抽样核查表).
VERIFICATION_METHODS = ("电话", "入户")
VERIFICATION_OUTCOMES = ("相符", "不相符", "未接通", "空号停机", "拒访")
VERIFICATION_CONCLUSIONS = ("属实", "不属实", "待定")
ROUNDINGS = ("yuan_down", "yuan_half_up", "fen_half_up")
#: The five grades of the confirmation sheet (服务合同·附件二), the best first.
SATISFACTION = ("非常满意", "满意", "一般", "不满意", "非常不满意")

#: Money and rates as the files hold them: exact, 18 digits, 6 of them decimals.
MONEY = pl.Decimal(18, 6)

#: Numbers of people that slipped into a cell: mobiles and identity numbers, as they stand alone or in a text.
_OF_PEOPLE = re.compile(r"(?<!\d)(1[3-9]\d{9}|\d{17}[\dXx])(?!\d)")


@dataclass(frozen=True)
class RowProblem:
    """What is wrong with one row of a registry file. ``column``: empty when it is the row as a whole; ``row``: as a
    spreadsheet counts, None when it is the file.

    ``value``: the cell's text, None when it is empty; numbers of people in it are masked. ``is_left_out``: the row is
    not used; otherwise it is, and only the reader is warned.
    """

    file: str
    row: int | None
    column: str
    value: str | None
    reason: str
    remedy: str
    is_left_out: bool = True

    def __str__(self) -> str:
        """The problem as one sentence."""
        shown = "" if self.value is None else f"“{self.value}”"
        if self.row is None:
            return f"{self.file}：{shown}{self.reason}；未采用，{self.remedy}"
        where = f"{self.file} 第 {self.row} 行{' ' if self.column else ''}{self.column}"
        used = "该行未采用" if self.is_left_out else "该行照用"
        return f"{where}：{shown}{self.reason}；{used}，{self.remedy}"


def problem_lines(problems: Sequence[RowProblem], shown: int = 10) -> list[str]:
    """What a run's summary says of them: how many, the first ``shown``, where the others are; nothing without any."""
    if not problems:
        return []
    left_out = sum(one.is_left_out for one in problems)
    counts = [(left_out, "处有误未采用"), (len(problems) - left_out, "处请核对")]
    lines = [f"  登记资料：{'，'.join(f'{count} {what}' for count, what in counts if count)}"]
    lines += [
        f"    {one}" for one in sorted(problems, key=lambda one: (not one.is_left_out, one.file, one.row or 0))[:shown]
    ]
    if len(problems) > shown:
        lines.append(f"    另有 {len(problems) - shown} 处，见 ingest.registry_problem")
    return lines


def shown_value(value: str | None, column: str) -> str | None:
    """A cell as a problem may show it: codes and numbers of contracts in full, else no number of a person."""
    if value is None or column.endswith(("_code", "_no", "_id")):
        return value
    return _OF_PEOPLE.sub(lambda found: f"{found[0][:3]}{'*' * (len(found[0]) - 5)}{found[0][-2:]}", value)


@dataclass(frozen=True)
class Column:
    """One column of a registry file. ``kind``: a key of ``SAID``, ``text`` or ``choice`` (one of ``choices``).

    ``required``: no cell may be empty. ``extra``: the file may do without the column, as if every cell were empty.
    """

    name: str
    kind: str = "text"
    required: bool = True
    choices: tuple[str, ...] = ()
    extra: bool = False
    title: str = ""  # a Chinese header by which the column is known as well


@dataclass(frozen=True)
class RegistryFile:
    """One registry file. ``key``: columns that together stand for one row; empty: only whole rows may not repeat."""

    stem: str
    title: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    spans: tuple[tuple[str, str], ...] = ()  # (from, to): dates that may not be the wrong way round


FILES: Mapping[str, RegistryFile] = {
    "institutions": RegistryFile(
        "institution",
        "机构",
        (
            Column("institution_code"),
            Column("institution_name"),
            Column("level", required=False),
            Column("parent_code", required=False),
            Column("region_code", required=False),
        ),
        key=("institution_code",),
    ),
    "doctors": RegistryFile(
        "doctor",
        "医生",
        (
            Column("institution_code"),
            Column("doctor_id", required=False),
            Column("doctor_name"),
            Column("from_date", "date", required=False),
            Column("to_date", "date", required=False),
        ),
        spans=(("from_date", "to_date"),),
    ),
    "orders": RegistryFile(
        "order",
        "订单",
        (
            Column("order_no"),
            Column("institution_code"),
            Column("basis_report"),
            Column("basis_year", "year"),
            Column("basis_period", "period"),
            Column("basis_item"),
            Column("unit_price", "money"),
            Column("currency", "choice", choices=("CNY",)),
            Column("rounding", "choice", choices=ROUNDINGS),
            Column("signed_on", "date", required=False),
            Column("service_from", "date"),
            Column("service_to", "date"),
            Column("penalty_rate", "rate", required=False),
            Column("pricing", required=False, extra=True),
            Column("minimum_amount", "money", required=False, extra=True),
            Column("payment_working_days", "count", required=False, extra=True),
        ),
        key=("order_no", "institution_code", "basis_report", "basis_year", "basis_period", "basis_item"),
        spans=(("service_from", "service_to"),),
    ),
    "payments": RegistryFile(
        "payment",
        "付款",
        (
            Column("order_no"),
            Column("paid_on", "date"),
            Column("amount", "payment"),
            Column("invoice_no", required=False),
        ),
    ),
    "refunds": RegistryFile(
        "refund",
        "退款",
        (
            Column("order_no"),
            Column("refunded_on", "date"),
            Column("amount", "payment"),
            Column("voucher_no", required=False, extra=True),
            Column("reason", required=False, extra=True),
        ),
    ),
    "requests": RegistryFile(
        "service_request",
        "服务请求和故障",
        (
            Column("request_no", title="请求编号"),
            Column("institution_code", required=False, title="机构编码"),
            Column("kind", "choice", choices=REQUEST_KINDS, title="类别"),
            Column("reported_at", "moment", title="报告时间"),
            Column("phenomenon", title="现象"),
            Column("responded_at", "moment", required=False, title="响应时间"),
            Column("resolved_at", "moment", required=False, title="解决时间"),
            Column("action", required=False, extra=True, title="处理措施"),
            Column("handled_by", required=False, extra=True, title="处理人"),
        ),
        key=("request_no",),
        spans=(("reported_at", "responded_at"), ("reported_at", "resolved_at"), ("responded_at", "resolved_at")),
    ),
    "waivers": RegistryFile(
        "waiver",
        "豁免",
        (
            Column("rule_id"),
            Column("institution_code"),
            Column("subject_id", required=False),
            Column("field", required=False),
            Column("reason"),
            Column("approved_by"),
            Column("from_date", "date"),
            Column("until_date", "date"),
        ),
        spans=(("from_date", "until_date"),),
    ),
    "parties": RegistryFile(
        "party",
        "合同双方",
        (
            Column("role", "choice", choices=("seller", "buyer")),
            Column("institution_code", required=False),
            Column("name", required=False),
            Column("contact", required=False),
            Column("phone", required=False),
            Column("address", required=False),
            Column("bank", required=False),
            Column("account", required=False),
            Column("tax_no", required=False),
        ),
        key=("role", "institution_code"),
    ),
    "confirmations": RegistryFile(
        "confirmation",
        "客户服务确认单",
        (
            Column("order_no"),
            Column("institution_code"),
            Column("confirmed_on", "date"),
            Column("satisfaction", "choice", choices=SATISFACTION),
            Column("fulfilled", "choice", choices=("是", "否")),
            Column("opinion", required=False),
        ),
        key=("order_no", "institution_code", "confirmed_on"),
    ),
    # The answered sampling sheet, saved as CSV: lines not answered yet stand in it too.
    "verifications": RegistryFile(
        "verification",
        "抽样核查结果",
        (
            Column("institution_code", title="机构编码"),
            Column("form_id", required=False, title="表单编号"),
            Column("record_id", required=False, title="记录编号"),
            Column("archive_no", title="健康档案编号"),
            Column("doctor_name", required=False, title="责任医生"),
            Column("method", "choice", required=False, choices=VERIFICATION_METHODS, title="核查方式"),
            Column("verified_on", "date", required=False, title="核查日期"),
            Column("outcome", "choice", required=False, choices=VERIFICATION_OUTCOMES, title="核查结果"),
            Column("sbp", "money", required=False, title="复测收缩压"),
            Column("dbp", "money", required=False, title="复测舒张压"),
            Column("conclusion", "choice", required=False, choices=VERIFICATION_CONCLUSIONS, title="结论"),
            Column("verified_by", required=False, title="核查人"),
            Column("remark", required=False, title="备注"),
        ),
        key=("institution_code", "form_id", "record_id", "archive_no", "method", "verified_on"),
    ),
}

#: What is said of a cell that is not of its kind: what it is not, and what to write.
SAID: Mapping[str, tuple[str, str]] = {
    "date": ("不是日期", "请写成 2024-01-31"),
    "moment": ("不是时间", "请写成 2024-01-31 14:30"),
    "year": ("不是年份", "请写四位数字，如 2023"),
    "period": ("不是报告期", "请写 Y、Q1～Q4 或 M01～M12"),
    "money": ("不是金额或比率", "请写不超过 6 位小数的非负数，如 0.6"),
    "rate": ("不是 0 到 1 之间的比率", "请写小数，如百分之五写 0.05"),
    "payment": ("不是金额", "请写不超过 2 位小数的非负数，不加逗号和单位，如 6077.00；退款登记到 refund.csv"),
    "count": ("不是天数", "请写 1～250 的整数，如 10"),
}
