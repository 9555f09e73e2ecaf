"""What the documents of one line of an order say: every name a template may use.

Belongs here: facts as people read them. Does not belong here: which document is written when (``documents``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

import polars as pl

from phqc_pipeline.billing.bill import Bill
from phqc_pipeline.billing.money import amount_in_words
from phqc_pipeline.billing.orders import Order, OrderLine
from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.extracts import Registry
from phqc_pipeline.extracts.registry_files import SATISFACTION

#: The folder of commercial documents, the seller's and each institution's.
PLACE = "计费"
PROJECT = "公共卫生信息质控管理系统"
#: The contract's items of service, in its order.
_SERVICES = ("权限开通", "系统配置", "培训指导", "故障排查处理", "巡检", "系统升级", "数据质控")
#: Kind of request → the contract's item of service it belongs to.
_REQUESTED = {"故障": "故障排查处理", "培训": "培训指导", "巡检": "巡检"}
_ROUNDINGS = {"yuan_down": "舍去角分", "yuan_half_up": "四舍五入到元", "fen_half_up": "四舍五入到分"}
_PERIODS = {"Y": "全年"}
_STATES = {"待整改": "open", "反复": "reopened", "已整改": "fixed", "已豁免": "waived", "不再适用": "retired"}


@dataclass(frozen=True)
class Particulars:
    """Everything the documents draw on. ``findings``: institution_code, severity, state, findings."""

    cat: Catalogue
    registry: Registry
    bill: Bill
    findings: pl.DataFrame | None = None

    @cached_property
    def charges(self) -> Mapping[tuple, dict[str, Any]]:
        return _by_line(self.bill.tables["charge"])

    @cached_property
    def orders(self) -> Mapping[tuple, dict[str, Any]]:
        return _by_line(self.bill.tables["order"])

    @cached_property
    def names(self) -> Mapping[str, str]:
        return dict(self.registry.institutions.select("institution_code", "institution_name").iter_rows())

    @cached_property
    def parties(self) -> Mapping[str, dict[str, Any]]:
        """Institution → the buyer's particulars; the seller's under the empty code."""
        if self.registry.parties is None:
            return {}
        rows = self.registry.parties.iter_rows(named=True)
        return {(row["institution_code"] or "") if row["role"] == "buyer" else "": row for row in rows}

    @cached_property
    def used(self) -> Mapping[str, list[dict[str, Any]]]:
        return _grouped(self.bill.tables["usage"], "institution_code")

    @cached_property
    def payments(self) -> Mapping[str, list[dict[str, Any]]]:
        return _grouped(self.bill.tables["payment"], "order_no")

    @cached_property
    def requests(self) -> Mapping[str, list[dict[str, Any]]]:
        return _grouped(self.bill.tables["service_request"], "institution_code")

    @cached_property
    def sheets(self) -> Mapping[str, list[dict[str, Any]]]:
        return _grouped(self.bill.tables["confirmation"], "institution_code")

    @cached_property
    def found(self) -> Mapping[str, list[dict[str, Any]]]:
        return {} if self.findings is None else _grouped(self.findings, "institution_code")


def line_facts(order: Order, line: OrderLine, about: Particulars) -> dict[str, Any]:
    """Name → what is filled in. Names a clerk uses are Chinese; ``state`` and ``balance`` decide what is written."""
    key = (order.order_no, *line.cell)
    charge, state = about.charges[key], about.orders[key]
    balance = state["balance"] or Decimal(0)
    return {
        "state": state["state"],
        "balance": balance,
        **_parties(line, about),
        **_contract(order, line, state, about),
        **_amounts(charge, state, balance),
        **_evidence(order, line, charge, about),
        **_use(order, line, about),
    }


def _parties(line: OrderLine, about: Particulars) -> dict[str, Any]:
    seller, buyer = about.parties.get("", {}), about.parties.get(line.institution_code, {})
    return {
        "服务单位": seller.get("name") or "",
        "服务单位联系人": seller.get("contact") or "",
        "服务单位电话": seller.get("phone") or "",
        "服务单位地址": seller.get("address") or "",
        "开户行": seller.get("bank") or "",
        "账号": seller.get("account") or "",
        "税号": seller.get("tax_no") or "",
        "用户单位": buyer.get("name") or about.names.get(line.institution_code, line.institution_code),
        "机构编码": line.institution_code,
        "客户负责人": buyer.get("contact") or "",
        "客户电话": buyer.get("phone") or "",
        "客户地址": buyer.get("address") or "",
        "客户税号": buyer.get("tax_no") or "",
    }


def _contract(order: Order, line: OrderLine, state: Mapping[str, Any], about: Particulars) -> dict[str, Any]:
    terms = about.cat.billing
    return {
        "项目名称": PROJECT,
        "合同编号": order.order_no,
        "签订日期": _day(line.signed_on),
        "服务起": _day(line.service_from),
        "服务止": _day(line.service_to),
        "服务期": f"{_day(line.service_from)}至{_day(line.service_to)}",
        "续约通知日": _day(state["notice_on"]),
        "付款截止日": _day(line.due_on) or _until_known(line, about),
        "订单状态": state["state_title"],
        "服务时间": f"工作日 {terms.support_from:%H:%M}—{terms.support_to:%H:%M}",
        "计费方式": line.pricing.title if line.pricing else line.pricing_id,
        "取整方式": _ROUNDINGS.get(line.rounding, line.rounding),
        "满意度选项": "　　".join(f"□ {grade}" for grade in SATISFACTION),
        "出具日期": _day(about.bill.snapshot),
    }


def _until_known(line: OrderLine, about: Particulars) -> str:
    """What stands in the place of a day of payment that nobody knows yet."""
    if line.due_problem:
        return "（无该年节假日安排，另行商定）"
    days = line.payment_days or about.cat.settings.payment_working_days
    return f"（{'服务期满' if line.by_use else '签订'}之日起 {days} 个工作日内）"


def _amounts(charge: Mapping[str, Any], state: Mapping[str, Any], balance: Decimal) -> dict[str, Any]:
    quantity = charge["quantity"]
    return {
        "版次": charge["version"] or 1,
        "数量": "" if quantity is None else f"{quantity:,}",
        "单价": f"{charge['unit_price'].normalize():f}",
        "计费年数": "" if charge["years"] is None else f"{charge['years'].normalize():f}",
        "应计金额": _exact(charge["amount_exact"]),
        "应付金额": _yuan(charge["amount"]),
        "应付大写": charge["amount_words"] or "",
        "已付金额": _yuan(state["paid_share"]),
        "未付金额": _yuan(balance),
        "未付大写": ("负" if balance < 0 else "") + amount_in_words(abs(balance)),
        "违约金": _yuan(charge["penalty"]) if charge["penalty"] else "",
    }


def _evidence(order: Order, line: OrderLine, charge: Mapping[str, Any], about: Particulars) -> dict[str, Any]:
    _, report_id, year, period, item = line.cell
    report = about.cat.reports.get(report_id)
    entry = report.by_item.get(item) if report else None
    basis = (
        f"{year} 年度《{report.title if report else report_id}》（{_PERIODS.get(period, period)}）"
        f"“{entry.title if entry else item}”"
    )
    made = [one for one in order.versions[line.cell] if one.made_on <= about.bill.snapshot]
    before = [None, *made]
    at = f"第 {charge['evidence_row']} 行，“{charge['evidence_column']}”列，原文“{charge['evidence_text'] or ''}”"
    has_file = charge["evidence_file_id"] is not None
    return {
        "计费依据": basis if line.pricing is None or line.pricing.basis == "reported" else _other_basis(line),
        "依据文件": f"文件编号 {charge['evidence_file_id']}" if has_file else "无",
        "依据位置": at if has_file else "无",
        "依据指纹": f"SHA-256 {charge['evidence_sha256']}" if has_file else "无",
        "重算数量": "不可重算" if charge["quantity_from_records"] is None else f"{charge['quantity_from_records']:,}",
        "差异说明": _difference(charge["quantity_difference"]),
        "版本": [
            {
                "版次": str(one.number),
                "日期": _day(one.made_on),
                "数量": f"{one.quantity:,}",
                "金额": _yuan(one.amount),
                "相差": "—" if earlier is None else f"{one.amount - earlier.amount:+,.2f}",
            }
            for earlier, one in zip(before, made, strict=False)
        ],
        "付款": [
            {"日期": _day(row["paid_on"]), "金额": _yuan(row["amount"]), "发票号": row["invoice_no"] or ""}
            for row in about.payments.get(order.order_no, ())
        ],
    }


def _use(order: Order, line: OrderLine, about: Particulars) -> dict[str, Any]:
    months = [
        row
        for row in about.used.get(line.institution_code, ())
        if line.service_from <= row["first_night"] <= line.service_to
    ]
    total = {name: sum(row[name] for row in months) for name in ("nights", "records_judged", "judgements", "findings")}
    found: dict[str, dict[str, int]] = {}
    for row in about.found.get(line.institution_code, ()):
        found.setdefault(row["severity"], {})[row["state"]] = row["findings"]
    opened = sum(states.get(state, 0) for states in found.values() for state in ("open", "reopened"))
    done = _services_done(line, about)
    if months:
        done["数据质控"] = f"{total['nights']} 夜，{total['records_judged']:,} 条次"
    return {
        "用量": [
            {
                "月份": row["month"],
                "夜数": str(row["nights"]),
                "记录数": f"{row['records_judged']:,}",
                "规则数": f"{row['rules_run']:,}",
                "判定数": f"{row['judgements']:,}",
                "问题数": f"{row['findings']:,}",
            }
            for row in months
        ],
        "质控夜数": f"{total['nights']:,}",
        "质控记录数": f"{total['records_judged']:,}",
        "判定次数": f"{total['judgements']:,}",
        "发现问题数": f"{total['findings']:,}",
        "待整改": f"{opened:,}",
        "整改": [
            {"级别": severity, **{title: f"{states.get(state, 0):,}" for title, state in _STATES.items()}}
            for severity, states in sorted(found.items())
        ],
        "服务内容": [
            {"序号": str(number), "项目": title, "情况": done.get(title, "")}
            for number, title in enumerate(_SERVICES, start=1)
        ],
        "确认单": [
            {
                "日期": _day(row["confirmed_on"]),
                "满意度": row["satisfaction"],
                "履约": "是" if row["is_fulfilled"] else "否",
            }
            for row in about.sheets.get(line.institution_code, ())
            if row["order_no"] == order.order_no
        ],
    }


def _services_done(line: OrderLine, about: Particulars) -> dict[str, str]:
    """Item of service → what was done of it for the institution in the service period, by the requests registered."""
    asked = Counter(
        (_REQUESTED[row["kind"]], row["state"] == "已解决")
        for row in about.requests.get(line.institution_code, ())
        if row["kind"] in _REQUESTED and line.service_from <= row["reported_at"].date() <= line.service_to
    )
    return {title: f"{asked[title, True] + asked[title, False]} 件，已办 {asked[title, True]} 件" for title, _ in asked}


def _other_basis(line: OrderLine) -> str:
    assert line.pricing is not None
    return "实际质控的记录数（逐月）" if line.pricing.basis == "judged" else "包干"


def _difference(difference: int | None) -> str:
    if difference is None:
        return "不可比"
    if difference == 0:
        return "一致"
    more = "多" if difference > 0 else "少"
    behind = "可能涉及的档案列在同一文件夹的差异明细里（容差以内的不列）"
    return f"上报比重算{more} {abs(difference):,}；{behind}"


def _by_line(frame: pl.DataFrame) -> dict[tuple, dict[str, Any]]:
    names = ("order_no", "institution_code", "basis_report", "basis_year", "basis_period", "basis_item")
    return {tuple(row[name] for name in names): row for row in frame.iter_rows(named=True)}


def _grouped(frame: pl.DataFrame, key: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in frame.iter_rows(named=True):
        found.setdefault(row[key], []).append(row)
    return found


def _day(day: date | None) -> str:
    return "" if day is None else f"{day.year} 年 {day.month} 月 {day.day} 日"


def _yuan(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount:,.2f}"


def _exact(amount: Decimal | None) -> str:
    """At least two decimals, more only where they say something."""
    if amount is None:
        return ""
    shown = amount.normalize()
    return f"{shown:,.2f}" if shown == shown.quantize(Decimal("0.01")) else f"{shown:,f}"
