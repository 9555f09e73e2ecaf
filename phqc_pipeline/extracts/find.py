"""What lies in the landing folder: which files, of which form, institution and date (contract, section 2).

Belongs here: names, endings, part numbers, what may be opened at all. Does not belong here: opening anything.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from pathlib import Path

from phqc_pipeline.catalogue.model import Catalogue, Form, Report
from phqc_pipeline.extracts.answer_book import AnswerBook, is_answer_name
from phqc_pipeline.home import Home, parse_folder_date

#: The contract's first snapshot date.
FIRST_DATE = date(2009, 1, 1)

ENDINGS = (".csv.gz", ".csv", ".xlsx", ".xls", ".parquet")

NO_PART = -1

_AFTER_NAME = "_. \t([{【《〈「『〔"
_PART = re.compile(r"(?:_(\d{1,3})|\s?\((\d{1,3})\))$")
# What programs leave behind beside real files: lock files, thumbnails. Nobody delivers them, nobody misses them.
_DEBRIS = ("~$", ".")
_DEBRIS_NAMES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db"})
# An upload that still runs, by the names the usual programs give it.
_UPLOADING = (".part", ".partial", ".filepart", ".tmp", ".crdownload", ".download", ".uploading", ".!ut")

Target = Form | Report | AnswerBook


@dataclass(frozen=True)
class LandingFile:
    """One file of the landing folder. ``relative``: its path below the home, as text that can be shown and stored.

    ``problem``: why it cannot be taken, shown by its name or kind. ``openable``: a regular file that lies in its
    institution's folder, so its content may at least be looked at. ``group``: files with
    the same one are parts of one delivery, told apart by ``part`` (-1: the name has no part number).
    """

    path: Path
    relative: str
    institution_code: str
    snapshot_date: date
    ending: str
    target: Target | None
    group: str
    part: int
    size: int
    mtime_ns: int
    problem: str = ""
    openable: bool = True

    @property
    def form_id(self) -> str:
        return target_id(self.target)


@dataclass
class Found:
    """Files in the order of date, institution and name; ``problems``: folders and files left out, with the reason."""

    files: list[LandingFile] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    uploading: list[str] = field(default_factory=list)


def find_files(home: Home, cat: Catalogue, until: date) -> Found:
    """Every file of every landing folder dated ``until`` or before."""
    found = Found()
    names = file_names(cat)
    folders = sorted(_dated_folders(home, until, found), key=lambda entry: (entry[1], entry[0]))
    for institution, day, folder, base in folders:
        for entry in _entries(folder, found, home):
            _add(found, names, home, entry, institution, day, base)
    return found


def target_id(target: Target | None) -> str:
    """``form_id`` or ``report_id``; empty for an unknown form."""
    if target is None:
        return ""
    return target.report_id if isinstance(target, Report) else target.form_id


def file_names(cat: Catalogue) -> dict[str, Target]:
    """Names a landing file may begin with, as compared, longest first."""
    names: dict[str, Target] = {}
    targets: list[Form | Report] = [*cat.forms.values(), *cat.reports.values()]
    for target in targets:
        for name in target.names:
            names.setdefault(_key(name), target)
    return dict(sorted(names.items(), key=lambda entry: -len(entry[0])))


def match_name(name: str, names: Mapping[str, Target]) -> tuple[Target | None, str, str, int]:
    """Form or report, ending, group and part number of a file name.

    ``htn_followup_2024_1.csv`` → (htn_followup, ``.csv``, ``htn_followup_2024.csv``, 1). Letter case and full-width
    characters make no difference.
    """
    key = _key(name)
    ending = next((ending for ending in ENDINGS if key.endswith(ending)), "")
    stem = key[: len(key) - len(ending)] if ending else key
    if is_answer_name(name):
        return AnswerBook(), ending, key, NO_PART
    begin = next((known for known in names if _begins(stem, known)), None)
    if begin is None:
        return None, ending, key, NO_PART
    rest = stem[len(begin) :]
    numbered = _PART.search(rest)
    part = int(numbered[1] or numbered[2]) if numbered else NO_PART
    bare = rest[: numbered.start()] if numbered else rest
    return names[begin], ending, f"{begin}{bare}{ending}", part


def shown_name(name: str) -> str:
    """A file name as text. One in no valid UTF-8 is most likely GB18030 (unpacked from a zip made on Windows)."""
    raw = os.fsencode(name)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("gb18030", "replace")


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _begins(stem: str, known: str) -> bool:
    return stem.startswith(known) and (len(stem) == len(known) or stem[len(known)] in _AFTER_NAME)


def _dated_folders(home: Home, until: date, found: Found) -> Iterator[tuple[str, date, Path, Path]]:
    """(institution, date, folder, base that links may not leave) of the folders to read."""
    for institution in _entries(home.landing, found, home):
        code = shown_name(institution.name)
        if _is_debris(code):
            continue
        if not institution.is_dir():
            found.problems.append(
                f"{_relative(home, institution)}：不在机构文件夹里，未读取；请放进 机构编码/日期 文件夹"
            )
            continue
        base = institution.resolve()
        for folder in _entries(institution, found, home):
            name = shown_name(folder.name)
            if _is_debris(name):
                continue
            day = parse_folder_date(name)
            if day is None or not folder.is_dir():
                found.problems.append(f"{_relative(home, folder)}：不是日期文件夹（如 2024-12-31），未读取")
            elif day < FIRST_DATE:
                found.problems.append(f"{_relative(home, folder)}：日期早于 {FIRST_DATE}，未读取；请核对日期")
            elif not folder.resolve().is_relative_to(base):
                found.problems.append(f"{_relative(home, folder)}：是指向机构文件夹之外的链接，未读取")
            elif day <= until:
                yield code, day, folder, base


def _entries(folder: Path, found: Found, home: Home) -> list[Path]:
    try:
        return sorted(folder.iterdir(), key=lambda entry: os.fsencode(entry.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        found.problems.append(f"{_relative(home, folder)}：无法读取（{error.strerror}）；请检查权限")
        return []


def _add(
    found: Found, names: Mapping[str, Target], home: Home, path: Path, institution: str, day: date, base: Path
) -> None:
    name = shown_name(path.name)
    if _is_debris(name):
        return
    if name.lower().endswith(_UPLOADING):
        found.uploading.append(_relative(home, path))
        return
    target, ending, group, part = match_name(name, names)
    kind = _kind_problem(path, base)
    try:
        status = path.lstat() if kind else path.stat()
    except OSError:  # gone since the folder was listed
        return
    found.files.append(
        LandingFile(
            path=path,
            relative=_relative(home, path),
            institution_code=institution,
            snapshot_date=day,
            ending=ending,
            target=target,
            group=group,
            part=part,
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
            problem=kind or _name_problem(name, target, ending, names),
            openable=not kind,
        )
    )


def _is_debris(name: str) -> bool:
    return name.startswith(_DEBRIS) or name.lower() in _DEBRIS_NAMES


def _name_problem(name: str, target: Target | None, ending: str, names: Mapping[str, Target]) -> str:
    if target is None:
        stem = re.split(r"[_.\s(\[【]", _key(name), maxsplit=1)[0] if not ending else _key(name)[: -len(ending)]
        close = get_close_matches(stem, list(names), n=1, cutoff=0.3)
        hint = f"；最接近的是“{names[close[0]].title}”（{target_id(names[close[0]])}）" if close else ""
        return f"认不出是哪张表：文件名应以表单编号或中文标题开头{hint}；请改名后重新放入"
    if not ending:
        return f"扩展名不是 {'、'.join(ENDINGS)} 之一，无法读取；请另存为其中一种"
    return ""


def _kind_problem(path: Path, base: Path) -> str:
    if path.is_symlink() and not path.resolve().is_relative_to(base):
        return "是指向机构文件夹之外的链接，未读取；请放入文件本身"
    try:
        mode = path.stat().st_mode
    except OSError:
        return "链接所指的文件不存在；请放入文件本身"
    if stat.S_ISDIR(mode):
        return "是文件夹，不是文件；请把里面的文件直接放在日期文件夹下"
    return "" if stat.S_ISREG(mode) else "不是普通文件，未读取"


def _relative(home: Home, path: Path) -> str:
    return "/".join(shown_name(part) for part in path.relative_to(home.root).parts)
