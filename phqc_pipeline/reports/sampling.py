"""The sampling sheet (抽样核查表): whom to telephone or visit, with room for what they say.

Belongs here: the workbook of an institution's own folder, with names, telephones and addresses. Does not belong here:
who is drawn (``mart.verification_sample``), reading the answers (``extracts.registry``: the sheet saved as
``registry/verification.csv``, whose columns it has).
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import xlsxwriter

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.extracts.registry_files import (
    VERIFICATION_CONCLUSIONS,
    VERIFICATION_METHODS,
    VERIFICATION_OUTCOMES,
)

SHEET_NAME = "抽样核查表.xlsx"
#: Title, width and column of the query; those to be filled in have none.
_COLUMNS: tuple[tuple[str, int, str | None], ...] = (
    ("序号", 6, "line"),
    ("风险层", 7, "level"),
    ("机构编码", 14, "institution_code"),
    ("责任医生", 12, "doctor_name"),
    ("表单", 22, "form_title"),
    ("服务日期", 11, "service_date"),
    ("姓名", 12, "person_name"),
    ("本人电话", 14, "phone"),
    ("联系人电话", 14, "contact_phone"),
    ("现住址", 30, "current_address"),
    ("核查方式", 9, "method"),
    ("核查日期", 11, None),
    ("核查结果", 10, None),
    ("复测收缩压", 10, None),
    ("复测舒张压", 10, None),
    ("结论", 8, None),
    ("核查人", 10, None),
    ("备注", 24, None),
    ("健康档案编号", 19, "archive_no"),
    ("表单编号", 18, "form_id"),
    ("记录编号", 20, "record_id"),
)
_CHOICES = {"核查方式": VERIFICATION_METHODS, "核查结果": VERIFICATION_OUTCOMES, "结论": VERIFICATION_CONCLUSIONS}
_NOTE = (
    "填“核查日期”“核查结果”（血压复测另填两栏），另存为 CSV，放进 registry/verification.csv，下一夜读回。"
    "本表含居民个人信息，只供本机构内部使用，请勿外传。"
)


def write_sampling_sheet(path: Path, con: duckdb.DuckDBPyConnection, cat: Catalogue, institution_code: str) -> int:
    """Write the institution's sheet to ``path``; returns its lines. ``con``: the published warehouse."""
    rows = con.execute(_query(con), [institution_code]).pl().to_dicts() if _drawn(con) else []
    titles = {form.form_id: form.title for form in cat.forms.values()}
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        sheet = book.add_worksheet("抽样核查表")
        head = book.add_format({"bold": True, "bg_color": "#DCE9F5", "border": 1, "text_wrap": True})
        blank = book.add_format({"border": 1, "bg_color": "#FFFBE6"})
        text = book.add_format({"quote_prefix": True})  # stays text when somebody edits it
        sheet.write_string(0, 0, _NOTE)
        sheet.freeze_panes(2, 0)
        for column, (title, width, _) in enumerate(_COLUMNS):
            sheet.set_column(column, column, width)
            sheet.write_string(1, column, title, head)
            if title in _CHOICES and rows:
                choice = {"validate": "list", "source": list(_CHOICES[title])}
                sheet.data_validation(2, column, len(rows) + 1, column, choice)
        for place, row in enumerate(rows, start=2):
            told = {**row, "form_title": titles.get(row["form_id"], row["form_id"])}
            for column, (_, _, name) in enumerate(_COLUMNS):
                value = told.get(name) if name else None
                if name is None:
                    sheet.write_blank(place, column, None, blank)
                elif value is not None:
                    sheet.write_string(place, column, str(value), text)
    return len(rows)


def _drawn(con: duckdb.DuckDBPyConnection) -> bool:
    found = con.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'mart' AND table_name = 'verification_sample'"
    ).fetchone()
    return bool(found and found[0])


def _query(con: duckdb.DuckDBPyConnection) -> str:
    """The list with what the resident profile says of each person; a catalogue may have another profile, or none."""
    there = {
        row[0]
        for row in con.execute(
            "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'records' AND table_name = 'resident_profile'"
        ).fetchall()
    }
    wanted = ("person_name", "phone", "contact_phone", "current_address")
    known = [name for name in wanted if name in there]
    told = "".join(f", p.{name}" if name in known else f", NULL AS {name}" for name in wanted)
    if not known or "archive_no" not in there:
        return f"SELECT s.*{told} FROM mart.verification_sample AS s WHERE s.institution_code = ? ORDER BY s.line"
    profile = ", ".join(f"any_value({name} ORDER BY _row_number) AS {name}" for name in known)
    return f"""SELECT s.*{told} FROM mart.verification_sample AS s
        LEFT JOIN (SELECT _institution_code, archive_no, {profile} FROM records.resident_profile GROUP BY ALL) AS p
            ON p._institution_code = s.institution_code AND p.archive_no = s.archive_no
        WHERE s.institution_code = ? ORDER BY s.line"""
