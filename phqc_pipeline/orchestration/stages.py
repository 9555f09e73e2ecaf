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
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from phqc_pipeline.billing import Issued, bill_of, issue, make_bill, read_report_history, read_usage
from phqc_pipeline.billing.word_templates import TemplateFaultError
from phqc_pipeline.checks import RecordJudgement, draw_sample
from phqc_pipeline.checks import judge_records as judge_record_rules
from phqc_pipeline.extracts import answer_files
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
    keep_versions,
    leading_night,
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
    recover_folders(session.home.kept)
    shutil.rmtree(session.home.nights / ".work", ignore_errors=True)


def take_in(session: Session, until: date, say: Say) -> pl.DataFrame:
    """Every delivery dated ``until`` or earlier into the lake; returns the books' files up to then."""
    # By the catalogue without any plan's profile: plans share one lake.
    take_in_extracts(session.home, session.base or session.cat, session.registry, until, log=say)
    session.reread_books()
    return session.books.files(until)


def judge_records(session: Session, day: date, say: Say) -> RecordJudgement:
    """The record rules of one night, into the session's work folder."""
    out = session.work(day) / "records"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (session.work(day) / "started_at").write_text(_now().isoformat(timespec="seconds"), encoding="utf-8")
    plan = session.plan
    done = judge_record_rules(
        session.cat,
        session.in_force(day),
        session.context(day),
        out,
        institutions=session.institutions(day),
        forms=plan.forms and [form_id for form_id in plan.forms if form_id in session.cat.forms],
        rules=session.rules,
        records_from=plan.records_from,
        sample=_sample(session, day, say),
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
        session.everything_in_force(day),
        session.context(day),
        session.work(day) / "cross",
        scheme=session.scheme,
        manifest=manifest,
        institutions=session.institutions(day),
        sample=_sample(session, day),
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
        deliveries=session.everything_in_force(day),
        records=work / "records",
        cross=work / "cross",
        records_checked=judgement["records_judged"],
        started_at=datetime.fromisoformat((work / "started_at").read_text(encoding="utf-8")),
        finished_at=_now(),
        held_back=session.held_back(day),
        registry_fingerprint=session.registry.fingerprint,
        refused=session.refused(day),
        institutions=session.judged_or_why_not(day),
        only=session.only,
        particulars=keep_versions(session.home, session.cat.directory, (session.base or session.cat).fingerprint),
    )
    shutil.rmtree(work, ignore_errors=True)
    return read_night(night)


def settle_later(session: Session, judged: list[date], say: Say) -> list[date]:
    """Judge again every other night from then on that would be judged otherwise now; returns their dates, oldest first.

    A late delivery is carried forward into the nights behind it, and a night keeps the fingerprints of its inputs and
    catalogue: those that changed are judged again, in date order, by their own plans. A night whose plan rests or is no
    more stays as it was.
    """
    again = []
    for night in list_nights(session.home):
        told = read_night(night)
        day, other = date.fromisoformat(told["snapshot_date"]), session.of_night(told)
        if (
            day < judged[0]
            or other is None
            or (other is session and day <= judged[-1])
            or not _is_stale(other, day, told)
        ):
            continue
        say(f"{day.isoformat()}（计划 {other.plan_id}）的依据有变化，重新判定")
        judge_records(other, day, say)
        judge_cross(other, day)
        lay_down(other, day)
        again.append(day)
    return again


def follow(session: Session) -> Path | None:
    """The life of every finding up to the newest night: the path of its state."""
    return fold(session.home, session.registry.waivers)


def newest(session: Session) -> date:
    """The newest night's date: what is published is always its."""
    return date.fromisoformat(read_night(list_nights(session.home)[-1])["snapshot_date"])


def leading(session: Session) -> Session:
    """The session whose night's figures stand for the newest date: of several plans the widest (``leading_night``)."""
    return session.of_night(read_night(leading_night(list_nights(session.home)))) or session


def charge(session: Session) -> pl.DataFrame:
    """What each order owes on the newest night, and every other table of ``billing``; returns the charges."""
    day = newest(session)
    _ensure_staged(leading(session), day)
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
    books, lead = session.books, leading(session)
    return build_marts(
        session.home,
        lead.cat,
        fold(session.home, session.registry.waivers),
        files=books.files(day),
        rejected=books.rejected(day),
        proposals=books.header_proposals(day),
        registry_problems=session.registry.problem_rows(),
        waivers=session.registry.waivers,
        billing={name: pl.read_parquet(_billing_path(session, name)) for name in BILLING},
        answers=answer_files(session.home, day),
        plan=lead.plan,
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
    issue_bills(session, say)
    return published, folders


def issue_bills(session: Session, say: Say) -> Issued | None:
    """The contract's documents and the accountant's workbook by the newest night; None without any order.

    A template that a clerk broke costs the documents, not the night.
    """
    if session.registry.orders is None:
        return None
    bill = bill_of(session.home, session.cat, session.registry, newest(session))
    try:
        return issue(session.home, session.cat, session.registry, bill)
    except TemplateFaultError as fault:
        say(f"计费文书没有写出：{fault}")
        return None


def _stage(session: Session, day: date) -> Any:
    manifest = stage_warehouse(
        session.home,
        session.cat,
        session.everything_in_force(day),
        session.context(day),
        scheme=session.scheme,
        institutions=session.registry.institutions,
        doctors=session.registry.doctors,
        verifications=session.registry.verifications,
        held_back=session.held_back(day),
        records_from=session.plan.records_from,
    )
    _staged_path(session).write_text(_staged_for(session, day), encoding="utf-8")
    return manifest


def _ensure_staged(session: Session, day: date) -> None:
    """The working file must hold the session's night of ``day``: a run for an earlier date leaves it at that date."""
    marker = _staged_path(session)
    if not marker.is_file() or marker.read_text(encoding="utf-8") != _staged_for(session, day):
        judge_cross(session, day)
        shutil.rmtree(session.work(day), ignore_errors=True)


def _staged_path(session: Session) -> Path:
    return session.home.warehouse / "staged_for"


def _billing_path(session: Session, table: str) -> Path:
    return session.home.warehouse / "billing" / f"{table}.parquet"


def _staged_for(session: Session, day: date) -> str:
    return session.night(day).name


def _sample(session: Session, day: date, say: Say | None = None) -> Path | None:
    """The records the plan draws (Parquet), drawn once a night; None: it judges every record."""
    plan, drawn = session.plan, session.work(day) / "sample.parquet"
    if plan.sampling is None:
        return None
    if not drawn.is_file():
        drawn.parent.mkdir(parents=True, exist_ok=True)
        deliveries = session.in_force(day)
        records = draw_sample(
            session.cat, deliveries, plan.sampling, drawn, forms=plan.forms, records_from=plan.records_from
        )
        if say is not None:
            say(f"抽样：按计划抽取 {records} 条记录")
    return drawn


def _is_stale(session: Session, day: date, told: Mapping[str, Any]) -> bool:
    inputs = input_fingerprint(session.everything_in_force(day), session.held_back(day), session.refused(day))
    return bool(told["inputs"] != inputs or told["catalogue_fingerprint"] != session.cat.fingerprint)


def _now() -> datetime:
    """Now in Asia/Shanghai, without a zone, as the contract's timestamps are."""
    return datetime.now(SHANGHAI).replace(tzinfo=None)
