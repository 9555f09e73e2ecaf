"""The stages of a night as plain functions on a session: what the assets call, and what a test can call too.

Belongs here: which function of which package, in which order, on which folders. Does not belong here: what they do,
or how Dagster shows it.

``take_in`` → ``judge_records`` → ``judge_cross`` → ``lay_down`` (for each date) → ``settle_later`` → ``follow`` →
``charge`` → ``build`` → ``publish``. Each leaves what it made whole or not at all, so a run that was cut off is simply
run again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from phqc_pipeline.billing import make_bill, read_report_history, read_usage
from phqc_pipeline.checks import RecordJudgement
from phqc_pipeline.checks import judge_records as judge_record_rules
from phqc_pipeline.extracts import take_in as take_in_extracts
from phqc_pipeline.orchestration.lock import SHANGHAI
from phqc_pipeline.orchestration.session import Session
from phqc_pipeline.reports import write_reports
from phqc_pipeline.warehouse import (
    CrossJudgement,
    DbtRun,
    Published,
    assemble_night,
    build_marts,
    fold,
    input_fingerprint,
    list_nights,
    read_night,
    read_recomputed,
    recover_folders,
    run_cross,
)
from phqc_pipeline.warehouse import publish as publish_warehouse
from phqc_pipeline.warehouse import stage as stage_warehouse
from phqc_pipeline.warehouse.billing_shapes import BILLING

Say = Callable[[str], None]


def recover(session: Session) -> None:
    """Clear what a killed run left half done; only the holder of the home's lock may."""
    recover_folders(session.home.nights)
    shutil.rmtree(session.home.nights / ".work", ignore_errors=True)


def take_in(session: Session, until: date, say: Say) -> pl.DataFrame:
    """Every delivery dated ``until`` or earlier into the lake; returns the books' files up to then."""
    take_in_extracts(session.home, session.cat, session.registry, until, log=say)
    return session.books.files(until)


def judge_records(session: Session, day: date, say: Say) -> RecordJudgement:
    """The record rules of one night, into the session's work folder."""
    out = session.work(day) / "records"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (session.work(day) / "started_at").write_text(_now().isoformat(timespec="seconds"), encoding="utf-8")
    done = judge_record_rules(
        session.cat,
        session.in_force(day),
        session.context(day),
        out,
        institutions=session.institutions(day),
        forms=session.plan.forms,
        rules=session.scheme.rules,
        records_from=session.plan.records_from,
        refused=session.refused(day),
        log=say,
    )
    (out / "judgement.json").write_text(json.dumps(asdict(done), ensure_ascii=False), encoding="utf-8")
    return done


def record_results(session: Session, day: date) -> pl.DataFrame:
    """What the record rules came to, one row an institution, form, rule and field."""
    return pl.read_parquet(session.work(day) / "records" / "results.parquet")


def judge_cross(session: Session, day: date) -> tuple[CrossJudgement, DbtRun]:
    """Staging and the cross rules of one night, into the working DuckDB file and the session's work folder."""
    manifest = _stage(session, day)
    return run_cross(
        session.home,
        session.cat,
        session.in_force(day),
        session.context(day),
        session.work(day) / "cross",
        scheme=session.scheme,
        manifest=manifest,
        institutions=session.institutions(day),
        refused=session.refused(day),
    )


def lay_down(session: Session, day: date) -> dict[str, Any]:
    """The night's folder from what both carriers judged; returns what its ``night.json`` tells."""
    work = session.work(day)
    judgement = json.loads((work / "records" / "judgement.json").read_text(encoding="utf-8"))
    night = assemble_night(
        session.home,
        session.cat,
        session.context(day),
        plan=session.plan,
        scheme=session.scheme,
        deliveries=session.in_force(day),
        records=work / "records",
        cross=work / "cross",
        records_checked=judgement["records_judged"],
        started_at=datetime.fromisoformat((work / "started_at").read_text(encoding="utf-8")),
        finished_at=_now(),
        held_back=session.books.held_back(day),
        registry_fingerprint=session.registry.fingerprint,
        refused=session.refused(day),
    )
    shutil.rmtree(work, ignore_errors=True)
    return read_night(night)


def settle_later(session: Session, judged: list[date], say: Say) -> list[date]:
    """Judge again every later night that would be judged otherwise now; returns their dates, oldest first.

    A late delivery is carried forward into the nights behind it, and a night keeps the fingerprints of its inputs and
    catalogue: those that changed are judged again, in date order. The working file ends up staged for the newest.
    """
    again = [day for day in _later_nights(session, judged[-1]) if _is_stale(session, day)]
    for day in again:
        say(f"{day.isoformat()} 的依据有变化，重新判定")
        judge_records(session, day, say)
        judge_cross(session, day)
        lay_down(session, day)
    return again


def follow(session: Session) -> Path | None:
    """The life of every finding up to the newest night: the path of its state."""
    return fold(session.home)


def newest(session: Session) -> date:
    """The newest night's date: what is published is always its."""
    return date.fromisoformat(read_night(list_nights(session.home)[-1])["snapshot_date"])


def charge(session: Session) -> pl.DataFrame:
    """What each order owes on the newest night, and every other table of ``billing``; returns the charges."""
    day = newest(session)
    _ensure_staged(session, day)
    bill = make_bill(
        session.registry,
        session.cat,
        read_report_history(session.books, session.registry.orders, day),
        read_recomputed(session.home),
        read_usage(session.home, day),
        day,
    )
    for name, table in bill.tables.items():
        path = _billing_path(session, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        table.write_parquet(path)
    return bill.tables["charge"]


def build(session: Session) -> DbtRun:
    """Everything that is published, built and tested in the working file."""
    day = newest(session)
    books = session.books
    return build_marts(
        session.home,
        session.cat,
        fold(session.home),
        files=books.files(day),
        rejected=books.rejected(day),
        proposals=books.header_proposals(day),
        waivers=session.registry.waivers,
        billing={name: pl.read_parquet(_billing_path(session, name)) for name in BILLING},
    )


def publish(session: Session, say: Say = print) -> tuple[Published, list[Path]]:
    """The published file, replaced whole, and each institution's reports; returns both and the reports' folders."""
    published = publish_warehouse(session.home)
    folders = write_reports(
        session.home.published_db,
        session.home.published,
        session.cat,
        session.registry.institutions,
        newest(session),
        session.home.templates,
        say,
    )
    return published, folders


def _stage(session: Session, day: date) -> Any:
    manifest = stage_warehouse(
        session.home,
        session.cat,
        session.in_force(day),
        session.context(day),
        scheme=session.scheme,
        institutions=session.registry.institutions,
        doctors=session.registry.doctors,
        verifications=session.registry.verifications,
        held_back=session.books.held_back(day),
        records_from=session.plan.records_from,
    )
    _staged_path(session).write_text(day.isoformat(), encoding="utf-8")
    return manifest


def _ensure_staged(session: Session, day: date) -> None:
    """The working file must hold ``day``: a run for an earlier date leaves it at that date."""
    marker = _staged_path(session)
    if not marker.is_file() or marker.read_text(encoding="utf-8") != day.isoformat():
        judge_cross(session, day)
        shutil.rmtree(session.work(day), ignore_errors=True)


def _staged_path(session: Session) -> Path:
    return session.home.warehouse / "staged_for"


def _billing_path(session: Session, table: str) -> Path:
    return session.home.warehouse / "billing" / f"{table}.parquet"


def _later_nights(session: Session, day: date) -> list[date]:
    days = [date.fromisoformat(read_night(night)["snapshot_date"]) for night in list_nights(session.home)]
    return [later for later in days if later > day]


def _is_stale(session: Session, day: date) -> bool:
    told = read_night(session.home.night(day))
    inputs = input_fingerprint(session.in_force(day), session.books.held_back(day), session.refused(day))
    return told["inputs"] != inputs or told["catalogue_fingerprint"] != session.cat.fingerprint


def _now() -> datetime:
    """Now in Asia/Shanghai, without a zone, as the contract's timestamps are."""
    return datetime.now(SHANGHAI).replace(tzinfo=None)
