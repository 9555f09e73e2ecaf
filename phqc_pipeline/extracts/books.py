"""The books: every file that was ever delivered, what became of it, and which delivery is in force on a day.

Belongs here: the records below ``HOME/lake/_books``, accepting a delivery by hand, and the decisions that follow from
them: superseded, held back, in force. Does not belong here: opening files (``take_in``).

One small JSON file a delivery folder, replaced whole and atomically. What is recorded of a file are facts about it
alone (content, rows, why it cannot be read). What depends on other files (superseded, shrunk, in force) is computed
from the records each time, so the order in which files arrive or runs happen cannot matter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timezone
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import polars as pl

from phqc_pipeline.catalogue.model import Catalogue, Form, Report
from phqc_pipeline.extracts.answer_book import ANSWER_FORM
from phqc_pipeline.extracts.header import INSTITUTION_CODE
from phqc_pipeline.extracts.lake_file import write_whole
from phqc_pipeline.extracts.proposals import PROPOSAL_SCHEMA, proposal_rows
from phqc_pipeline.home import Home, parse_folder_date

Status = Literal["accepted", "quarantined", "superseded"]

FILE_SCHEMA: Mapping[str, pl.DataType] = {
    "file_id": pl.String(),
    "sha256": pl.String(),
    "institution_code": pl.String(),
    "snapshot_date": pl.Date(),
    "form_id": pl.String(),
    "path": pl.String(),
    "format": pl.String(),
    "encoding": pl.String(),
    "status": pl.String(),
    "reason": pl.String(),
    "rows_read": pl.Int64(),
    "rows_loaded": pl.Int64(),
    "rows_rejected": pl.Int64(),
    "rows_blank": pl.Int64(),
    "size": pl.Int64(),
    "mtime": pl.Datetime("us"),
    "missing_columns": pl.List(pl.String),
    "unknown_columns": pl.List(pl.String),
    "delivery_group": pl.String(),
    "in_force": pl.Boolean(),
}

_LOCAL_OFFSET_SECONDS = 8 * 3600  # Asia/Shanghai; a file's time is of this century, when no summer time was kept


@dataclass(frozen=True)
class FileRecord:
    """One file as it was delivered once. ``loaded``: its rows are in the lake (the alternative is quarantine).

    ``path``: below the home, as shown; ``name``: the file's real name (may be no text). ``order``: which version of the
    path this is, from 1. ``columns``: those of the dictionary that the file has. ``conversion``: fingerprint of
    everything the conversion depended on. ``note``: what a clerk should know of a loaded file. ``retry``: look again
    next run although nothing changed.
    """

    file_id: str
    sha256: str
    institution_code: str
    snapshot_date: date
    form_id: str
    path: str
    format: str
    encoding: str = ""
    loaded: bool = False
    reason: str = ""
    note: str = ""
    rows_read: int = 0
    rows_loaded: int = 0
    rows_rejected: int = 0
    rows_blank: int = 0
    size: int = 0
    mtime_ns: int = 0
    columns: tuple[str, ...] = ()
    unknown_columns: tuple[str, ...] = ()
    group: str = ""
    part: int = -1
    order: int = 1
    conversion: str = ""
    retry: bool = False
    taken_at: str = ""

    def to_json(self) -> dict[str, object]:
        return {**vars(self), "snapshot_date": self.snapshot_date.isoformat()}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> FileRecord:
        known = {name: values[name] for name in (part.name for part in fields(cls)) if name in values}
        known["snapshot_date"] = date.fromisoformat(str(known["snapshot_date"]))
        for name in ("columns", "unknown_columns"):
            known[name] = tuple(known.get(name) or ())  # type: ignore[arg-type]
        return cls(**known)  # type: ignore[arg-type]


@dataclass(frozen=True)
class LakeFile:
    """One Parquet file of a delivery."""

    file_id: str
    path: Path
    rows: int


@dataclass(frozen=True)
class Delivery:
    """A full snapshot of one form (or report) of one institution, in force from ``snapshot_date`` until the next."""

    institution_code: str
    form_id: str
    snapshot_date: date
    files: tuple[LakeFile, ...]
    missing_columns: frozenset[str]
    fingerprint: str

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)


@dataclass(frozen=True)
class HeldBack:
    """A delivery that is not in force: unreadable, or (``shrunk``) to be accepted by hand under any of ``file_ids``."""

    institution_code: str
    form_id: str
    snapshot_date: date
    file_ids: tuple[str, ...]
    reason: str
    shrunk: bool


@dataclass
class _Decision:
    """What was decided for one institution, form and date: status and reason of every file, the delivery if any."""

    fit: frozenset[str]  # files that could be read, whatever became of them
    statuses: dict[str, tuple[Status, str]] = field(default_factory=dict)
    delivery: tuple[FileRecord, ...] = ()
    held: list[HeldBack] = field(default_factory=list)


class Books:
    """The books of a home as they stand now. Loading reads every record; asking is cheap after that."""

    def __init__(self, home: Home, cat: Catalogue) -> None:
        self.home = home
        self.cat = cat
        self.shrink_ratio = cat.settings.shrink_ratio
        self.records = [record for path in _record_files(home) for record in read_records(path)]
        self.accepted = read_accepted(home)

    def files(self, until: date) -> pl.DataFrame:
        """Every file dated ``until`` or before, with its status; columns FILE_SCHEMA, ordered by date and path.

        ``in_force``: its rows are those in force on ``until``.
        """
        in_force = {file.file_id for delivery in self.in_force(until) for file in delivery.files}
        rows = []
        for record in self.records:
            if record.snapshot_date > until:
                continue
            status, reason = self._statuses[record.file_id]
            rows.append(
                {
                    **vars(record),
                    "status": status,
                    "reason": reason,
                    "mtime": _local_time(record.mtime_ns),
                    "missing_columns": self._missing(record) if record.loaded else [],
                    "delivery_group": record.group,
                    "in_force": record.file_id in in_force,
                }
            )
        frame = pl.DataFrame([{name: row[name] for name in FILE_SCHEMA} for row in rows], schema=dict(FILE_SCHEMA))
        return frame.sort("snapshot_date", "institution_code", "path", "file_id")

    def in_force(self, on: date) -> list[Delivery]:
        """For every institution and form the last delivery dated ``on`` or before that was neither held back nor
        superseded, ordered by form and institution."""
        found: list[Delivery] = []
        for (institution, form_id), days in sorted(self._decisions.items(), key=lambda entry: entry[0][::-1]):
            last = max((day for day, decision in days.items() if day <= on and decision.delivery), default=None)
            if last is not None:
                found.append(self._delivery(institution, form_id, last, days[last].delivery))
        return found

    def accepted_deliveries(self, form_ids: AbstractSet[str], until: date) -> list[Delivery]:
        """Every delivery of these forms or reports that was in force on some day up to ``until``, oldest first."""
        found = [
            self._delivery(institution, form_id, day, decision.delivery)
            for (institution, form_id), days in self._decisions.items()
            if form_id in form_ids
            for day, decision in days.items()
            if day <= until and decision.delivery
        ]
        return sorted(found, key=lambda one: (one.snapshot_date, one.form_id, one.institution_code))

    def held_back(self, on: date) -> list[HeldBack]:
        """Deliveries dated ``on`` or before, and after the one in force, that wait for a clerk; newest first."""
        found: list[HeldBack] = []
        for days in self._decisions.values():
            last = max((day for day, decision in days.items() if day <= on and decision.delivery), default=date.min)
            found += [held for day, decision in days.items() if last <= day <= on for held in decision.held]
        found += [
            HeldBack(record.institution_code, "", record.snapshot_date, (record.file_id,), record.reason, False)
            for record in self.records
            if not record.form_id and record.snapshot_date == on
        ]
        return sorted(found, key=lambda held: (-held.snapshot_date.toordinal(), held.institution_code, held.form_id))

    def fingerprint_of(self, delivery: Delivery) -> str:
        """What the fingerprint of a past delivery's files would be now; other than its own: converted anew since."""
        known = {record.file_id: record for record in self.records}
        records = [known[file.file_id] for file in delivery.files if file.file_id in known]
        return _fingerprint(records)

    def all_held(self) -> Iterator[HeldBack]:
        """Every delivery that was held back, later ones accepted or not."""
        for days in self._decisions.values():
            for decision in days.values():
                yield from decision.held

    def rejected(self, until: date) -> list[Path]:
        """Parquet files of rejected rows (file_id, row_number, reason, raw) of every file dated ``until`` or before."""
        found = (
            rejected_path(self.home, record)
            for record in self.records
            if record.snapshot_date <= until and record.rows_rejected
        )
        return sorted(path for path in found if path.exists())

    def header_proposals(self, on: date) -> pl.DataFrame:
        """For every unknown header of the files in force the closest known one (``PROPOSAL_SCHEMA``)."""
        in_force = {file.file_id for delivery in self.in_force(on) for file in delivery.files}
        rows: list[dict[str, object]] = []
        for record in self.records:
            form = self.cat.forms.get(record.form_id)
            if form is None or record.file_id not in in_force or not record.unknown_columns:
                continue
            source = self.cat.source_of(record.institution_code)
            rows += proposal_rows(
                form,
                record.unknown_columns,
                set(record.columns),
                file_id=record.file_id,
                institution_code=record.institution_code,
                source_id=source.source_id if source else None,
            )
        return pl.DataFrame(rows, schema=dict(PROPOSAL_SCHEMA)).sort("form_id", "institution_code", "file_id", "header")

    @cached_property
    def _decisions(self) -> dict[tuple[str, str], dict[date, _Decision]]:
        series: dict[tuple[str, str], dict[date, list[FileRecord]]] = {}
        for record in self.records:
            if record.form_id and record.form_id != ANSWER_FORM:
                days = series.setdefault((record.institution_code, record.form_id), {})
                days.setdefault(record.snapshot_date, []).append(record)
        return {key: self._decide(days) for key, days in series.items()}

    @cached_property
    def _statuses(self) -> dict[str, tuple[Status, str]]:
        found: dict[str, tuple[Status, str]] = {
            record.file_id: ("quarantined", record.reason) for record in self.records if not record.form_id
        }
        for days in self._decisions.values():
            for decision in days.values():
                found.update(decision.statuses)
        found.update(_answer_statuses([record for record in self.records if record.form_id == ANSWER_FORM]))
        return found

    def _decide(self, days: Mapping[date, Sequence[FileRecord]]) -> dict[date, _Decision]:
        """Every date in order: which delivery is accepted, compared with the last accepted before it."""
        decisions: dict[date, _Decision] = {}
        last: tuple[date, int] | None = None
        for day in sorted(days):
            decision = decisions[day] = _Decision(frozenset(record.file_id for record in days[day] if record.loaded))
            for candidate in _candidates(days[day]):
                self._judge(candidate, decision, last)
                if decision.delivery == candidate:
                    last = (day, sum(record.rows_loaded for record in candidate))
            _supersede(days[day], decision)
        return decisions

    def _judge(self, candidate: tuple[FileRecord, ...], decision: _Decision, last: tuple[date, int] | None) -> None:
        """Accept a candidate in place of the older ones of the date, or hold it back."""
        unread = [record for record in candidate if not record.loaded]
        rows = sum(record.rows_loaded for record in candidate)
        ids = tuple(record.file_id for record in candidate)
        first = candidate[0]
        if unread:
            for record in candidate:
                reason = record.reason if not record.loaded else _other_part(unread[0])
                decision.statuses[record.file_id] = ("quarantined", reason)
            reason = unread[0].reason
            held = HeldBack(first.institution_code, first.form_id, first.snapshot_date, ids, reason, False)
        elif last is not None and rows < last[1] * self.shrink_ratio and not self.accepted & set(ids):
            reason = (
                f"本次 {rows} 行，不到上次采用的（{last[0]}，{last[1]} 行）的 {self.shrink_ratio:.0%}，暂不采用；"
                f"核实无误后运行 phqc accept {ids[0]}"
            )
            decision.statuses.update(dict.fromkeys(ids, ("quarantined", reason)))
            held = HeldBack(first.institution_code, first.form_id, first.snapshot_date, ids, reason, True)
        else:
            older = {file_id: said for file_id, said in decision.statuses.items() if file_id not in decision.fit}
            decision.statuses = {**older, **{record.file_id: ("accepted", record.note) for record in candidate}}
            decision.delivery, decision.held = candidate, []
            return
        decision.held = [*decision.held, held]

    def _missing(self, record: FileRecord) -> list[str]:
        target = self.cat.forms.get(record.form_id) or self.cat.reports.get(record.form_id)
        return missing_columns(target, set(record.columns)) if target is not None else []

    def _delivery(self, institution: str, form_id: str, day: date, records: Sequence[FileRecord]) -> Delivery:
        files = tuple(LakeFile(record.file_id, lake_path(self.home, record), record.rows_loaded) for record in records)
        return Delivery(
            institution_code=institution,
            form_id=form_id,
            snapshot_date=day,
            files=files,
            missing_columns=frozenset(name for record in records for name in self._missing(record)),
            fingerprint=_fingerprint(records),
        )


def _fingerprint(records: Sequence[FileRecord]) -> str:
    said = "\n".join(f"{record.file_id} {record.conversion} {record.rows_loaded}" for record in records)
    return hashlib.sha256(said.encode()).hexdigest()


def missing_columns(target: Form | Report, columns: AbstractSet[str]) -> list[str]:
    """Columns of the dictionary as it is now that a file lacks; the institution's never, the folder tells it (0a.8)."""
    names = [column.name for column in target.fields] if isinstance(target, Form) else list(target.by_item)
    return [name for name in names if name not in columns and name != INSTITUTION_CODE]


def _answer_statuses(records: Sequence[FileRecord]) -> Iterator[tuple[str, tuple[Status, str]]]:
    """Each answered workbook stands for itself: several may be handed in on one date (one a doctor)."""
    last = {record.path: record.order for record in sorted(records, key=lambda record: record.order)}
    for record in records:
        if record.order < last[record.path]:
            yield record.file_id, ("superseded", "同名文件后来又交了一次，以新的为准")
        elif record.loaded:
            yield record.file_id, ("accepted", record.note)
        else:
            yield record.file_id, ("quarantined", record.reason)


def accept_file(home: Home, cat: Catalogue, file_id: str) -> str:
    """Accept the delivery that holds this file although it shrank; a sentence saying what was done.

    LookupError (its text for the user) when there is no such file, or it is not held back for that reason.
    """
    books = Books(home, cat)
    record = next((record for record in books.records if record.file_id == file_id), None)
    if record is None:
        raise LookupError(f"没有编号为 {file_id} 的文件；编号见 ingest.file 的 file_id")
    if file_id in books.accepted:
        return f"{record.path} 此前已放行"
    if not any(held.shrunk and file_id in held.file_ids for held in books.all_held()):
        status, reason = books._statuses[file_id]
        said = {"accepted": "已被采用，无需放行", "superseded": f"已被取代（{reason}），不能放行"}
        raise LookupError(f"{record.path} {said.get(status, f'不是因行数骤减而暂缓，不能放行：{reason}')}")
    path = home.books / "accepted" / f"{file_id}.json"
    write_whole(home, path, json.dumps({"file_id": file_id, "accepted_at": _now()}).encode())
    return f"已放行 {record.path}（{record.rows_loaded} 行），下一次质控起生效"


def lake_path(home: Home, record: FileRecord) -> Path:
    """Where the rows of a loaded file lie."""
    folder = home.lake / record.form_id / record.snapshot_date.isoformat() / record.institution_code
    return folder / f"{record.file_id}.parquet"


def rejected_path(home: Home, record: FileRecord) -> Path:
    folder = home.books / "rejected" / record.snapshot_date.isoformat() / record.institution_code
    return folder / f"{record.file_id}.parquet"


def records_path(home: Home, institution_code: str, day: date) -> Path:
    return home.books / "files" / day.isoformat() / f"{institution_code}.json"


def read_records(path: Path) -> list[FileRecord]:
    """The records of one delivery folder, in the order they were taken; none when there is no such file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return []
    return list(_parsed(path, status.st_ino, status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=100_000)
def _parsed(path: Path, *version: int) -> tuple[FileRecord, ...]:
    """The records in a file, parsed once a version: a night asks the books several times."""
    return tuple(FileRecord.from_json(values) for values in json.loads(path.read_text(encoding="utf-8"))["files"])


def write_records(home: Home, institution_code: str, day: date, records: Iterable[FileRecord]) -> None:
    path = records_path(home, institution_code, day)
    body = {"files": [record.to_json() for record in records]}
    write_whole(home, path, json.dumps(body, ensure_ascii=False).encode("utf-8"))


def read_accepted(home: Home) -> frozenset[str]:
    folder = home.books / "accepted"
    return frozenset(path.stem for path in folder.glob("*.json")) if folder.is_dir() else frozenset()


def make_file_id(sha256: str, institution_code: str, day: date, path: str) -> str:
    """A short name for one content under one path, the same in every run."""
    said = "\x1f".join((sha256, institution_code, day.isoformat(), path))
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _candidates(records: Sequence[FileRecord]) -> list[tuple[FileRecord, ...]]:
    """Deliveries that were on offer for one form and date, oldest first: the last one that is fit wins.

    Files of one group are parts of one delivery. A path delivered anew gives the group as it was before and as it is
    now. Of two files with one part number (in different letter case, say) the later modified is the part.
    """
    groups: dict[str, list[FileRecord]] = {}
    for record in records:
        groups.setdefault(record.group, []).append(record)
    offers: list[tuple[int, str, int, tuple[FileRecord, ...]]] = []
    for name, members in groups.items():
        versions: dict[str, list[FileRecord]] = {}
        for record in sorted(members, key=lambda record: record.order):
            versions.setdefault(record.path, []).append(record)
        newer = None
        for step in range(max(map(len, versions.values()))):
            taken = [chain[max(0, len(chain) - 1 - step)] for chain in versions.values()]
            parts = _distinct_parts(taken)
            changed = max(record.mtime_ns for record in parts)
            newer = changed if newer is None else min(newer, changed)
            offers.append((newer, name, -step, parts))
    return [parts for *_, parts in sorted(offers, key=lambda offer: offer[:3])]


def _distinct_parts(records: Iterable[FileRecord]) -> tuple[FileRecord, ...]:
    """One file a part number, the last modified; and each content once (a copy made by a download adds no rows)."""
    parts: dict[int, FileRecord] = {}
    for record in sorted(records, key=lambda record: (record.mtime_ns, record.path)):
        parts[record.part] = record
    contents: dict[str, FileRecord] = {}
    for record in sorted(parts.values(), key=lambda record: (record.part, record.path)):
        contents.setdefault(record.sha256 or record.file_id, record)
    return tuple(contents.values())


def _supersede(records: Sequence[FileRecord], decision: _Decision) -> None:
    """Whatever is not the delivery of its date, nor held back, gave way to it."""
    chosen = {record.file_id for record in decision.delivery}
    latest: dict[str, int] = {}
    for record in records:
        latest[record.path] = max(latest.get(record.path, 0), record.order)
    replaced_ids = {record.file_id for record in records if record.order < latest[record.path]}
    decision.held = [held for held in decision.held if not replaced_ids & set(held.file_ids)]
    name = "、".join(record.path.rsplit("/", 1)[-1] for record in decision.delivery)
    for record in records:
        status = decision.statuses.get(record.file_id)
        replaced = record.file_id in replaced_ids
        if record.file_id in chosen or (status and status[0] == "quarantined" and not replaced):
            continue
        if replaced:
            reason = "同名文件已换成新的内容"
        elif any(record.sha256 == other.sha256 for other in decision.delivery):
            reason = f"内容与 {name} 相同"
        else:
            reason = f"同一天有更新的文件：{name}" if name else "同一天有更新的文件"
        decision.statuses[record.file_id] = ("superseded", reason)


def _other_part(unread: FileRecord) -> str:
    return f"同一份交付的 {unread.path.rsplit('/', 1)[-1]} 无法采用（{unread.reason}），整份暂不采用"


def _record_files(home: Home) -> Iterator[Path]:
    folder = home.books / "files"
    if not folder.is_dir():
        return
    for day in sorted(folder.iterdir()):
        if parse_folder_date(day.name) is not None:
            yield from sorted(
                path for path in day.iterdir() if path.suffix == ".json" and not path.name.startswith(".")
            )


def _local_time(mtime_ns: int) -> datetime:
    moment = datetime.fromtimestamp(mtime_ns / 1e9 + _LOCAL_OFFSET_SECONDS, tz=timezone.utc)
    return moment.replace(tzinfo=None)


def _now() -> str:
    return datetime.now(tz=timezone.utc).isoformat(timespec="seconds")
