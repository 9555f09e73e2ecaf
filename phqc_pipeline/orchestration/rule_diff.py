"""What a change of the rules does: two catalogues over one home's lake, finding by finding.

Belongs here: judging by both, what appears, vanishes and stays, what it does to scores. Does not belong here: judging
itself (``stages``), the words of the command line (``rule_diff_text``).

A revision of this repository brings the dbt project that it had, since that is where cross rules are asked. One that
today's program cannot run any more is judged with today's project; what neither can judge is not compared.

Rules that need more than one record cost a run of dbt for each catalogue; where neither they, the forms, what plan and
scheme ask of them nor the dbt project differ, what the home's newest night found by them stands for both.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from phqc_pipeline.catalogue import Catalogue, Plan, for_plan, load_catalogue
from phqc_pipeline.catalogue.fingerprint import digest
from phqc_pipeline.extracts import Books
from phqc_pipeline.home import DBT_PROJECT_DIR, PROJECT_DIR, Home
from phqc_pipeline.orchestration import stages
from phqc_pipeline.orchestration.plans import main_plan
from phqc_pipeline.orchestration.replay import broken_rules, scratch_home
from phqc_pipeline.orchestration.session import Session
from phqc_pipeline.warehouse import DbtError, leading_night, list_nights, named_findings_sql
from phqc_pipeline.warehouse.db import literal, open_duckdb
from phqc_pipeline.warehouse.files import content_fingerprint
from phqc_pipeline.warehouse.kept import project_files
from phqc_pipeline.warehouse.scoring import institution_scores_sql, scheme_form_table, scheme_rule_table, scheme_table

SAMPLES = 3  # subjects named for each rule, institution and kind of change


class DiffError(RuntimeError):
    """The two cannot be compared; the text says what is missing."""


@dataclass(frozen=True)
class RuleDiff:
    """``rules``: rule_id, change (新增, 停用, 改动) of rules not alike. ``findings``: rule_id, institution_code,
    appears, vanishes, stays, reworded, appearing, vanishing (up to SAMPLES of form/subject ids). ``scores``:
    institution_code, records, passed_before, passed_after, score_before, score_after, mean_before, mean_after (of the
    records' scores). ``own_project``: whether cross rules of the old version were asked by the dbt project that it had.
    ``uncompared``: rules that one of the two could not judge, left out of ``findings``."""

    day: date
    rules: pl.DataFrame
    findings: pl.DataFrame
    scores: pl.DataFrame
    cross_judged: bool
    own_project: bool = True
    uncompared: tuple[str, ...] = ()


@dataclass(frozen=True)
class Version:
    """A catalogue and the dbt project that belongs to it."""

    cat: Catalogue
    project: Path = DBT_PROJECT_DIR


@contextmanager
def version_of(rev_or_dir: str, rules: Path) -> Iterator[Version]:
    """The catalogue in a folder, or in a revision of the repository that ``rules`` lies in, with its dbt project."""
    if Path(rev_or_dir).is_dir():
        yield Version(load_catalogue(Path(rev_or_dir)))
        return
    with tempfile.TemporaryDirectory(prefix="phqc-rules-") as folder:
        top = _git(rules, "rev-parse", "--show-toplevel").decode().strip()
        inside = rules.resolve().relative_to(Path(top).resolve()).as_posix()
        _unpack(top, rev_or_dir, inside, Path(folder))
        project = DBT_PROJECT_DIR
        if Path(top).resolve() == PROJECT_DIR.resolve():
            _unpack(top, rev_or_dir, DBT_PROJECT_DIR.name, Path(folder))
            project = Path(folder) / DBT_PROJECT_DIR.name
        yield Version(load_catalogue(Path(folder) / inside), project)


def compare_rules(home: Home, before: Version, after: Version) -> RuleDiff:
    """Judge the newest delivered date of ``home`` by both, by the main plan of each. DiffError without deliveries."""
    days = [record.snapshot_date for record in Books(home, after.cat).records]
    if not days:
        raise DiffError(f"{home.lake} 里没有数据：先用 phqc nightly 运行一夜")
    day = max(days)
    ask_cross = cross_part(before) != cross_part(after) or not list_nights(home)
    with (
        scratch_home(home, "rules-before", registry=home.registry, dbt_project=before.project) as old,
        scratch_home(home, "rules-after", registry=home.registry, dbt_project=after.project) as new,
        open_duckdb(scratch=home.warehouse / "tmp") as connection,
    ):
        own_project, broken = True, set()
        for name, scratch, version in (("before", old, before), ("after", new, after)):
            session = _session(scratch, version)
            stages.judge_records(session, day, lambda said: None)
            if ask_cross:
                is_own = _judge_cross(session, day)
                own_project &= is_own
            _read_judged(connection, name, session, day, None if ask_cross else home)
            work = session.work(day)
            broken |= broken_rules(work / "records" / "results.parquet", *work.glob("cross/results.parquet"))
        findings = connection.execute(_FINDINGS).pl()
        return RuleDiff(
            day,
            _changed_rules(_planned(before.cat), _planned(after.cat)),
            findings.filter(~pl.col("rule_id").is_in(sorted(broken))),
            connection.execute(_SCORES).pl(),
            ask_cross,
            own_project,
            tuple(sorted(broken)),
        )


def _judge_cross(session: Session, day: date) -> bool:
    """Ask the cross rules by the project of the session's home; where that cannot be run, or not all of it, by today's.
    Whether it was its own."""
    if session.home.dbt_project != DBT_PROJECT_DIR:
        try:
            judged, _ = stages.judge_cross(session, day)
        except DbtError:
            pass  # written for another version of the program
        else:
            if not judged.errors:
                return True
        session.home = replace(session.home, dbt_project=DBT_PROJECT_DIR)
        stages.judge_cross(session, day)
        return False
    stages.judge_cross(session, day)
    return True


def _plan(cat: Catalogue) -> Plan:
    plan = main_plan(cat)
    if plan is None:
        raise DiffError("规则目录里没有一个启用的质控计划")
    return plan


def _planned(cat: Catalogue) -> Catalogue:
    """With the parameters of the profile that the plan's scheme names."""
    return for_plan(cat, _plan(cat).plan_id)


def _session(home: Home, version: Version) -> Session:
    plan = _plan(version.cat)
    return Session(home, _planned(version.cat), plan.plan_id, "diff", base=version.cat)


def _read_judged(
    connection: duckdb.DuckDBPyConnection, name: str, session: Session, day: date, carried_from: Home | None
) -> None:
    """Tables ``<name>``, its findings, and ``<name>_score``, its institutions' scores. ``carried_from``: the home whose
    newest night stands for the cross rules, that were not asked."""
    work = session.work(day)
    parts = [*sorted((work / "records" / "findings").glob("*.parquet")), *work.glob("cross/findings.parquet")]
    query = named_findings_sql(parts)
    if carried_from is not None:
        carried = literal(sorted({rule.rule_id for rule in session.cat.rules if rule.carrier == "dbt"}))
        night = literal(leading_night(list_nights(carried_from)) / "findings.parquet")
        query = f"({query}) UNION ALL BY NAME SELECT * FROM read_parquet({night}) WHERE rule_id IN {_members(carried)}"
    connection.execute(f"CREATE TEMP TABLE {name} AS {query}")
    schemes = [session.scheme]
    for table, frame in (
        ("scheme", scheme_table(schemes, session.scheme.scheme_id)),
        ("scheme_rule", scheme_rule_table(session.cat, schemes)),
        ("scheme_form", scheme_form_table(schemes)),
    ):
        connection.register(f"{name}_{table}", frame.to_arrow())
    present = literal([str(path) for path in (work / "records" / "present").glob("*.parquet")])
    connection.execute(f"CREATE TEMP TABLE {name}_score AS {institution_scores_sql(name, present)}")


def _members(listed: str) -> str:
    return f"(SELECT unnest({listed}::VARCHAR[]))"


def cross_part(version: Version) -> str:
    """A fingerprint of everything that rules of more than one record depend on, as the version's plan judges them:
    the profile's parameters, what its scheme takes, the period."""
    plan = _plan(version.cat)
    cat, scheme = _planned(version.cat), version.cat.schemes[plan.scheme]
    rules = [
        (rule.key, rule.fingerprint, [form_id for form_id in rule.form_ids if scheme.takes(rule.rule_id, form_id)])
        for rule in cat.rules
        if rule.carrier == "dbt"
    ]
    asked = (plan.institutions, plan.forms, plan.period, plan.records_from, scheme.report_params)
    project: Any = content_fingerprint(project_files(version.project))
    return digest([rules, asked, cat.forms, cat.codes, cat.derived, cat.reports, cat.indicators, project])


def _changed_rules(before: Catalogue, after: Catalogue) -> pl.DataFrame:
    prints = [
        {rule_id: sorted(rule.fingerprint for rule in cat.versions(rule_id)) for rule_id in _ids(cat)}
        for cat in (before, after)
    ]
    rows = []
    for rule_id in sorted({*prints[0], *prints[1]}):
        if prints[0].get(rule_id) != prints[1].get(rule_id):
            change = "新增" if rule_id not in prints[0] else "停用" if rule_id not in prints[1] else "改动"
            rows.append((rule_id, change))
    return pl.DataFrame(rows, schema={"rule_id": pl.String, "change": pl.String}, orient="row")


def _ids(cat: Catalogue) -> set[str]:
    return {rule.rule_id for rule in cat.rules}


_FINDINGS = f"""
WITH paired AS (
    SELECT coalesce(o.rule_id, n.rule_id) AS rule_id,
        coalesce(o.institution_code, n.institution_code) AS institution_code,
        concat(coalesce(o.form_id, n.form_id), '/', coalesce(o.subject_id, n.subject_id)) AS subject,
        n.finding_id IS NOT NULL AND o.finding_id IS NULL AS appears,
        o.finding_id IS NOT NULL AND n.finding_id IS NULL AS vanishes,
        n.finding_id IS NOT NULL AND o.finding_id IS NOT NULL AS stays,
        (o.severity, o.message, o.expected) IS DISTINCT FROM (n.severity, n.message, n.expected) AS differs
    FROM before AS o FULL JOIN after AS n ON n.finding_id = o.finding_id
)
SELECT rule_id, institution_code, count(*) FILTER (appears) AS appears, count(*) FILTER (vanishes) AS vanishes,
    count(*) FILTER (stays) AS stays, count(*) FILTER (stays AND differs) AS reworded,
    min(subject, {SAMPLES}) FILTER (appears) AS appearing, min(subject, {SAMPLES}) FILTER (vanishes) AS vanishing
FROM paired GROUP BY ALL ORDER BY count(*) FILTER (appears OR vanishes) DESC, rule_id, institution_code
"""
_SCORES = """
SELECT institution_code, coalesce(n.records, o.records) AS records, o.passed AS passed_before, n.passed AS passed_after,
    o.score AS score_before, n.score AS score_after, o.mean_record_score AS mean_before,
    n.mean_record_score AS mean_after
FROM before_score AS o FULL JOIN after_score AS n USING (institution_code) ORDER BY institution_code
"""


def _git(where: Path, *arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(where), *arguments], capture_output=True, check=False)
    if done.returncode:
        raise DiffError(f"git {' '.join(arguments)} 没有成功：{done.stderr.decode('utf-8', 'replace').strip()}")
    return done.stdout


def _unpack(top: str, rev: str, inside: str, folder: Path) -> None:
    packed = _git(Path(top), "archive", "--format=tar", rev, "--", inside)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            if member.isfile():
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                content = archive.extractfile(member)
                target.write_bytes(content.read() if content else b"")
