"""The life of findings: a pure fold over the nights' folders in date order.

Belongs here: what becomes of each finding when a night is laid on the state before it. Does not belong here: how a
night is judged (``checks``, ``cross``) or laid down (``night``).

Nothing is updated in place. The state after a night is a function of the state before it and of the night's folder
alone, so the order in which nights arrive, repetition and kills cannot matter. The states are remembered beside the
nights (``state.parquet``) with the fingerprints they were computed from, and computed again when one differs.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path

from phqc_pipeline.home import Home
from phqc_pipeline.warehouse.db import columns_sql, empty_select, literal, open_duckdb
from phqc_pipeline.warehouse.files import replace_file
from phqc_pipeline.warehouse.night import list_nights, read_night
from phqc_pipeline.warehouse.shapes import NIGHT_FINDING, STATE

#: Changes when the fold itself does, so that remembered states of an older fold are not believed.
FOLD_VERSION = 1
#: Remembered states kept beside the newest: a late delivery seldom reaches back further, and if so we fold again.
KEPT_STATES = 8


def fold(home: Home) -> Path | None:
    """The state of every finding after the newest night: path of its ``state.parquet``; None without any night.

    Nights whose remembered state still fits are not folded again.
    """
    nights = list_nights(home)
    believed = _believed_states(nights)
    start = max((index for index, fingerprint in enumerate(believed) if fingerprint), default=-1)
    previous: Path | None = nights[start] / "state.parquet" if start >= 0 else None
    chain = _chain(nights)
    for index in range(start + 1, len(nights)):
        _fold_night(previous, nights[index], chain[index], home.warehouse / "tmp")
        previous = nights[index] / "state.parquet"
    _forget_old_states(nights)
    return previous


def state_step_sql(previous: Path | None, night: Path) -> str:
    """One step of the fold as a query: the state before × the night's folder → the state after, one row a finding.

    A night changes a finding only where it judged the finding's rule (``results.judged``), but for a rule that was
    withdrawn: its findings are retired without being judged.
    """
    particulars = read_night(night)
    day = literal(date.fromisoformat(particulars["snapshot_date"]))
    before = f"SELECT * FROM read_parquet({literal(previous)})" if previous else empty_select(STATE)
    finding = columns_sql(NIGHT_FINDING, "f")
    kept = columns_sql([name for name in STATE if name not in ("state", "state_since", "ever_fixed")], "p")
    return f"""
WITH before AS ({before}),
judged AS (
    SELECT DISTINCT institution_code, form_id, rule_id, field
    FROM read_parquet({literal(night / "results.parquet")}) WHERE judged
),
in_force AS (
    SELECT rule_id, form_id, field, bool_or(period_scoped) AS period_scoped
    FROM read_parquet({literal(night / "rules.parquet")}) GROUP BY ALL
),
hit AS (
    SELECT f.* FROM read_parquet({literal(night / "findings.parquet")}) AS f
    SEMI JOIN judged AS j ON j.institution_code = f.institution_code AND j.form_id = f.form_id
        AND j.rule_id = f.rule_id AND j.field = f.field
),
-- what the night says of a finding it did not hit
unhit AS (
    SELECT p.finding_id, p.state, p.period, p.institution_code, p.form_id, p.rule_id, p.field, p.subject_kind,
        p.subject_id
    FROM before AS p ANTI JOIN hit AS f ON f.finding_id = p.finding_id
    WHERE p.state IN ('open', 'reopened')
),
present AS (
    SELECT s.institution_code, s.form_id, s.subject_kind, s.subject_id
    FROM read_parquet({literal(night / "present.parquet")}) AS s
    SEMI JOIN unhit AS u ON u.subject_id = s.subject_id
),
moved AS (
    SELECT u.finding_id,
        CASE
            WHEN r.rule_id IS NULL THEN 'retired'
            WHEN j.rule_id IS NULL THEN u.state
            WHEN r.period_scoped AND u.period <> {literal(particulars["period"])} THEN 'retired'
            WHEN NOT EXISTS (
                SELECT 1 FROM present AS s
                WHERE s.subject_id = u.subject_id AND s.institution_code = u.institution_code
                    AND s.form_id = u.form_id AND s.subject_kind = u.subject_kind
            ) THEN 'retired'
            ELSE 'fixed'
        END AS state
    FROM unhit AS u
    LEFT JOIN in_force AS r ON r.rule_id = u.rule_id AND r.form_id = u.form_id AND r.field = u.field
    LEFT JOIN judged AS j ON j.institution_code = u.institution_code AND j.form_id = u.form_id
        AND j.rule_id = u.rule_id AND j.field = u.field
)
SELECT {finding}, {literal(particulars["run_id"])} AS run_id, {day} AS snapshot_date,
    CASE WHEN p.ever_fixed THEN 'reopened' ELSE 'open' END AS state,
    coalesce(p.first_seen, {day}) AS first_seen,
    {day} AS last_seen,
    CASE WHEN p.state = CASE WHEN p.ever_fixed THEN 'reopened' ELSE 'open' END
        THEN p.state_since ELSE {day} END AS state_since,
    coalesce(p.ever_fixed, FALSE) AS ever_fixed
FROM hit AS f
LEFT JOIN (SELECT finding_id, state, state_since, first_seen, ever_fixed FROM before) AS p
    ON p.finding_id = f.finding_id
UNION ALL BY NAME
SELECT {kept},
    coalesce(m.state, p.state) AS state,
    CASE WHEN m.state <> p.state THEN {day} ELSE p.state_since END AS state_since,
    p.ever_fixed OR coalesce(m.state, p.state) = 'fixed' AS ever_fixed
FROM before AS p
ANTI JOIN hit AS f ON f.finding_id = p.finding_id
LEFT JOIN moved AS m ON m.finding_id = p.finding_id
"""


def _fold_night(previous: Path | None, night: Path, fingerprint: str, scratch: Path) -> None:
    (night / "state.json").unlink(missing_ok=True)  # first, or a kill could pair a new state with an old note
    with replace_file(night / "state.parquet") as target, open_duckdb(scratch=scratch) as connection:
        connection.execute(
            f"COPY (SELECT {columns_sql(STATE)} FROM ({state_step_sql(previous, night)})) TO {literal(target)} "
            "(FORMAT parquet, COMPRESSION zstd)"
        )
    with replace_file(night / "state.json") as target:
        target.write_text(json.dumps({"fingerprint": fingerprint}), encoding="utf-8")


def _chain(nights: list[Path]) -> list[str]:
    """For each night the fingerprint its state must carry: of the night's content and all before it."""
    chain = []
    before = f"fold {FOLD_VERSION}"
    for night in nights:
        particulars = read_night(night)
        told = f"{before} {particulars['snapshot_date']} {particulars['run_id']} {particulars['content']}"
        before = hashlib.blake2b(told.encode(), digest_size=16).hexdigest()
        chain.append(before)
    return chain


def _believed_states(nights: list[Path]) -> list[str | None]:
    """For each night the fingerprint of its remembered state, or None where there is none or it no longer fits."""
    believed: list[str | None] = []
    for night, expected in zip(nights, _chain(nights), strict=True):
        note = night / "state.json"
        told = json.loads(note.read_text(encoding="utf-8"))["fingerprint"] if note.is_file() else None
        believed.append(expected if told == expected and (night / "state.parquet").is_file() else None)
    return believed


def _forget_old_states(nights: list[Path]) -> None:
    for night in nights[:-KEPT_STATES]:
        (night / "state.json").unlink(missing_ok=True)
        (night / "state.parquet").unlink(missing_ok=True)
