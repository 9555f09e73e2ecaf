"""The life of findings: a pure fold over the nights' folders in date order.

Belongs here: what becomes of each finding when a night is laid on the state before it. Does not belong here: how a
night is judged (``checks``, ``cross``) or laid down (``night``).

Nothing is updated in place. The state after a night is a function of the state before it, of the night's folder and of
the waivers in force on its date alone, so the order in which nights arrive, repetition and kills cannot matter. The
states are remembered beside the nights (``state.parquet``) with the fingerprints they were computed from, and computed
again when one differs; what each night moved (``changes.parquet``) stays for good.

Several plans may judge one home. A finding is found by any of them, put right by one that judges as the last that found
it did (the same plan, or the same rule by its fingerprint), and given up (its record gone, its rule withdrawn) by one
that had found it; the findings of a plan that rests are anyone's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from phqc_pipeline.home import Home
from phqc_pipeline.warehouse.db import columns_sql, empty_select, literal, open_duckdb
from phqc_pipeline.warehouse.files import replace_file
from phqc_pipeline.warehouse.night import list_nights, read_night
from phqc_pipeline.warehouse.shapes import CHANGE, NIGHT_FINDING, PERIOD_SUBJECT, STATE, WAIVER, period_subject_sql

#: Changes when the fold itself does, so that remembered states of an older fold are not believed.
FOLD_VERSION = 3
#: Remembered states kept beside the newest: a late delivery seldom reaches back further, and if so we fold again.
KEPT_STATES = 8
_SCOPE = ("rule_id", "institution_code", "subject_id", "field")


def fold(home: Home, waivers: pl.DataFrame | None = None) -> Path | None:
    """The state of every finding after the newest night: path of its ``state.parquet``; None without any night.

    ``waivers``: the registry's (waiver.csv). One spares what it names on the nights from ``from_date`` to
    ``until_date``; without a subject or a field it covers all of the rule's at the institution. Nights whose
    remembered state still fits are not folded again.
    """
    nights = list_nights(home)
    in_force = [_waivers_on(waivers, night) for night in nights]
    chain = _chain(nights, in_force)
    start = _last_believed(nights, chain)
    previous: Path | None = nights[start] / "state.parquet" if start >= 0 else None
    for index in range(start + 1, len(nights)):
        _fold_night(previous, nights[index], in_force[index], chain[index], home.warehouse / "tmp")
        previous = nights[index] / "state.parquet"
    _forget_old_states(nights)
    return previous


def state_step_sql(previous: Path | None, night: Path) -> str:
    """One step of the fold as a query: the state before × the night's folder × ``waiver`` → the state after, one row a
    finding. ``waiver`` is a table of those in force (rule_id, institution_code, subject_id, field; NULL: any).

    A night changes what was judged of a finding only where it judged the finding's rule (``results.judged``), but for
    a rule that was withdrawn: its findings are retired without being judged, unless their institution was not entitled
    to be judged that night. A waiver lies over that: it covers what is open, and no more.

    A finding's subject is there if its form has it tonight; of a finding without a record of that form (a visit that
    was never made), if any form of the institution has it; of a finding on a report's own period, if the report still
    tells of that period. A rule that counts over the night's period may also find what is of no period.
    """
    told = read_night(night)
    day = literal(date.fromisoformat(told["snapshot_date"]))
    finding = columns_sql(NIGHT_FINDING, "f")
    moved = ("judged_state", "state", "state_before", "cause", "state_since", "ever_fixed")
    kept = columns_sql([name for name in STATE if name not in moved], "p")
    found = "CASE WHEN p.ever_fixed THEN 'reopened' ELSE 'open' END"
    again = "CASE p.judged_state WHEN 'fixed' THEN '整改后又出现' WHEN 'retired' THEN '退出后又出现' END"
    return f"""
WITH {_unhit_sql(previous, night, told)},
stepped AS (
    SELECT {finding}, {literal(told["run_id"])} AS run_id, {day} AS snapshot_date,
        {literal(_plan(told))} AS plan_id,
        list_sort(list_distinct(list_append(coalesce(p.plans, []), {literal(_plan(told))}))) AS plans,
        {found} AS judged_state, p.state AS state_before,
        CASE WHEN p.finding_id IS NULL THEN '首次发现' ELSE {again} END AS cause,
        coalesce(p.first_seen, {day}) AS first_seen, {day} AS last_seen, p.state_since,
        coalesce(p.ever_fixed, FALSE) AS ever_fixed
    FROM hit AS f
    LEFT JOIN (
        SELECT finding_id, plans, judged_state, state, state_since, first_seen, ever_fixed FROM before
    ) AS p ON p.finding_id = f.finding_id
    UNION ALL BY NAME
    SELECT {kept}, coalesce(m.judged_state, p.judged_state) AS judged_state, p.state AS state_before, m.cause,
        p.state_since, p.ever_fixed OR coalesce(m.judged_state, p.judged_state) = 'fixed' AS ever_fixed
    FROM before AS p
    ANTI JOIN hit AS f ON f.finding_id = p.finding_id
    LEFT JOIN moved AS m ON m.finding_id = p.finding_id
),
waived AS (
    SELECT DISTINCT s.finding_id
    FROM stepped AS s JOIN waiver AS w ON w.rule_id = s.rule_id AND w.institution_code = s.institution_code
        AND coalesce(w.subject_id, s.subject_id) = s.subject_id AND coalesce(w.field, s.field) = s.field
    WHERE s.judged_state IN ('open', 'reopened')
),
named AS (
    SELECT s.*, CASE WHEN w.finding_id IS NULL THEN s.judged_state ELSE 'waived' END AS state
    FROM stepped AS s LEFT JOIN waived AS w ON w.finding_id = s.finding_id
)
SELECT * REPLACE (
    CASE WHEN state IS NOT DISTINCT FROM state_before THEN state_since ELSE {day} END AS state_since,
    CASE WHEN state IS NOT DISTINCT FROM state_before THEN NULL WHEN state = 'waived' THEN '豁免'
        WHEN state_before = 'waived' AND state IN ('open', 'reopened') THEN '豁免到期或撤销' ELSE cause END AS cause
) FROM named
"""


def _unhit_sql(previous: Path | None, night: Path, told: Mapping[str, Any]) -> str:
    """The steps to ``moved``: what the night says of the open findings it did not hit."""
    before = f"SELECT * FROM read_parquet({literal(previous)})" if previous else empty_select(STATE)
    plan = literal(_plan(told))
    return f"""
before AS ({before}),
judged AS (
    SELECT DISTINCT institution_code, form_id, rule_id, field
    FROM read_parquet({literal(night / "results.parquet")}) WHERE judged
),
in_force AS (
    SELECT rule_id, form_id, field, bool_or(period_scoped) AS period_scoped, list(rule_fingerprint) AS fingerprints
    FROM read_parquet({literal(night / "rules.parquet")}) GROUP BY ALL
),
hit AS (
    SELECT f.* FROM read_parquet({literal(night / "findings.parquet")}) AS f
    SEMI JOIN judged AS j ON j.institution_code = f.institution_code AND j.form_id = f.form_id
        AND j.rule_id = f.rule_id AND j.field = f.field
),
unhit AS (
    SELECT p.finding_id, p.judged_state, p.period, p.institution_code, p.form_id, p.rule_id, p.field, p.subject_kind,
        p.subject_id, p.rule_fingerprint, p.plan_id = {plan} AS found_it_last,
        p.subject_kind = 'person' AND p.record_id IS NULL AS is_of_no_record,
        NOT list_contains({literal(_active(told))}::VARCHAR[], p.plan_id) AS of_nobody,
        list_contains(p.plans, {plan}) AS found_it
    FROM before AS p ANTI JOIN hit AS f ON f.finding_id = p.finding_id
    WHERE p.judged_state IN ('open', 'reopened')
),
present AS (
    SELECT s.institution_code, s.form_id, s.subject_kind, s.subject_id
    FROM read_parquet({literal(night / "present.parquet")}) AS s
    SEMI JOIN (
        SELECT subject_id FROM unhit UNION ALL SELECT {period_subject_sql("subject_id", "period")} FROM unhit
    ) AS u ON u.subject_id = s.subject_id
),
periods AS (
    SELECT 1 FROM read_parquet({literal(night / "present.parquet")})
    WHERE subject_kind = {literal(PERIOD_SUBJECT)} LIMIT 1
),
known AS (
    SELECT u.*, r.rule_id IS NOT NULL AS is_in_force, j.rule_id IS NOT NULL AS is_judged,
        list_contains(r.fingerprints, u.rule_fingerprint) AS by_the_same_rule,
        r.period_scoped AND u.period <> {literal(told["period"])} AND (u.period <> '' OR NOT by_the_same_rule)
            AS is_of_another_period,
        EXISTS (
            SELECT 1 FROM present AS s
            WHERE s.subject_id = u.subject_id AND s.institution_code = u.institution_code
                AND s.subject_kind = u.subject_kind AND (s.form_id = u.form_id OR u.is_of_no_record)
        ) AND (r.period_scoped OR u.period = '' OR NOT EXISTS (FROM periods) OR EXISTS (
            SELECT 1 FROM present AS s
            WHERE s.subject_id = {period_subject_sql("u.subject_id", "u.period")}
                AND s.subject_kind = {literal(PERIOD_SUBJECT)} AND s.institution_code = u.institution_code
                AND s.form_id = u.form_id
        )) AS is_present
    FROM unhit AS u
    LEFT JOIN in_force AS r ON r.rule_id = u.rule_id AND r.form_id = u.form_id AND r.field = u.field
    LEFT JOIN judged AS j ON j.institution_code = u.institution_code AND j.form_id = u.form_id
        AND j.rule_id = u.rule_id AND j.field = u.field
),
ended AS (
    SELECT finding_id, CASE
            WHEN list_contains({literal(told.get("not_entitled", []))}::VARCHAR[], institution_code) THEN NULL
            WHEN NOT is_in_force AND of_nobody AND NOT found_it_last THEN '计划停用'
            WHEN NOT is_in_force AND found_it_last THEN '规则停用'
            WHEN NOT is_judged OR NOT is_in_force THEN NULL
            WHEN is_of_another_period THEN CASE WHEN found_it OR of_nobody THEN '统计期已过' END
            WHEN NOT is_present AND {literal(bool(told.get("sampled")))} THEN NULL
            WHEN NOT is_present THEN CASE WHEN found_it OR of_nobody THEN '对象已不在数据中' END
            WHEN found_it_last OR of_nobody OR coalesce(by_the_same_rule, FALSE) THEN '复查已符合'
        END AS cause
    FROM known
),
moved AS (
    SELECT finding_id, cause, CASE cause WHEN '复查已符合' THEN 'fixed' ELSE 'retired' END AS judged_state
    FROM ended WHERE cause IS NOT NULL
)"""


def changes_sql(nights: list[Path]) -> str:
    """What every night moved: run_id, snapshot_date and the columns of CHANGE."""
    parts = []
    for night in nights:
        told = read_night(night)
        parts.append(
            f"SELECT {literal(told['run_id'])} AS run_id, {literal(date.fromisoformat(told['snapshot_date']))} AS "
            f"snapshot_date, {columns_sql(CHANGE)} FROM read_parquet({literal(night / 'changes.parquet')})"
        )
    return " UNION ALL BY NAME ".join(parts) or empty_select({"run_id": "VARCHAR", "snapshot_date": "DATE", **CHANGE})


def _plan(told: Mapping[str, Any]) -> str:
    return str(told["plan_id"])


def _active(told: Mapping[str, Any]) -> list[str]:
    """The plans at work by the catalogue of the night; one that was run by it is."""
    return sorted({_plan(told), *told.get("active_plans", ())})


def _fold_night(previous: Path | None, night: Path, waivers: pl.DataFrame, fingerprint: str, scratch: Path) -> None:
    (night / "state.json").unlink(missing_ok=True)  # first, or a kill could pair a new state with an old note
    with open_duckdb(scratch=scratch) as connection:
        connection.register("waiver", waivers.to_arrow())
        with replace_file(night / "state.parquet") as target:
            _copy(connection, f"SELECT {columns_sql(STATE)} FROM ({state_step_sql(previous, night)})", target)
        with replace_file(night / "changes.parquet") as target:
            changed = f"SELECT * FROM read_parquet({literal(night / 'state.parquet')}) WHERE cause IS NOT NULL"
            columns = "finding_id, state_before AS from_state, state AS to_state, cause"
            _copy(connection, f"SELECT {columns} FROM ({changed})", target)
    with replace_file(night / "state.json") as target:
        target.write_text(json.dumps({"fingerprint": fingerprint}), encoding="utf-8")


def _copy(connection: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    connection.execute(f"COPY ({query}) TO {literal(target)} (FORMAT parquet, COMPRESSION zstd)")


def _waivers_on(waivers: pl.DataFrame | None, night: Path) -> pl.DataFrame:
    """What the waivers in force on the night's date cover."""
    if waivers is None or waivers.is_empty():
        return pl.DataFrame(schema=dict.fromkeys(_SCOPE, pl.String))
    day = date.fromisoformat(read_night(night)["snapshot_date"])
    given = waivers.select(
        (pl.col(name) if name in waivers.columns else pl.lit(None))
        .cast(pl.Date if kind == "DATE" else pl.String)
        .alias(name)
        for name, kind in WAIVER.items()
    )
    covers = (pl.col("from_date").fill_null(date.min) <= day) & (pl.col("until_date").fill_null(date.max) >= day)
    return given.filter(covers).select(pl.col(name).replace("", None) for name in _SCOPE).unique().sort(_SCOPE)


def _chain(nights: list[Path], waivers: list[pl.DataFrame]) -> list[str]:
    """For each night the fingerprint its state must carry: of the night's content, its waivers, and all before it."""
    chain = []
    before = f"fold {FOLD_VERSION}"
    for night, spared in zip(nights, waivers, strict=True):
        told = read_night(night)
        parts = [
            before,
            *(told[name] for name in ("snapshot_date", "run_id", "content")),
            *_active(told),
            spared.rows(),
        ]
        before = hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()
        chain.append(before)
    return chain


def _last_believed(nights: list[Path], chain: list[str]) -> int:
    """The last night whose remembered state still fits, with what every night up to it moved; -1: none."""
    last = -1
    for index, (night, expected) in enumerate(zip(nights, chain, strict=True)):
        note = night / "state.json"
        told = json.loads(note.read_text(encoding="utf-8"))["fingerprint"] if note.is_file() else None
        if told != expected or not (night / "changes.parquet").is_file():
            break
        if (night / "state.parquet").is_file():
            last = index
    return last


def _forget_old_states(nights: list[Path]) -> None:
    """The states of long ago go; their notes stay, and vouch for what those nights moved."""
    for night in nights[:-KEPT_STATES]:
        (night / "state.parquet").unlink(missing_ok=True)
