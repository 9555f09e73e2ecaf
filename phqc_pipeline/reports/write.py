"""Writing an institution's reports into its folder, each file whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import duckdb

from phqc_pipeline.catalogue import Catalogue
from phqc_pipeline.reports.facts import institutions, read_facts
from phqc_pipeline.reports.page import write_page
from phqc_pipeline.reports.workbook import write_workbook

WORKBOOK_NAME = "整改清单.xlsx"
PAGE_NAME = "质控报告.html"


def write_institution_reports(
    database: Path, published: Path, cat: Catalogue, names: Mapping[str, str], snapshot: date
) -> list[Path]:
    """Write workbook and page of every institution in ``database`` below ``published/<institution_code>/``.

    ``names``: institution_code → institution_name. Returns the folders written. Files are written aside and renamed,
    so that a reader never opens half a workbook.
    """
    folders = []
    with duckdb.connect(str(database), read_only=True) as con:
        for code in institutions(con):
            folder = published / code
            folder.mkdir(parents=True, exist_ok=True)
            facts = read_facts(con, code, names.get(code, code), snapshot)
            with _aside(folder / WORKBOOK_NAME) as path:
                write_workbook(path, con, cat, facts)
            with _aside(folder / PAGE_NAME) as path:
                write_page(path, cat, facts, WORKBOOK_NAME)
            folders.append(folder)
    return folders


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
