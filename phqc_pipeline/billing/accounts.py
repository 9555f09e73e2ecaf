"""The accountant's workbook: every table of the bill as people read it, and the totals that must agree.

Belongs here: sheets, their columns and sums. Does not belong here: what is charged (``charges``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import xlsxwriter

from phqc_pipeline.billing.bill import Bill
from phqc_pipeline.extracts import Registry
from phqc_pipeline.warehouse.files import replace_file

NAME = "计费对账.xlsx"
_COUNTY_DIGITS = 6

_KINDS = {"seller": "服务单位", "buyer": "用户单位"}
_STATUSES = {
    "upcoming": "未到期",
    "due": "到期",
    "overdue": "逾期",
    "done": "已办",
    "void": "不必办",
    "not_evaluable": "无法推算",
}
_REQUESTS = {**_STATUSES, "done": "按时", "late": "逾期办妥", "void": "不设期限"}

#: Sheet → its table and columns (name, title, width); money columns are summed below the table.
_SHEETS: Mapping[str, tuple[str, Sequence[tuple[str, str, int]]]] = {
    "订单": (
        "order",
        (
            ("order_no", "订单编号", 16), ("institution_code", "机构编码", 15), ("institution_name", "机构", 30),
            ("county_code", "县", 9), ("state_title", "状态", 9), ("is_entitled", "可质控", 8),
            ("pricing_title", "计费方式", 22), ("signed_on", "签订", 11), ("due_on", "付款截止", 11),
            ("settled_on", "付清", 11), ("service_from", "服务起", 11), ("service_to", "服务止", 11),
            ("amount", "应付", 13), ("draft_amount", "未签订（签后应付）", 13), ("paid_share", "已付", 13),
            ("balance", "未付", 13),
            ("penalty_due", "违约金", 12), ("reason", "说明", 40),
        ),
    ),
    "服务费": (
        "charge",
        (
            ("order_no", "订单编号", 16), ("institution_code", "机构编码", 15), ("institution_name", "机构", 30),
            ("county_code", "县", 9), ("basis_report", "报表", 14), ("basis_year", "年度", 7),
            ("basis_period", "期间", 6), ("basis_item", "报表项", 18), ("quantity", "数量", 10),
            ("unit_price", "单价", 9), ("amount_exact", "应计", 14), ("amount", "金额", 13),
            ("owed", "应付（已签订）", 13),
            ("amount_words", "大写", 26), ("version", "版次", 6), ("adjustments", "更正合计", 12),
            ("quantity_from_records", "重算数量", 10), ("quantity_difference", "差异", 8),
            ("evidence_file_id", "依据文件", 18), ("evidence_row", "行", 6), ("evidence_column", "列", 22),
            ("evidence_sha256", "文件指纹", 20), ("reason", "说明", 40),
        ),
    ),
    "更正": (
        "adjustment",
        (
            ("order_no", "订单编号", 16), ("institution_code", "机构编码", 15), ("institution_name", "机构", 30),
            ("adjusted_on", "更正日期", 11), ("from_version", "原版次", 8), ("to_version", "新版次", 8),
            ("quantity_before", "原数量", 10), ("quantity_after", "新数量", 10), ("kind", "补收/退抵", 10),
            ("adjustment", "金额", 13), ("due_on", "截止日", 11), ("reason", "原因", 36),
        ),
    ),
    "付款": (
        "payment",
        (
            ("order_no", "订单编号", 16), ("kind", "付款/退款", 10), ("paid_on", "日期", 11), ("amount", "金额", 13),
            ("invoice_no", "发票号、凭证号", 22),
        ),
    ),
    "日历": (
        "calendar",
        (
            ("due_on", "到期日", 11), ("due_at", "最晚时刻", 16), ("status_title", "办理", 9),
            ("kind_title", "事项", 14), ("party_title", "由谁办", 10), ("what", "要办什么", 56),
            ("order_no", "订单编号", 16), ("institution_name", "机构", 30), ("done_on", "办妥日期", 11),
            ("reason", "说明", 40),
        ),
    ),
    "用量": (
        "usage",
        (
            ("institution_code", "机构编码", 15), ("institution_name", "机构", 30), ("month", "月份", 9),
            ("nights", "质控夜数", 9), ("records_judged", "质控记录数", 12), ("rules_run", "判过的规则数", 12),
            ("judgements", "判定次数", 13), ("findings", "问题数", 10),
        ),
    ),
    "确认单": (
        "confirmation",
        (
            ("order_no", "订单编号", 16), ("institution_code", "机构编码", 15), ("institution_name", "机构", 30),
            ("confirmed_on", "确认日期", 11), ("satisfaction", "满意度", 10), ("is_fulfilled", "履约完成", 9),
        ),
    ),
    "服务请求": (
        "service_request",
        (
            ("request_no", "请求编号", 14), ("institution_code", "机构编码", 15), ("institution_name", "机构", 30),
            ("kind", "类别", 8), ("state", "状态", 9), ("reported_at", "报告时间", 16),
            ("response_due_at", "最晚响应", 16), ("responded_at", "响应时间", 16), ("response_title", "响应", 9),
            ("response_hours", "响应用时（服务小时）", 12), ("repair_due_at", "最晚解决", 16),
            ("resolved_at", "解决时间", 16), ("repair_title", "解决", 9), ("repair_hours", "解决用时（服务小时）", 12),
            ("reason", "说明", 40),
        ),
    ),
}  # fmt: skip
DIFFERENCE = (
    ("quantity", "上报数", 10), ("quantity_from_records", "重算数", 10), ("quantity_difference", "差异", 8),
    ("direction", "多报/少报", 10), ("archive_no", "健康档案编号", 24), ("record_id", "记录编号", 22),
    ("cause", "原因", 16), ("detail", "说明", 44),
)  # fmt: skip
#: Figures whose sum says nothing.
_NO_SUM = ("unit_price", "response_hours", "repair_hours")
_TOTALS = ("amount", "paid_share", "balance", "penalty_due", "draft_amount")


def write_accounts(target: Path, bill: Bill, registry: Registry) -> Path:
    """Write the workbook to ``target``, whole or not at all; sums of a sheet are formulas with their value."""
    places = registry.institutions.select(
        "institution_code", "institution_name", county_code=pl.col("region_code").str.slice(0, _COUNTY_DIGITS)
    )
    options = {"strings_to_formulas": False, "strings_to_urls": False, "default_date_format": "yyyy-mm-dd"}
    with replace_file(target) as aside, xlsxwriter.Workbook(str(aside), options) as book:
        styles = _Styles(book)
        _summary(book, bill, places, styles)
        for name, (table, columns) in _SHEETS.items():
            _sheet(book.add_worksheet(name), _readable(bill.tables[table], places), columns, styles)
    return target


def write_difference(target: Path, rows: pl.DataFrame) -> Path:
    """An institution's list of the archives behind the difference of its charge; archive numbers, no names.

    ``rows``: the columns of ``DIFFERENCE``.
    """
    options = {"strings_to_formulas": False, "strings_to_urls": False}
    with replace_file(target) as aside, xlsxwriter.Workbook(str(aside), options) as book:
        _sheet(book.add_worksheet("差异明细"), rows, DIFFERENCE, _Styles(book))
    return target


class _Styles:
    """The workbook's formats."""

    def __init__(self, book: xlsxwriter.Workbook) -> None:
        self.title = book.add_format({"bold": True, "font_size": 14})
        self.head = book.add_format({"bold": True, "bg_color": "#DCE9F5", "border": 1, "text_wrap": True})
        self.money = book.add_format({"num_format": "#,##0.00"})
        self.price = book.add_format({"num_format": "0.00####"})
        self.total = book.add_format({"num_format": "#,##0.00", "bold": True, "top": 1})
        self.day = book.add_format({"num_format": "yyyy-mm-dd"})
        self.moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        self.bold = book.add_format({"bold": True, "top": 1})


def county_totals(bill: Bill, places: pl.DataFrame) -> pl.DataFrame:
    """county_code, institutions, amount, paid_share, balance, penalty_due: the lines of all orders, added up; and
    draft_amount, what those not signed yet would come to: it is part of no other figure."""
    return (
        bill.tables["order"]
        .join(places, on="institution_code", how="left")
        .group_by(pl.col("county_code").fill_null(""))
        .agg(pl.col("institution_code").n_unique().alias("institutions"), *(pl.col(name).sum() for name in _TOTALS))
        .sort("county_code")
    )


def _summary(book: xlsxwriter.Workbook, bill: Bill, places: pl.DataFrame, styles: _Styles) -> None:
    sheet = book.add_worksheet("汇总")
    sheet.set_column(0, 0, 22)
    sheet.set_column(1, 6, 16)
    sheet.write_string(0, 0, f"计费对账　截至 {bill.snapshot.isoformat()}", styles.title)
    heads = ("县级区划", "机构数", "应付", "已付", "未付", "违约金", "未签订（不计入应付）")
    for column, text in enumerate(heads):
        sheet.write_string(2, column, text, styles.head)
    totals = county_totals(bill, places)
    for row, line in enumerate(totals.iter_rows(named=True), start=3):
        sheet.write_string(row, 0, line["county_code"] or "（未登记）")
        sheet.write_number(row, 1, line["institutions"])
        for column, name in enumerate(_TOTALS, start=2):
            sheet.write_number(row, column, _number(line[name] or Decimal(0)), styles.money)
    end = 3 + totals.height
    sheet.write_string(end, 0, "合计", styles.bold)
    sheet.write_number(end, 1, int(totals["institutions"].sum()), styles.bold)
    for column, name in enumerate(_TOTALS, start=2):
        _sum(sheet, end, column, 3, totals[name], styles)
    received, shared = _total(bill.tables["payment"]["amount"]), _total(bill.tables["order"]["paid_share"])
    sheet.write_string(end + 2, 0, "付款登记合计")
    sheet.write_number(end + 2, 3, _number(received), styles.money)
    sheet.write_string(end + 3, 0, "与已付合计相差（应为 0）")
    sheet.write_number(end + 3, 3, _number(received - shared), styles.money)


def _sheet(
    sheet: xlsxwriter.worksheet.Worksheet,
    table: pl.DataFrame,
    columns: Sequence[tuple[str, str, int]],
    styles: _Styles,
) -> None:
    sheet.freeze_panes(1, 0)
    for column, (name, title, width) in enumerate(columns):
        sheet.set_column(column, column, width)
        sheet.write_string(0, column, title, styles.head)
        for row, value in enumerate(table[name], start=1):
            _cell(sheet, row, column, name, value, styles)
        if isinstance(table.schema[name], pl.Decimal) and name not in _NO_SUM:
            _sum(sheet, table.height + 1, column, 1, table[name], styles)
    sheet.autofilter(0, 0, max(table.height, 1), len(columns) - 1)


def _cell(sheet: xlsxwriter.worksheet.Worksheet, row: int, column: int, name: str, value: Any, styles: _Styles) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_string(row, column, "是" if value else "否")
    elif isinstance(value, Decimal):
        sheet.write_number(row, column, _number(value), styles.price if name == "unit_price" else styles.money)
    elif isinstance(value, datetime):
        sheet.write_datetime(row, column, value, styles.moment)
    elif isinstance(value, date):
        sheet.write_datetime(row, column, datetime.combine(value, datetime.min.time()), styles.day)
    elif isinstance(value, (int, float)):
        sheet.write_number(row, column, value)
    else:
        sheet.write_string(row, column, str(value))


def _sum(
    sheet: xlsxwriter.worksheet.Worksheet, row: int, column: int, first: int, values: pl.Series, styles: _Styles
) -> None:
    """The sum as a formula, with its value for readers that do not calculate."""
    letter = xlsxwriter.utility.xl_col_to_name(column)
    total = _number(_total(values))
    if row > first:
        sheet.write_formula(row, column, f"=SUM({letter}{first + 1}:{letter}{row})", styles.total, total)
    else:
        sheet.write_number(row, column, total, styles.total)


def _readable(table: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    if "institution_code" in table.columns:
        table = table.join(places, on="institution_code", how="left", maintain_order="left")
    if "party" in table.columns:
        table = table.with_columns(
            party_title=pl.col("party").replace_strict(_KINDS, return_dtype=pl.String),
            status_title=pl.col("status").replace_strict(_STATUSES, return_dtype=pl.String),
        )
    if "request_no" in table.columns:
        table = table.with_columns(
            pl.col(f"{step}_status").replace_strict(_REQUESTS, return_dtype=pl.String).alias(f"{step}_title")
            for step in ("response", "repair")
        )
    return table


def _total(values: pl.Series) -> Decimal:
    return Decimal(values.sum() or 0)


def _number(amount: Decimal) -> float:
    """A cell of a spreadsheet is a binary number; what is published and printed never passes through one."""
    return float(amount)
