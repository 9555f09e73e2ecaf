"""The fold of nights against a plain model that walks one finding at a time."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phqc_pipeline.home import Home
from phqc_pipeline.warehouse.life import fold
from phqc_pipeline.warehouse.night import finding_id, write_night
from phqc_pipeline.warehouse.shapes import JUDGED_FINDING

FORM = "htn_followup"
INSTITUTIONS = ("A", "B")
RULES = {"R-1": False, "R-2": False, "P-1": True}  # rule → counts over a period
SUBJECTS = ("s1", "s2", "s3")
FIRST_DAY = date(2023, 12, 28)


@dataclass
class Night:
    """One night as the model sees it. ``judged``: (institution, rule) it could judge; ``hits``: what it found."""

    day: date
    rules: set[str]
    judged: set[tuple[str, str]]
    present: set[tuple[str, str]]
    hits: set[tuple[str, str, str]]
    rerun: int = 0

    @property
    def period(self) -> str:
        return str(self.day.year)


@dataclass
class Life:
    state: str
    first_seen: date
    last_seen: date
    ever_fixed: bool = False
    record: dict[str, Any] = field(default_factory=dict)


def model(nights: list[Night]) -> dict[tuple[str, str, str, str], Life]:
    """The contract's words, one finding at a time. Key: institution, rule, subject, period."""
    lives: dict[tuple[str, str, str, str], Life] = {}
    for night in sorted(nights, key=lambda one: one.day):
        seen = set()
        for institution, rule, subject in night.hits:
            if (institution, rule) not in night.judged:
                continue
            key = (institution, rule, subject, night.period if RULES[rule] else "")
            seen.add(key)
            life = lives.setdefault(key, Life("open", night.day, night.day))
            life.state = "reopened" if life.ever_fixed else "open"
            life.last_seen = night.day
        for key, life in lives.items():
            institution, rule, subject, period = key
            if key in seen or life.state not in ("open", "reopened"):
                continue
            if rule not in night.rules:
                life.state = "retired"
            elif (institution, rule) not in night.judged:
                continue
            elif (RULES[rule] and period != night.period) or (institution, subject) not in night.present:
                life.state = "retired"
            else:
                life.state = "fixed"
                life.ever_fixed = True
    return lives


def lay_down(home: Home, night: Night) -> None:
    findings = pl.DataFrame(
        [
            {
                **dict.fromkeys(JUDGED_FINDING),
                "institution_code": institution,
                "form_id": FORM,
                "rule_id": rule,
                "field": "",
                "subject_kind": "record",
                "subject_id": subject,
                "period": night.period if RULES[rule] else "",
                "message": f"{night.day}",
            }
            for institution, rule, subject in sorted(night.hits)
        ],
        schema={name: _POLARS[kind] for name, kind in JUDGED_FINDING.items()},
    )
    results = pl.DataFrame(
        [
            {
                "institution_code": institution,
                "form_id": FORM,
                "rule_id": rule,
                "field": "",
                "status": "pass" if (institution, rule) in night.judged else "not_evaluable",
                "checked": 1,
                "applicable": 1,
                "violated": 0,
                "reason": "",
            }
            for institution in INSTITUTIONS
            for rule in sorted(night.rules)
        ],
        schema={
            **dict.fromkeys(("institution_code", "form_id", "rule_id", "field", "status"), pl.String),
            **dict.fromkeys(("checked", "applicable", "violated"), pl.Int64),
            "reason": pl.String,
        },
    )
    present = pl.DataFrame(
        [
            {"institution_code": institution, "form_id": FORM, "subject_kind": "record", "subject_id": s}
            for institution, s in sorted(night.present)
        ],
        schema={
            **dict.fromkeys(("institution_code", "form_id", "subject_kind", "subject_id"), pl.String),
        },
    )
    rules = pl.DataFrame(
        [{"rule_id": r, "form_id": FORM, "field": "", "period_scoped": RULES[r]} for r in sorted(night.rules)],
        schema={**dict.fromkeys(("rule_id", "form_id", "field"), pl.String), "period_scoped": pl.Boolean},
    )
    parts = home.root / "parts"
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir(parents=True)
    for name, frame in {"findings": findings, "results": results, "present": present}.items():
        frame.write_parquet(parts / f"{name}.parquet")
    write_night(
        home,
        night.day,
        particulars={"period": night.period, "run_id": f"{night.day}", "rerun": night.rerun},
        findings=[parts / "findings.parquet"],
        results=[parts / "results.parquet"],
        present=[parts / "present.parquet"],
        rules=rules,
    )


def folded(home: Home) -> dict[tuple[str, str, str, str], tuple[Any, ...]]:
    state = fold(home)
    assert state is not None
    rows = duckdb.sql(
        "SELECT institution_code, rule_id, subject_id, period, state, first_seen, last_seen, message, finding_id "
        f"FROM read_parquet('{state}')"
    ).fetchall()
    for institution, rule, subject, period, *_, identity in rows:
        assert identity == finding_id(rule, institution, FORM, subject, "", period)
    assert len({row[-1] for row in rows}) == len(rows)
    return {row[:4]: row[4:8] for row in rows}


def expected(nights: list[Night]) -> dict[tuple[str, str, str, str], tuple[Any, ...]]:
    return {
        key: (life.state, life.first_seen, life.last_seen, f"{life.last_seen}") for key, life in model(nights).items()
    }


_POLARS = {"VARCHAR": pl.String, "INTEGER": pl.Int32, "DATE": pl.Date}


def _some(values: list[Any], most: float = 0.8) -> st.SearchStrategy[set[Any]]:
    return st.sets(st.sampled_from(values), max_size=max(1, int(len(values) * most)))


@st.composite
def nights_in_some_order(draw: st.DrawFn) -> list[Night]:
    """Nights as they are run: any order, days repeated (the later run of a day stands)."""
    pairs = [(i, r) for i in INSTITUTIONS for r in RULES]
    people = [(i, s) for i in INSTITUTIONS for s in SUBJECTS]
    runs = []
    for offset in draw(st.lists(st.integers(0, 7), min_size=1, max_size=7)):
        present = set(people) - draw(_some(people, 0.4))
        gone = draw(st.sampled_from([set(), set(), {"R-2"}, {"P-1"}]))
        runs.append(
            Night(
                day=FIRST_DAY + timedelta(days=offset),
                rules=set(RULES) - gone,
                judged={pair for pair in set(pairs) - draw(_some(pairs, 0.4)) if pair[1] not in gone},
                present=present,
                hits={(i, r, s) for i, s in present for r in draw(_some(sorted(RULES), 0.7)) if r not in gone},
                rerun=len(runs),
            )
        )
    return runs


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs=nights_in_some_order(), fold_each=st.booleans())
def test_fold_equals_the_model_whatever_the_order_of_runs(
    tmp_path_factory: pytest.TempPathFactory, runs: list[Night], fold_each: bool
) -> None:
    home = Home(tmp_path_factory.mktemp("home"))
    for run in runs:
        lay_down(home, run)
        if fold_each:
            fold(home)
    standing = {run.day: run for run in runs}  # the later run of a day replaces the earlier
    assert folded(home) == expected(list(standing.values()))


def _night(day: int, hits: set[tuple[str, str, str]], **changed: Any) -> Night:
    whole: dict[str, Any] = {
        "rules": set(RULES),
        "judged": {(i, r) for i in INSTITUTIONS for r in RULES},
        "present": {(i, s) for i in INSTITUTIONS for s in SUBJECTS},
    }
    return Night(day=FIRST_DAY + timedelta(days=day), hits=hits, **{**whole, **changed})


HIT = ("A", "R-1", "s1")
KEY = ("A", "R-1", "s1", "")


def _states(home: Home, nights: list[Night]) -> list[str]:
    seen = []
    for night in nights:
        lay_down(home, night)
        seen.append(folded(home)[KEY][0])
    return seen


def test_a_finding_put_right_and_found_again_is_reopened(tmp_path: Path) -> None:
    nights = [_night(0, {HIT}), _night(1, set()), _night(2, {HIT}), _night(3, {HIT})]
    assert _states(Home(tmp_path), nights) == ["open", "fixed", "reopened", "reopened"]


def test_a_night_that_could_not_judge_leaves_state_and_last_seen(tmp_path: Path) -> None:
    home = Home(tmp_path)
    nights = [_night(0, {HIT}), _night(1, set(), judged=set()), _night(2, {HIT}, judged=set())]
    assert _states(home, nights) == ["open", "open", "open"]
    assert folded(home)[KEY][2] == FIRST_DAY


def test_a_vanished_record_and_a_withdrawn_rule_retire(tmp_path: Path) -> None:
    gone = _night(1, set(), present={("A", "s2")})
    assert _states(Home(tmp_path / "record"), [_night(0, {HIT}), gone]) == ["open", "retired"]
    withdrawn = _night(1, set(), rules={"R-2"}, judged={("A", "R-2")})
    assert _states(Home(tmp_path / "rule"), [_night(0, {HIT}), withdrawn]) == ["open", "retired"]


def test_a_new_year_opens_new_findings_and_retires_the_old_ones(tmp_path: Path) -> None:
    home = Home(tmp_path)
    hit = ("A", "P-1", "s1")
    for night in (_night(0, {hit}), _night(6, {hit})):
        lay_down(home, night)
    states = {key[3]: value[0] for key, value in folded(home).items()}
    assert states == {"2023": "retired", "2024": "open"}


def test_remembered_states_are_used_and_a_changed_night_is_folded_again(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for day in range(3):
        lay_down(home, _night(day, {HIT}))
    fold(home)
    states = [home.night(FIRST_DAY + timedelta(days=day)) / "state.parquet" for day in range(3)]
    before = [path.stat().st_mtime_ns for path in states]
    fold(home)
    assert [path.stat().st_mtime_ns for path in states] == before
    lay_down(home, _night(1, set()))
    assert folded(home)[KEY][0] == "reopened"
    after = [path.stat().st_mtime_ns for path in states]
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert after[2] != before[2]
