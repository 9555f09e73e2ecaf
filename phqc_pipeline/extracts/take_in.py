"""Landing to lake: every file accounted for, each converted once.

Belongs here: what to do with each file of the landing folder, and in which order. Does not belong here: converting one
(``load``), which delivery is in force (``books``).

A file costs itself alone: what is wrong with it is recorded and the next one is taken. Its Parquet is put in place
before its record, so a kill between the two leaves a Parquet without a record, which the next run writes again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timezone
from itertools import groupby
from pathlib import Path

import polars as pl

from phqc_pipeline.catalogue.fingerprint import digest
from phqc_pipeline.catalogue.model import Catalogue, Form
from phqc_pipeline.extracts.answer_book import ANSWER_VERSION, AnswerBook
from phqc_pipeline.extracts.answers import load_answers
from phqc_pipeline.extracts.books import (
    Books,
    FileRecord,
    lake_path,
    make_file_id,
    read_records,
    records_path,
    rejected_path,
    write_records,
)
from phqc_pipeline.extracts.cells import Converters
from phqc_pipeline.extracts.find import Found, LandingFile, find_files
from phqc_pipeline.extracts.lake_file import LakeWriter, link_or_copy, remove_leftovers
from phqc_pipeline.extracts.load import REJECTED_FILE_SCHEMA, load_file, threads
from phqc_pipeline.extracts.registry import Registry
from phqc_pipeline.extracts.rows import Owner
from phqc_pipeline.extracts.shapes import UnreadableError
from phqc_pipeline.home import Home

#: Changed by hand when the same file and dictionary would give other rows: every landing file is then converted again.
CONVERSION_VERSION = 2

_HASH_BYTES = 4 << 20

_logger = logging.getLogger(__name__)


@dataclass
class Intake:
    """What one run found in the landing folder: files taken now (loaded or quarantined), and those left alone.

    ``unchanged`` were taken before. ``waiting`` are still being written and are taken next time. ``problems`` are
    folders and files nothing can be done with, each a sentence.
    """

    taken: list[FileRecord] = field(default_factory=list)
    unchanged: int = 0
    waiting: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def quarantined(self) -> list[FileRecord]:
        return [record for record in self.taken if not record.loaded]


def take_in(
    home: Home, cat: Catalogue, registry: Registry, until: date, log: Callable[[str], None] = _logger.info
) -> Intake:
    """Take in every landing folder dated ``until`` or before. Repeating it does nothing more.

    ``log`` gets a sentence for each file taken: its path and counts, never anything out of a row.
    """
    remove_leftovers(home)
    say = _one_line(log)
    found = find_files(home, cat, until)
    intake = Intake(waiting=found.uploading, problems=found.problems)
    with ThreadPoolExecutor(max_workers=threads()) as pool:
        taker = _Taker(home, cat, registry, pool, intake, say)
        for (institution, day), files in _folders(found):
            taker.folder(institution, day, files)
    for problem in intake.problems:
        say(problem)
    return intake


def _one_line(log: Callable[[str], None]) -> Callable[[str], None]:
    """A file's name may hold line ends and worse: in a log it must not look like a line of its own."""
    return lambda text: log("".join(mark if mark.isprintable() else "\ufffd" for mark in text))


def _folders(found: Found) -> Iterator[tuple[tuple[str, date], list[LandingFile]]]:
    for key, files in groupby(found.files, key=lambda file: (file.institution_code, file.snapshot_date)):
        yield key, list(files)


class _Taker:
    def __init__(
        self,
        home: Home,
        cat: Catalogue,
        registry: Registry,
        pool: Executor,
        intake: Intake,
        log: Callable[[str], None],
    ) -> None:
        self.home = home
        self.cat = cat
        self.registry = registry
        self.pool = pool
        self.intake = intake
        self.log = log
        self._owners: dict[str, Owner] = {}
        self._converters = Converters(cat.codes, cat.repairs)
        self._repairs = digest(cat.repairs)
        self._sources = {source_id: digest(source) for source_id, source in cat.sources.items()}
        self._same: dict[tuple[str, ...], FileRecord] | None = None

    def folder(self, institution: str, day: date, files: Sequence[LandingFile]) -> None:
        """Take what is new or changed in one delivery folder; its records are written after each file."""
        records = read_records(records_path(self.home, institution, day))
        latest = {record.path: record for record in sorted(records, key=lambda record: record.order)}
        for file in files:
            known = latest.get(file.relative)
            conversion = self._conversion(file)
            if known is not None and self._is_current(known, file, conversion):
                self.intake.unchanged += 1
                continue
            record = self._take(file, known, conversion)
            if record is None:
                self.intake.waiting.append(file.relative)
                self.log(f"{file.relative}：还在写入，下次再取")
                continue
            records = [other for other in records if other.file_id != record.file_id]
            records.append(record)
            write_records(self.home, institution, day, records)
            self._remember(record)
            self.intake.taken.append(record)
            self.log(_said(record))

    def _is_current(self, known: FileRecord, file: LandingFile, conversion: str) -> bool:
        recorded = (known.size, known.mtime_ns, known.form_id, known.group, known.part, known.conversion)
        found = (file.size, file.mtime_ns, file.form_id, file.group, file.part, conversion)
        if recorded != found or known.retry:
            return False
        return not known.loaded or lake_path(self.home, known).exists()

    def _take(self, file: LandingFile, known: FileRecord | None, conversion: str) -> FileRecord | None:
        """The file's record; None when it changed while it was read."""
        blank = _blank(file, known, conversion)
        try:
            if file.openable:
                blank = _with_content(blank, _sha256(file.path), known)
            if file.problem:
                raise UnreadableError(file.problem)
            record: FileRecord | None
            if isinstance(file.target, AnswerBook):  # its rows carry their date, so no twin will do
                record = load_answers(self.home, file.path, file.ending, blank, lambda: _unchanged(file))
            else:
                record = self._again(blank, known)
            if record is None:
                owner = self._owner(file.institution_code)
                record = load_file(
                    self.home, self.cat, file, owner, blank, self.pool, lambda: _unchanged(file), self._converters
                )
        except UnreadableError as error:
            record = replace(blank, reason=error.reason, retry=error.passing)
        return record if _unchanged(file) else None

    def _again(self, blank: FileRecord, known: FileRecord | None) -> FileRecord | None:
        """The record of the same content, converted before: under this path, or for this institution elsewhere."""
        twin = known if known is not None and _content_key(known) == _content_key(blank) else None
        if twin is None or not twin.loaded:
            twin = self._twins().get(_content_key(blank))
        if twin is None or not lake_path(self.home, twin).exists():
            return None
        record = _as(twin, blank)
        if record.file_id != twin.file_id:
            if record.rows_rejected:
                self._copy_rejected(twin, record)
            link_or_copy(self.home, lake_path(self.home, twin), lake_path(self.home, record))
        return record

    def _copy_rejected(self, twin: FileRecord, record: FileRecord) -> None:
        rejected = pl.read_parquet(rejected_path(self.home, twin)).with_columns(file_id=pl.lit(record.file_id))
        with LakeWriter(self.home, rejected_path(self.home, record), REJECTED_FILE_SCHEMA) as writer:
            writer.write(rejected)
            writer.finish()

    def _owner(self, institution: str) -> Owner:
        if institution not in self._owners:
            self._owners[institution] = self.registry.owner(institution)
        return self._owners[institution]

    def _conversion(self, file: LandingFile) -> str:
        """Fingerprint of all that the conversion depends on besides the file."""
        target = file.target
        if target is None or file.problem:
            return digest([CONVERSION_VERSION, file.problem])[:16]
        if isinstance(target, AnswerBook):
            return digest([CONVERSION_VERSION, ANSWER_VERSION])[:16]
        if isinstance(target, Form):
            hard = [column.hard for column in target.fields]
            dictionary: object = [target.extract_fingerprint, [column.role for column in target.fields], hard]
            source = self.cat.source_of(file.institution_code)
            dictionary = [dictionary, self._repairs, source and self._sources[source.source_id]]
        else:
            dictionary = [(item.item, item.headers, item.unit) for item in target.items]
        owner = self._owner(file.institution_code)
        return digest([CONVERSION_VERSION, dictionary, owner.codes, owner.regions])[:16]

    def _twins(self) -> dict[tuple[str, ...], FileRecord]:
        if self._same is None:
            self._same = {}
            for record in Books(self.home, self.cat).records:
                self._remember(record)
        return self._same

    def _remember(self, record: FileRecord) -> None:
        if self._same is not None and record.loaded:
            self._same[_content_key(record)] = record


def _blank(file: LandingFile, known: FileRecord | None, conversion: str) -> FileRecord:
    """What name and folder tell of a file, before its content is looked at."""
    return FileRecord(
        file_id=make_file_id("", file.institution_code, file.snapshot_date, file.relative),
        sha256="",
        institution_code=file.institution_code,
        snapshot_date=file.snapshot_date,
        form_id=file.form_id,
        path=file.relative,
        format=file.ending.lstrip("."),
        size=file.size,
        mtime_ns=file.mtime_ns,
        group=file.group,
        part=file.part,
        order=known.order if known else 1,
        conversion=conversion,
        taken_at=datetime.now(tz=timezone.utc).isoformat(timespec="seconds"),
    )


def _with_content(blank: FileRecord, sha256: str, known: FileRecord | None) -> FileRecord:
    """A path with new content is a new version of it."""
    file_id = make_file_id(sha256, blank.institution_code, blank.snapshot_date, blank.path)
    newer = known is not None and known.file_id != file_id
    return replace(blank, sha256=sha256, file_id=file_id, order=blank.order + 1 if newer else blank.order)


def _sha256(path: Path) -> str:
    content = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_HASH_BYTES):
                content.update(chunk)
    except OSError as error:
        raise UnreadableError(f"文件无法读取（{error.strerror}）；请检查权限和磁盘", passing=True) from None
    return content.hexdigest()


def _unchanged(file: LandingFile) -> bool:
    """Whether size and modification time are what they were before reading."""
    try:
        now = file.path.stat() if file.openable else file.path.lstat()
    except OSError:
        return False
    return (now.st_size, now.st_mtime_ns) == (file.size, file.mtime_ns)


def _as(record: FileRecord, blank: FileRecord) -> FileRecord:
    """What is known of the content, under the name, place and time of ``blank``."""
    return replace(
        blank,
        encoding=record.encoding,
        loaded=record.loaded,
        note=record.note,
        rows_read=record.rows_read,
        rows_loaded=record.rows_loaded,
        rows_rejected=record.rows_rejected,
        rows_blank=record.rows_blank,
        columns=record.columns,
        unknown_columns=record.unknown_columns,
    )


def _content_key(record: FileRecord) -> tuple[str, ...]:
    return (record.sha256, record.form_id, record.institution_code, record.format, record.conversion)


def _said(record: FileRecord) -> str:
    if not record.loaded:
        return f"{record.path}：未采用，{record.reason}"
    rejected = f"，拒收 {record.rows_rejected} 行" if record.rows_rejected else ""
    return f"{record.path}：读入 {record.rows_loaded} 行{rejected}"
