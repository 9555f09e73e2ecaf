"""Writing what people receive into their folders, each file whole or not at all.

HOME/published/<institution_code>/ holds what is that institution's, its residents' data among it;
HOME/published/全部机构/ what the health commission reads, with nothing of a person in it.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import duckdb
import polars as pl

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.reports.corrections import read_corrections, write_corrections
from phqc_pipeline.reports.documents import BULLETIN_NAME, LETTER_NAME, Say, write_bulletin, write_letter
from phqc_pipeline.reports.due_book import read_due, write_due_book
from phqc_pipeline.reports.facts import ALL, InstitutionFacts, Place, judged_institutions, read_facts
from phqc_pipeline.reports.lines import read_lines
from phqc_pipeline.reports.page import PAGE_NAME, write_page
from phqc_pipeline.reports.sampling import SHEET_NAME, write_sampling_sheet
from phqc_pipeline.reports.workbook import WORKBOOK_NAME, write_workbooks

COMMISSION_FOLDER = "全部机构"


def write_reports(
    database: Path,
    published: Path,
    cat: Catalogue,
    institutions: pl.DataFrame | None,
    snapshot: date,
    templates: Path | None = None,
    say: Say = print,
) -> list[Path]:
    """Write the workbook, page and documents of every institution in ``database``, and the commission's.

    ``institutions``: the registry's (institution_code, institution_name, level). ``templates``: a folder of Word
    templates of the clerk's own; ``say`` is told when one cannot be used. Returns the institutions' folders.
    Files are written aside and renamed, so that a reader never opens half a workbook; what an earlier night left and
    this one does not write any more is removed.
    """
    places = _places(institutions)
    folders = []
    with duckdb.connect(str(database), read_only=True) as con:
        for code in judged_institutions(con):
            folder = published / code
            folder.mkdir(parents=True, exist_ok=True)
            facts = read_facts(con, cat, places.get(code, Place(code, code)), snapshot, places)
            with _aside(folder / SHEET_NAME) as path:
                write_sampling_sheet(path, con, cat, code)
            corrections = _write_working_files(con, folder, cat, facts)
            with _aside(folder / PAGE_NAME) as path:
                write_page(path, facts, WORKBOOK_NAME)
            with _aside(folder / LETTER_NAME) as path:
                write_letter(path, facts, corrections, templates, say)
            folders.append(folder)
        everybody = published / COMMISSION_FOLDER
        everybody.mkdir(parents=True, exist_ok=True)
        facts = read_facts(con, cat, Place(ALL, "全部机构"), snapshot, places)
        with _aside(everybody / PAGE_NAME) as path:
            write_page(path, facts, WORKBOOK_NAME)
        with _aside(everybody / BULLETIN_NAME) as path:
            write_bulletin(path, facts, templates, say)
    return folders


def _write_working_files(con: duckdb.DuckDBPyConnection, folder: Path, cat: Catalogue, facts: InstitutionFacts) -> int:
    """What is worked with: the workbooks and the proposed corrections; returns how many cells these correct."""
    lines = read_lines(con, cat, facts.institution_code)
    written = {name for name, _ in write_workbooks(folder, lines, facts)}
    _remove_others(folder, "整改清单*.xlsx", written)
    corrections = read_corrections(con, cat, facts.institution_code)
    _remove_others(folder, "建议更正*.csv", set(write_corrections(folder, corrections, cat)))
    due = read_due(con, cat, facts.institution_code)
    books = set() if due is None else set(write_due_book(folder, due, cat, facts))
    _remove_others(folder, "应做名单*.xlsx", books)
    return corrections.height


def _places(institutions: pl.DataFrame | None) -> dict[str, Place]:
    if institutions is None:
        return {}
    rows = institutions.select("institution_code", "institution_name", "level").iter_rows()
    return {code: Place(code, name or code, level or "") for code, name, level in rows}


def _remove_others(folder: Path, pattern: str, kept: set[str]) -> None:
    for path in folder.glob(pattern):
        if path.name not in kept:
            path.unlink()


class _aside:
    """A path beside the wanted one, renamed over it when its writing succeeded and removed when it did not."""

    def __init__(self, wanted: Path) -> None:
        self.wanted = wanted
        self.path = wanted.with_name(f".{wanted.name}.partial")

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, failure: type[BaseException] | None, *rest: object) -> None:
        if failure is None:
            os.replace(self.path, self.wanted)
        else:
            self.path.unlink(missing_ok=True)
