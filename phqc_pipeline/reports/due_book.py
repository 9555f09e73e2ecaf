"""The workbook of services due (应做名单): whom to call or visit, overdue ones first, with name and telephone.

Belongs here: joining ``mart.due_list`` to the institution's own records, and the sheet. Does not belong here: who is
due what (the mart). It holds personal data in full: for that institution's folder only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import polars as pl
import xlsxwriter

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.catalogue.model import Code
from phqc_pipeline.reports.facts import InstitutionFacts
from phqc_pipeline.reports.lines import record_tables

DUE_BOOK_NAME = "应做名单.xlsx"
#: A person is looked up in the forms that say most of him, and in those of the services.
_FORMS_LOOKED_UP = 3
_LINES_A_SHEET = 50_000
_KINDS = {"person_name": "name", "id_number": "id_number", "phone": "phone", "address": "address"}
_COLUMNS: tuple[tuple[str, str, int], ...] = (
    ("state", "状态", 9),
    ("doctor_name", "责任医生", 11),
    ("service_title", "服务", 24),
    ("person_name", "姓名", 11),
    ("phone", "联系电话", 14),
    ("due_by", "最晚日期", 12),
    ("overdue_days", "逾期天数", 9),
    ("last_service", "上次服务", 12),
    ("last_class", "上次分类", 14),
    ("done", "本年已做", 9),
    ("needed", "本年应做", 9),
    ("archive_no", "健康档案编号", 20),
    ("id_number", "身份证号", 20),
    ("address", "住址", 36),
)
_DATES = ("due_by", "last_service")


def read_due(con: duckdb.DuckDBPyConnection, cat: Catalogue, institution_code: str) -> pl.DataFrame | None:
    """The institution's due services, one row a person and service, overdue longest first; None without the mart."""
    known = con.execute(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = 'mart' AND table_name = 'due_list'"
    ).fetchone()
    if known is None:
        return None
    people = _people_sql(con, cat, institution_code)
    return con.execute(
        f"""
        SELECT d.state, coalesce(nullif(d.doctor_name, ''), '（未署名）') AS doctor_name, d.service_title, d.form_id,
               p.person_name, p.phone, d.due_by, d.overdue_days, d.last_service, d.last_class, d.done, d.needed,
               d.archive_no, p.id_number, p.address
        FROM mart.due_list AS d LEFT JOIN ({people}) AS p USING (archive_no)
        WHERE d.institution_code = $1
        ORDER BY d.due_by, d.service_title, d.archive_no
        """,
        [institution_code],
    ).pl()


def write_due_book(folder: Path, due: pl.DataFrame, cat: Catalogue, facts: InstitutionFacts) -> Iterator[str]:
    """Write 应做名单.xlsx into ``folder`` when anything is due; yields its name."""
    if due.is_empty():
        return
    shown = _with_class_names(due, cat)
    partial = folder / f".{DUE_BOOK_NAME}.partial"
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(partial), options) as book:
        book.set_properties({"title": f"{facts.institution_name} 应做名单", "created": facts.published_at})
        head = book.add_format({"bold": True, "bg_color": "#1F5C8B", "font_color": "#FFFFFF", "border": 1})
        text = book.add_format({"valign": "top", "quote_prefix": True})
        late = book.add_format({"valign": "top", "font_color": "#B3261E", "bold": True})
        day = book.add_format({"num_format": "yyyy-mm-dd", "align": "left", "valign": "top"})
        for start in range(0, shown.height, _LINES_A_SHEET):
            part = shown.slice(start, _LINES_A_SHEET)
            sheet = book.add_worksheet("应做名单" if start == 0 else f"应做名单{start // _LINES_A_SHEET + 1}")
            sheet.freeze_panes(1, 4)
            for column, (_, title, width) in enumerate(_COLUMNS):
                sheet.set_column(column, column, width)
                sheet.write_string(0, column, title, head)
            # xlsxwriter writes cell by cell; the cells are made before.
            for row, values in enumerate(part.iter_rows(), start=1):
                for column, value in enumerate(values):
                    if isinstance(value, str):
                        sheet.write_string(row, column, value, late if value == "逾期" and column == 0 else text)
                    elif value is not None:
                        sheet.write_number(row, column, value, day if _COLUMNS[column][0] in _DATES else None)
            sheet.autofilter(0, 0, part.height, len(_COLUMNS) - 1)
            sheet.set_landscape()
            sheet.set_paper(9)
            sheet.repeat_rows(0)
            sheet.fit_to_pages(1, 0)
            sheet.set_footer(f"&L{facts.institution_name} {facts.snapshot.isoformat()}&R第 &P 页，共 &N 页")
    partial.replace(folder / DUE_BOOK_NAME)
    yield DUE_BOOK_NAME


def _people_sql(con: duckdb.DuckDBPyConnection, cat: Catalogue, institution_code: str) -> str:
    """archive_no and what the institution's records say of the person, of the form that says most first."""
    services = con.execute(
        "SELECT DISTINCT form_id FROM mart.due_list WHERE institution_code = ?", [institution_code]
    ).fetchall()
    tables = record_tables(con)
    usable = [form for form in cat.forms.values() if form.form_id in tables and form.has("archive_no")]
    usable.sort(key=lambda form: -sum(column.personal is not None for column in form.fields))
    chosen = usable[:_FORMS_LOOKED_UP]
    chosen += [form for form in usable[_FORMS_LOOKED_UP:] if (form.form_id,) in services]
    parts = []
    for rank, form in enumerate(chosen):
        columns = []
        for name, kind in _KINDS.items():
            column = next((one.name for one in form.fields if one.personal == kind), None)
            columns.append(f'"{column}" AS {name}' if column else f"NULL::VARCHAR AS {name}")
        parts.append(
            f'SELECT archive_no, {rank} AS rank, {", ".join(columns)} FROM records."{form.form_id}" '
            "WHERE _institution_code = $1 AND archive_no IN (SELECT archive_no FROM mart.due_list)"
        )
    told = " UNION ALL ".join(parts) or "SELECT NULL::VARCHAR AS archive_no, 0 AS rank, " + ", ".join(
        f"NULL::VARCHAR AS {name}" for name in _KINDS
    )
    known = ", ".join(f"arg_min({name}, rank) AS {name}" for name in _KINDS)
    return f"SELECT archive_no, {known} FROM ({told}) GROUP BY archive_no"


def _with_class_names(due: pl.DataFrame, cat: Catalogue) -> pl.DataFrame:
    """The sheet's cells: the class a service goes by with its name, dates as day numbers."""
    names = {
        f"{service.form_id}.{code.code}": code.name
        for service in cat.services.values()
        if service.class_field and service.form_id in cat.forms and cat.forms[service.form_id].has(service.class_field)
        for code in _codes(cat, service.form_id, service.class_field)
    }
    epoch = pl.lit("1899-12-30").str.to_date()
    key = pl.concat_str("form_id", pl.lit("."), "last_class")
    cells = due.with_columns(
        key.replace_strict(names, default=pl.col("last_class"), return_dtype=pl.String).alias("last_class"),
        *((pl.col(name) - epoch).dt.total_days().alias(name) for name in _DATES),
    )
    return cells.select(name for name, _, _ in _COLUMNS)


def _codes(cat: Catalogue, form_id: str, column: str) -> Sequence[Code]:
    listed = cat.forms[form_id].field(column).codes
    return cat.codes[listed].codes if listed else ()
