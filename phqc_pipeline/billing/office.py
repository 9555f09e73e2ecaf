"""A bill made into what people receive: documents for each institution, the workbook for the accountant, PDF.

Belongs here: the order of these steps. Does not belong here: any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import polars as pl

from phqc_pipeline.billing.accounts import DIFFERENCE, NAME, write_accounts, write_difference
from phqc_pipeline.billing.bill import Bill, make_bill
from phqc_pipeline.billing.documents import Written, safe_name, seller_folder, write_documents
from phqc_pipeline.billing.evidence import read_report_history
from phqc_pipeline.billing.facts import PLACE
from phqc_pipeline.billing.pdf import PdfError, find_libreoffice, stale, write_pdfs
from phqc_pipeline.billing.usage import read_usage
from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.extracts import Books, Registry
from phqc_pipeline.home import Home

_NO_FIGURES = pl.DataFrame(
    schema={"institution_code": pl.String, "report_id": pl.String, "year": pl.Int64, "period": pl.String,
            "item": pl.String, "recomputed": pl.Float64}
)  # fmt: skip


@dataclass(frozen=True)
class Issued:
    """What was issued. ``no_pdf``: why there is no PDF, in Chinese; empty when there is, or none was asked for."""

    bill: Bill
    workbook: Path
    documents: Written
    pdfs: list[Path]
    no_pdf: str = ""


def bill_of(home: Home, cat: Catalogue, registry: Registry, day: date) -> Bill:
    """The bill on ``day`` from deliveries taken in, nights judged and the published warehouse, where there is one."""
    history = read_report_history(Books(home, cat), registry.orders, day)
    return make_bill(registry, cat, history, _recomputed(home), read_usage(home, day), day)


def issue(
    home: Home,
    cat: Catalogue,
    registry: Registry,
    bill: Bill,
    *,
    annual: bool = False,
    pdf: bool = False,
    only: frozenset[str] | None = None,
) -> Issued:
    """Write what the bill calls for. ``annual``: annual reports too; ``only``: documents of these institutions."""
    workbook = write_accounts(seller_folder(home) / NAME, bill, registry)
    written = write_documents(home, cat, registry, bill, findings=_findings(home), annual=annual, only=only)
    write_differences(home, bill, only)
    if not pdf:
        return Issued(bill, workbook, written, [])
    program = find_libreoffice()
    if program is None:
        return Issued(bill, workbook, written, [], "没有安装 LibreOffice，只有 Word 文档")
    try:
        return Issued(bill, workbook, written, write_pdfs(stale(written.all), program))
    except PdfError as failure:
        return Issued(bill, workbook, written, [], str(failure))


def write_differences(home: Home, bill: Bill, only: frozenset[str] | None = None) -> list[Path]:
    """For every charged line whose report and records differ, the list of who may be behind it; others are removed."""
    names = ", ".join(name for name, _, _ in DIFFERENCE)
    sql = f"SELECT order_no, institution_code, {names} FROM mart.billing_difference ORDER BY ALL"
    rows = _ask(home, sql, pl.DataFrame(), needs="billing_difference")
    behind = {} if rows.is_empty() else rows.partition_by("institution_code", "order_no", as_dict=True)
    made = []
    for order in bill.orders:
        for code in sorted({line.institution_code for line in order.lines}):
            if only is not None and code not in only:
                continue
            target = home.published / code / PLACE / safe_name(f"{order.order_no}_差异明细.xlsx")
            if (code, order.order_no) in behind:
                made.append(write_difference(target, behind[code, order.order_no]))
            else:
                target.unlink(missing_ok=True)
    return made


def _recomputed(home: Home) -> pl.DataFrame:
    sql = (
        "SELECT institution_code, report_id, year, period, item, recomputed FROM report.reconciliation "
        "WHERE recomputed IS NOT NULL"
    )
    return _ask(home, sql, _NO_FIGURES)


def _findings(home: Home) -> pl.DataFrame | None:
    counted = "institution_code, severity, state, count(*)::BIGINT AS findings"
    sql = f"SELECT {counted} FROM qc.finding GROUP BY ALL ORDER BY ALL"
    found = _ask(home, sql, pl.DataFrame())
    return None if found.is_empty() else found


def _ask(home: Home, sql: str, without: pl.DataFrame, needs: str = "") -> pl.DataFrame:
    """``without`` where nothing is published yet, or not the table that it ``needs``."""
    if not home.published_db.is_file():
        return without
    with duckdb.connect(str(home.published_db), read_only=True) as connection:
        there = connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [needs]).fetchall()
        if needs and not there:
            return without
        found: pl.DataFrame = connection.execute(sql).pl()
    return found
