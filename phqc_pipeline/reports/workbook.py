"""The workbook of an institution's findings (整改清单): one line to correct, one line in the sheet.

Belongs here: the sheets. Does not belong here: what counts as a finding.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import xlsxwriter

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.reports.facts import InstitutionFacts, findings_for_people

#: A sheet holds 1,048,576 rows; beyond this many findings a person corrects nothing from one list.
ROWS_A_SHEET = 100_000

_COLUMNS: tuple[tuple[str, str, int], ...] = (
    ("severity", "级别", 6),
    ("form_title", "表单", 18),
    ("doctor_name", "责任医生", 10),
    ("person_name", "姓名", 10),
    ("archive_no", "健康档案编号", 20),
    ("service_date", "服务日期", 11),
    ("field_title", "项目", 16),
    ("observed", "现在的内容", 22),
    ("expected", "应为", 18),
    ("message", "问题", 46),
    ("suggestion", "建议改为", 18),
    ("rule_id", "规则编号", 13),
    ("basis", "依据", 30),
    ("state_title", "状态", 8),
    ("first_seen", "首次发现", 11),
    ("record_id", "记录编号", 18),
    ("source_path", "来源文件", 30),
    ("row_number", "来源行", 8),
)
STATE_TITLES = {"open": "待整改", "reopened": "反复", "waived": "已豁免", "fixed": "已整改", "retired": "已销号"}


def write_workbook(path: Path, con: duckdb.DuckDBPyConnection, cat: Catalogue, facts: InstitutionFacts) -> int:
    """Write the institution's workbook to ``path``; returns the number of findings in it.

    Holds personal data in full, so it goes into that institution's own folder only.
    """
    findings = _readable(findings_for_people(con, cat, facts.institution_code), cat)
    # Text that begins with = must stay text: a cell of a record is no formula (strings_to_formulas, _urls off).
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        bold = book.add_format({"bold": True, "font_size": 14})
        head = book.add_format({"bold": True, "bg_color": "#DCE9F5", "border": 1, "text_wrap": True})
        wrap = book.add_format({"text_wrap": True, "valign": "top"})
        percent = book.add_format({"num_format": "0.0%"})
        _overview(book, facts, cat, bold, head, percent)
        for number, start in enumerate(range(0, max(findings.height, 1), ROWS_A_SHEET), start=1):
            name = "整改清单" if findings.height <= ROWS_A_SHEET else f"整改清单{number}"
            _sheet(book.add_worksheet(name), findings.slice(start, ROWS_A_SHEET), head, wrap)
    return findings.height


def _overview(
    book: xlsxwriter.Workbook,
    facts: InstitutionFacts,
    cat: Catalogue,
    bold: xlsxwriter.format.Format,
    head: xlsxwriter.format.Format,
    percent: xlsxwriter.format.Format,
) -> None:
    sheet = book.add_worksheet("说明")
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 6, 12)
    sheet.write_string(0, 0, f"{facts.institution_name} 质控整改清单", bold)
    notes = (
        f"数据日期：{facts.snapshot.isoformat()}    待整改问题：{facts.findings} 条",
        "怎样用：在“整改清单”里按责任医生或表单筛选，到来源系统找到记录（姓名、健康档案编号、服务日期），改正后随下次导出一并报来。",
        "改正后的记录在下一次质控时自动核对：改好的销号，没改好的仍在清单里。",
        "本文件含居民个人信息，只供本机构内部使用，请勿外传。",
    )
    for row, note in enumerate(notes, start=1):
        sheet.write_string(row, 0, note)
    top = len(notes) + 2
    for column, title in enumerate(("表单", "记录数", "合格率", "严重", "一般", "提示")):
        sheet.write_string(top, column, title, head)
    for row, line in enumerate(facts.by_form.iter_rows(named=True), start=top + 1):
        sheet.write_string(row, 0, form_title(cat, line["form_id"]))
        sheet.write_number(row, 1, line["records"])
        if line["pass_rate"] is not None:
            sheet.write_number(row, 2, line["pass_rate"], percent)
        for column, name in enumerate(("severe", "ordinary", "hint"), start=3):
            sheet.write_number(row, column, line[name])


def _sheet(
    sheet: xlsxwriter.worksheet.Worksheet,
    findings: pl.DataFrame,
    head: xlsxwriter.format.Format,
    wrap: xlsxwriter.format.Format,
) -> None:
    sheet.freeze_panes(1, 0)
    for column, (_, title, width) in enumerate(_COLUMNS):
        sheet.set_column(column, column, width)
        sheet.write_string(0, column, title, head)
    names = [name for name, _, _ in _COLUMNS]
    # xlsxwriter writes cell by cell; the rows are already text, so nothing is decided in this loop.
    for row, values in enumerate(findings.select(names).iter_rows(), start=1):
        for column, value in enumerate(values):
            if value:
                sheet.write_string(row, column, value, wrap)
    sheet.autofilter(0, 0, max(findings.height, 1), len(_COLUMNS) - 1)


def _readable(findings: pl.DataFrame, cat: Catalogue) -> pl.DataFrame:
    """The findings with titles for ids, every cell text, in the columns of the sheet."""
    for name, _, _ in _COLUMNS:
        if name not in findings.columns:
            findings = findings.with_columns(pl.lit(None, dtype=pl.String).alias(name))
    if "field" not in findings.columns:
        findings = findings.with_columns(field=pl.lit(None, dtype=pl.String), state=pl.lit(None, dtype=pl.String))
    titles = {
        f"{form.form_id}.{column.name}": column.title for form in cat.forms.values() for column in form.fields
    } | {f"{report.report_id}.{item.item}": item.title for report in cat.reports.values() for item in report.items}
    basis = {rule.rule_id: rule.basis + ("" if rule.verified else "（数值待核）") for rule in cat.rules}
    forms = {name: form_title(cat, name) for name in (*cat.forms, *cat.reports)}
    return findings.with_columns(
        form_title=pl.col("form_id").replace_strict(forms, default=pl.col("form_id"), return_dtype=pl.String),
        field_title=pl.concat_str("form_id", pl.lit("."), "field").replace_strict(
            titles, default=pl.col("field"), return_dtype=pl.String
        ),
        basis=pl.col("rule_id").replace_strict(basis, default=None, return_dtype=pl.String),
        state_title=pl.col("state").replace_strict(STATE_TITLES, default=pl.col("state"), return_dtype=pl.String),
    ).with_columns(pl.col(name).cast(pl.String) for name, _, _ in _COLUMNS)


def form_title(cat: Catalogue, form_id: str) -> str:
    """The Chinese title of a form or report, else its id."""
    if form_id in cat.forms:
        return cat.forms[form_id].title
    return cat.reports[form_id].title if form_id in cat.reports else form_id
