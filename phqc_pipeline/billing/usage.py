"""Use of the service: what each night judged, and each month, institution by institution.

Belongs here: counting what lies in the nights' folders. Does not belong here: what it costs (``charges``).

A month counts a record, a finding, a rule once, however many nights met it, so months do not follow from nights'
totals. What a month has met is remembered in ``HOME/warehouse/usage/<YYYY-MM>/`` and carried on night by night; nights
that changed or came in between make it count anew. The memory can be deleted at any time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path

import duckdb
import polars as pl

from phqc_pipeline.home import Home
from phqc_pipeline.warehouse.db import literal, open_duckdb
from phqc_pipeline.warehouse.files import replace_file
from phqc_pipeline.warehouse.night import JUDGED_STATUSES, list_nights, read_night

_STATUSES = ", ".join(literal(status) for status in JUDGED_STATUSES)
NIGHT_COLUMNS = "institution_code, snapshot_date, run_id, records_judged, rules_run, judgements, findings"


@dataclass(frozen=True)
class Usage:
    """``nights``: institution_code, snapshot_date, run_id, records_judged, rules_run, judgements, findings.
    ``months``: institution_code, month (``2024-12``), first_night, last_night, nights, records_judged, rules_run,
    judgements, findings. Only institutions that were judged; counts are whole numbers."""

    nights: pl.DataFrame
    months: pl.DataFrame


def read_usage(home: Home, until: date) -> Usage:
    """The use made of the service in every night up to ``until``."""
    told = [(night, read_night(night)) for night in list_nights(home)]
    chosen = [(night, facts) for night, facts in told if facts["snapshot_date"] <= until.isoformat()]
    nights, months = [], []
    with open_duckdb(scratch=home.warehouse / "tmp") as connection:
        for month, some in groupby(chosen, key=lambda one: str(one[1]["snapshot_date"])[:7]):
            folder = home.warehouse / "usage" / month
            of_month, seen = _month(connection, folder, [(night, _print(facts)) for night, facts in some])
            nights.append(of_month)
            months.append(_totals(connection, month, of_month, seen))
    if not nights:
        return Usage(pl.DataFrame(), pl.DataFrame())
    return Usage(
        pl.concat(nights).sort("institution_code", "snapshot_date"),
        pl.concat(months).sort("institution_code", "month"),
    )


def _print(facts: dict) -> str:
    return f"{facts['snapshot_date']} {facts['run_id']} {facts['content']}"


def _month(
    connection: duckdb.DuckDBPyConnection, folder: Path, nights: Sequence[tuple[Path, str]]
) -> tuple[pl.DataFrame, Path]:
    """The nights of one month counted, and the file of what they met."""
    note, seen, counted = folder / "covered.json", folder / "seen.parquet", folder / "nights.parquet"
    covered: list[str] = []
    if note.is_file() and seen.is_file() and counted.is_file():
        covered = json.loads(note.read_text(encoding="utf-8"))
    prints = [told for _, told in nights]
    start = len(covered) if covered == prints[: len(covered)] else 0
    note.unlink(missing_ok=True)  # first, or a kill could pair new counts with an old note
    fresh = [night for night, _ in nights[start:]]
    if fresh:
        parts = [_night_sql(night) for night in fresh]
        parts += [f"SELECT * FROM read_parquet({literal(counted)})"] if start else []
        _write(connection, " UNION ALL BY NAME ".join(parts), counted)
        met = [_met_sql(night) for night in fresh] + ([f"SELECT * FROM read_parquet({literal(seen)})"] if start else [])
        _write(connection, f"SELECT DISTINCT * FROM ({' UNION ALL '.join(met)})", seen)
    with replace_file(note) as target:
        target.write_text(json.dumps(prints), encoding="utf-8")
    return connection.execute(f"SELECT {NIGHT_COLUMNS} FROM read_parquet({literal(counted)})").pl(), seen


def _night_sql(night: Path) -> str:
    """One row an institution that was judged that night."""
    facts = read_night(night)
    return f"""
        SELECT r.institution_code, DATE {literal(facts["snapshot_date"])} AS snapshot_date,
            {literal(facts["run_id"])} AS run_id, coalesce(p.records, 0)::BIGINT AS records_judged,
            r.rules_run, r.judgements, coalesce(f.findings, 0)::BIGINT AS findings
        FROM (
            SELECT institution_code, count(DISTINCT rule_id) AS rules_run, sum(checked)::BIGINT AS judgements
            FROM read_parquet({literal(night / "results.parquet")}) WHERE status IN ({_STATUSES}) GROUP BY ALL
        ) AS r
        LEFT JOIN (
            SELECT institution_code, count(*) AS records FROM read_parquet({literal(night / "present.parquet")})
            WHERE subject_kind = 'record' GROUP BY ALL
        ) AS p USING (institution_code)
        LEFT JOIN (
            SELECT institution_code, count(*) AS findings FROM read_parquet({literal(night / "findings.parquet")})
            GROUP BY ALL
        ) AS f USING (institution_code)"""


def _met_sql(night: Path) -> str:
    """What a night met, each once: records judged, rules run, findings."""
    results, present, findings = (
        f"read_parquet({literal(night / f'{name}.parquet')})" for name in ("results", "present", "findings")
    )
    return f"""
        SELECT 'record' AS what, institution_code, form_id || '|' || subject_id AS name FROM {present}
        WHERE subject_kind = 'record'
        UNION ALL SELECT DISTINCT 'rule', institution_code, rule_id FROM {results} WHERE status IN ({_STATUSES})
        UNION ALL SELECT 'finding', institution_code, finding_id FROM {findings}"""


def _totals(connection: duckdb.DuckDBPyConnection, month: str, nights: pl.DataFrame, seen: Path) -> pl.DataFrame:
    connection.register("of_month", nights.to_arrow())
    found: pl.DataFrame = connection.execute(f"""
        SELECT n.institution_code, {literal(month)} AS month, n.first_night, n.last_night, n.nights,
            coalesce(s.records, 0)::BIGINT AS records_judged, coalesce(s.rules, 0)::BIGINT AS rules_run,
            n.judgements, coalesce(s.findings, 0)::BIGINT AS findings
        FROM (
            SELECT institution_code, min(snapshot_date) AS first_night, max(snapshot_date) AS last_night,
                count(DISTINCT snapshot_date) AS nights, sum(judgements)::BIGINT AS judgements
            FROM of_month GROUP BY ALL
        ) AS n
        LEFT JOIN (
            SELECT institution_code, count(*) FILTER (what = 'record') AS records,
                count(*) FILTER (what = 'rule') AS rules, count(*) FILTER (what = 'finding') AS findings
            FROM read_parquet({literal(seen)}) GROUP BY ALL
        ) AS s USING (institution_code)""").pl()
    connection.unregister("of_month")
    return found


def _write(connection: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    with replace_file(target) as aside:
        connection.execute(f"COPY ({query}) TO {literal(aside)} (FORMAT parquet, COMPRESSION zstd)")
