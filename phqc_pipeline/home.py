"""The folders of a home, in one place.

Belongs here: where things lie below ``HOME`` and how a home, a catalogue folder and the project's own files are found.
Does not belong here: what is written into them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parent.parent
DEFAULT_HOME = PROJECT_DIR / "data"
DEFAULT_RULES = PROJECT_DIR / "rules"
DBT_PROJECT_DIR = PROJECT_DIR / "dbt_project"

_DATED_FOLDER = re.compile(r"\d{4}-\d{2}-\d{2}")


def resolve_home(given: Path | None = None) -> Home:
    """The home named by ``--home``, else by ``PHQC_HOME``, else ``data/`` of the project."""
    return Home(Path(given or os.environ.get("PHQC_HOME") or DEFAULT_HOME).expanduser().resolve())


def resolve_rules(given: Path | None = None) -> Path:
    """The catalogue folder named by ``--rules``, else by ``PHQC_RULES``, else ``rules/`` of the project."""
    return Path(given or os.environ.get("PHQC_RULES") or DEFAULT_RULES).expanduser().resolve()


def parse_folder_date(name: str) -> date | None:
    """The date a landing folder's name stands for (``2024-12-31``), or None when it is no such date."""
    if not _DATED_FOLDER.fullmatch(name):
        return None
    try:
        return date.fromisoformat(name)
    except ValueError:
        return None


@dataclass(frozen=True)
class Home:
    """One home folder (contract, section 2). Paths only; nothing is created by looking.

    ``dbt_project``: the cross rules' questions; another version where an old night is judged again.
    """

    root: Path
    dbt_project: Path = DBT_PROJECT_DIR

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    @property
    def registry(self) -> Path:
        return self.root / "registry"

    @property
    def lake(self) -> Path:
        """Accepted rows: ``<form_id>/<YYYY-MM-DD>/<institution_code>/<file_id>.parquet``."""
        return self.root / "lake"

    @property
    def books(self) -> Path:
        """What was delivered, taken, rejected and accepted by hand: the lake's own records."""
        return self.lake / "_books"

    @property
    def nights(self) -> Path:
        """One immutable folder of judgements a snapshot date and plan."""
        return self.root / "nights"

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse"

    @property
    def warehouse_db(self) -> Path:
        """The working DuckDB file: one writer, can always be rebuilt."""
        return self.warehouse / "phqc.duckdb"

    @property
    def dbt_work(self) -> Path:
        """The working copy of the dbt project, with the staging models generated from the catalogue."""
        return self.warehouse / "dbt"

    @property
    def published(self) -> Path:
        return self.root / "published"

    @property
    def published_db(self) -> Path:
        return self.published / "phqc.duckdb"

    @property
    def templates(self) -> Path:
        """Word templates of the clerk's own, used instead of ours of the same name."""
        return self.root / "templates"

    @property
    def handbook(self) -> Path:
        """The rule handbook (``phqc rules docs``)."""
        return self.root / "handbook"

    @property
    def dagster(self) -> Path:
        """Dagster's own storage for this home (``DAGSTER_HOME``)."""
        return self.root / "dagster"

    @property
    def lock_file(self) -> Path:
        return self.root / ".phqc.lock"

    @property
    def sample(self) -> Path:
        """The demonstration extracts' answer key and particulars."""
        return self.root / "sample"

    def night(self, snapshot: date, plan_id: str, part: str = "") -> Path:
        """The folder of one plan's night; ``part``: a run by hand over some institutions only has one of its own."""
        return self.nights / ".".join([snapshot.isoformat(), plan_id, *([part] if part else [])])

    @property
    def kept(self) -> Path:
        """Catalogues, registries and dbt projects that nights were judged by, one folder a fingerprint."""
        return self.nights / ".kept"

    def landing_dates(self) -> list[date]:
        """Every date for which some institution has a landing folder, in order."""
        if not self.landing.is_dir():
            return []
        found = {
            day
            for institution in self.landing.iterdir()
            if institution.is_dir()
            for folder in institution.iterdir()
            if folder.is_dir() and (day := parse_folder_date(folder.name)) is not None
        }
        return sorted(found)
