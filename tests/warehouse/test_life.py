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
from phqc_pipeline.warehouse.life import changes_sql, fold
from phqc_pipeline.warehouse.night import finding_id, list_nights, write_night
from phqc_pipeline.warehouse.shapes import JUDGED_FINDING, NIGHT_FINDING

FORM = "htn_followup"
INSTITUTIONS = ("A", "B")
RULES = {"R-1": False, "R-2": False, "P-1": True}  # rule → counts over a period
SUBJECTS = ("s1", "s2", "s3")
TIMELESS = "s3"  # what a rule that counts over a period finds of it is of no period
FIRST_DAY = date(2023, 12, 28)


PLANS = ("main", "other")


@dataclass
class Night:
    """One night as the model sees it. ``rules``: rule → fingerprint; ``judged``: (institution, rule) it could judge;
    ``hits``: what it found; ``active``: the plans at work by its catalogue."""

    day: date
    rules: dict[str, str]
    judged: set[tuple[str, str]]
    present: set[tuple[str, str]]
    hits: set[tuple[str, str, str]]
    rerun: int = 0
    plan: str = "main"
    active: tuple[str, ...] = PLANS
    sampled: bool = False
    not_entitled: tuple[str, ...] = ()

    @property
    def period(self) -> str:
        return str(self.day.year)

    def period_of(self, rule: str, subject: str) -> str:
        return self.period if RULES[rule] and subject != TIMELESS else ""


@dataclass
class Life:
    """``state``: as judged; ``shown``: with the waivers of the last night; ``history``: (night, from, to)."""

    state: str
    first_seen: date
    last_seen: date
    ever_fixed: bool = False
    plan: str = ""
    plans: set[str] = field(default_factory=set)
    fingerprint: str = ""
    shown: str = ""
    since: date = FIRST_DAY
    history: list[tuple[str, str | None, str]] = field(default_factory=list)


Waivers = list[tuple[str, str, str | None, date, date]]  # rule, institution, subject or any, from, until


def model(nights: list[Night], waivers: Waivers) -> dict[tuple[str, str, str, str], Life]:
    """The contract's words, one finding at a time. Key: institution, rule, subject, period."""
    lives: dict[tuple[str, str, str, str], Life] = {}
    for night in sorted(nights, key=lambda one: (one.day, one.plan)):
        seen = set()
        for institution, rule, subject in night.hits:
            if (institution, rule) not in night.judged:
                continue
            key = (institution, rule, subject, night.period_of(rule, subject))
            seen.add(key)
            life = lives.setdefault(key, Life("open", night.day, night.day))
            life.state = "reopened" if life.ever_fixed else "open"
            life.last_seen, life.plan, life.fingerprint = night.day, night.plan, night.rules[rule]
            life.plans.add(night.plan)
        for key, life in lives.items():
            if key not in seen and life.state in ("open", "reopened"):
                life.state = _judged_again(key, life, night)
                life.ever_fixed |= life.state == "fixed"
            spared = life.state in ("open", "reopened") and _is_waived(key, night.day, waivers)
            shown = "waived" if spared else life.state
            if shown != life.shown:
                life.history.append((f"{night.day} {night.plan}", life.shown or None, shown))
                life.shown, life.since = shown, night.day
    return lives


def _judged_again(key: tuple[str, str, str, str], life: Life, night: Night) -> str:
    """The state of an open finding that a night did not hit."""
    institution, rule, subject, period = key
    nobodys = life.plan not in {*night.active, night.plan}
    if rule not in night.rules:
        return "retired" if nobodys or life.plan == night.plan else life.state
    if (institution, rule) not in night.judged:
        return life.state
    may_give_up = nobodys or night.plan in life.plans
    if RULES[rule] and period != night.period and (period or life.fingerprint != night.rules[rule]):
        return "retired" if may_give_up else life.state
    if (institution, subject) not in night.present:
        return "retired" if may_give_up and not night.sampled else life.state
    alike = nobodys or life.plan == night.plan or life.fingerprint == night.rules[rule]
    return "fixed" if alike else life.state


def _is_waived(key: tuple[str, str, str, str], day: date, waivers: Waivers) -> bool:
    return any(
        (rule, institution) == (key[1], key[0]) and who in (None, key[2]) and begins <= day <= ends
        for rule, institution, who, begins, ends in waivers
    )


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
                "period": night.period_of(rule, subject),
                "message": f"{night.day}",
                "rule_fingerprint": night.rules[rule],
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
        [
            {"rule_id": r, "form_id": FORM, "field": "", "period_scoped": RULES[r], "rule_fingerprint": night.rules[r]}
            for r in sorted(night.rules)
        ],
        schema={
            **dict.fromkeys(("rule_id", "form_id", "field"), pl.String),
            "period_scoped": pl.Boolean,
            "rule_fingerprint": pl.String,
        },
    )
    parts = home.root / "parts"
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir(parents=True)
    for name, frame in {"findings": findings, "results": results, "present": present}.items():
        frame.write_parquet(parts / f"{name}.parquet")
    write_night(
        home,
        night.day,
        particulars={
            "period": night.period,
            "run_id": f"{night.day} {night.plan}",
            "plan_id": night.plan,
            "active_plans": list(night.active),
            "sampled": night.sampled,
            "not_entitled": list(night.not_entitled),
        },
        findings=[parts / "findings.parquet"],
        results=[parts / "results.parquet"],
        present=[parts / "present.parquet"],
        rules=rules,
    )


def folded(home: Home, waivers: Waivers | None = None) -> dict[tuple[str, str, str, str], tuple[Any, ...]]:
    state = fold(home, _registry(waivers or []))
    assert state is not None
    rows = duckdb.sql(
        "SELECT institution_code, rule_id, subject_id, period, state, first_seen, last_seen, message, state_since, "
        f"finding_id FROM read_parquet('{state}')"
    ).fetchall()
    for institution, rule, subject, period, *_, identity in rows:
        assert identity == finding_id(rule, institution, FORM, subject, "", period)
    assert len({row[-1] for row in rows}) == len(rows)
    return {row[:4]: row[4:9] for row in rows}


def expected(nights: list[Night], waivers: Waivers) -> dict[tuple[str, str, str, str], tuple[Any, ...]]:
    return {
        key: (life.shown, life.first_seen, life.last_seen, f"{life.last_seen}", life.since)
        for key, life in model(nights, waivers).items()
    }


def history(home: Home) -> set[tuple[Any, ...]]:
    """finding_id, run_id, from, to of every change."""
    query = f"SELECT finding_id, run_id, from_state, to_state FROM ({changes_sql(list_nights(home))})"
    rows = duckdb.sql(query).fetchall()
    assert len(set(rows)) == len(rows)
    return set(rows)


def _registry(waivers: Waivers) -> pl.DataFrame:
    columns = ("rule_id", "institution_code", "subject_id", "from_date", "until_date")
    frame = pl.DataFrame(waivers, schema=columns, orient="row") if waivers else pl.DataFrame(schema=columns)
    return frame.with_columns(field=pl.lit(""))


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
                rules={r: draw(st.sampled_from(["mild", "strict"])) for r in sorted(set(RULES) - gone)},
                judged={pair for pair in set(pairs) - draw(_some(pairs, 0.4)) if pair[1] not in gone},
                present=present,
                hits={(i, r, s) for i, s in present for r in draw(_some(sorted(RULES), 0.7)) if r not in gone},
                plan=draw(st.sampled_from(PLANS)),
                active=draw(st.sampled_from([PLANS, ("main",)])),
                sampled=draw(st.sampled_from([False, False, True])),
            )
        )
    return runs


@st.composite
def some_waivers(draw: st.DrawFn) -> Waivers:
    day = st.integers(0, 8)
    return [
        (
            draw(st.sampled_from(sorted(RULES))),
            draw(st.sampled_from(INSTITUTIONS)),
            draw(st.sampled_from([None, *SUBJECTS])),
            FIRST_DAY + timedelta(days=draw(day)),
            FIRST_DAY + timedelta(days=draw(day)),
        )
        for _ in range(draw(st.integers(0, 3)))
    ]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs=nights_in_some_order(), waivers=some_waivers(), fold_each=st.booleans())
def test_fold_equals_the_model_whatever_the_order_of_runs(
    tmp_path_factory: pytest.TempPathFactory, runs: list[Night], waivers: Waivers, fold_each: bool
) -> None:
    home = Home(tmp_path_factory.mktemp("home"))
    for run in runs:
        lay_down(home, run)
        if fold_each:
            fold(home, _registry(waivers[:1]))
    standing = list({(run.day, run.plan): run for run in runs}.values())  # the later run of a day replaces the earlier
    assert folded(home, waivers) == expected(standing, waivers)
    lives = model(standing, waivers)
    assert history(home) == {
        (finding_id(rule, institution, FORM, subject, "", period), *change)
        for (institution, rule, subject, period), life in lives.items()
        for change in life.history
    }


def _night(day: int, hits: set[tuple[str, str, str]], **changed: Any) -> Night:
    whole: dict[str, Any] = {
        "rules": dict.fromkeys(RULES, "mild"),
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


def _lay_down_one(home: Home, day: int, finding: dict[str, Any] | None, present: list[tuple[str, str, str]]) -> str:
    """A night of one rule with one finding or none; ``present``: form, kind, subject. The finding's state after it."""
    night = _night(day, set())
    lay_down(home, night)
    [folder] = [one for one in list_nights(home) if one.name.startswith(str(night.day))]
    names = ("institution_code", "form_id", "subject_kind", "subject_id")
    pl.DataFrame([("A", *one) for one in present], schema=dict.fromkeys(names, pl.String), orient="row").write_parquet(
        folder / "present.parquet"
    )
    if finding is not None:
        told = {"institution_code": "A", "form_id": FORM, "rule_id": "R-1", "field": "", "rule_fingerprint": "mild"}
        row = {**dict.fromkeys(NIGHT_FINDING), "finding_id": "1", "root_id": "1", **told, **finding}
        schema = {name: _POLARS[kind] for name, kind in NIGHT_FINDING.items()}
        pl.DataFrame([row], schema=schema).write_parquet(folder / "findings.parquet")
    state = fold(home)
    return str(duckdb.sql(f"SELECT state FROM read_parquet('{state}')").fetchall()[0][0])


def test_what_a_withdrawn_report_told_is_retired_what_it_tells_better_is_fixed(tmp_path: Path) -> None:
    finding = {"subject_kind": "institution", "subject_id": "A", "period": "2022"}
    known = [(FORM, "institution", "A"), (FORM, "period", "A 2023")]
    for name, present in {"fixed": [*known, (FORM, "period", "A 2022")], "retired": known}.items():
        assert _lay_down_one(Home(tmp_path / name), 0, finding, present) == "open"
        assert _lay_down_one(Home(tmp_path / name), 1, None, present) == name


def test_somebody_without_a_record_of_the_form_is_there_by_another(tmp_path: Path) -> None:
    for form, record, state in (("other", None, "fixed"), ("other", "R1", "retired"), (FORM, "R1", "fixed")):
        home = Home(tmp_path / f"{form}{record}")
        finding = {"subject_kind": "person", "subject_id": "s9", "period": "", "record_id": record}
        assert _lay_down_one(home, 0, finding, [(form, "person", "s9")]) == "open"
        assert _lay_down_one(home, 1, None, [(form, "person", "s9")]) == state


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
    withdrawn = _night(1, set(), rules={"R-2": "mild"}, judged={("A", "R-2")})
    assert _states(Home(tmp_path / "rule"), [_night(0, {HIT}), withdrawn]) == ["open", "retired"]


def test_an_institution_not_entitled_keeps_its_findings_even_of_a_withdrawn_rule(tmp_path: Path) -> None:
    """Contract, section 3: such a night changes neither state nor last_seen."""
    away = _night(1, set(), rules={"R-2": "mild"}, judged=set(), present=set(), not_entitled=("A",))
    assert _states(Home(tmp_path), [_night(0, {HIT}), away]) == ["open", "open"]
    assert folded(Home(tmp_path))[KEY][2] == FIRST_DAY
    again = _night(2, set(), rules={"R-2": "mild"}, judged={("A", "R-2")})
    lay_down(Home(tmp_path), again)
    assert folded(Home(tmp_path))[KEY][0] == "retired"


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
    states = [home.night(FIRST_DAY + timedelta(days=day), "main") / "state.parquet" for day in range(3)]
    before = [path.stat().st_mtime_ns for path in states]
    fold(home)
    assert [path.stat().st_mtime_ns for path in states] == before
    lay_down(home, _night(1, set()))
    assert folded(home)[KEY][0] == "reopened"
    after = [path.stat().st_mtime_ns for path in states]
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert after[2] != before[2]


def test_a_waiver_spares_while_it_lasts_and_no_longer(tmp_path: Path) -> None:
    home = Home(tmp_path)
    waivers: Waivers = [("R-1", "A", "s1", FIRST_DAY + timedelta(days=1), FIRST_DAY + timedelta(days=2))]
    states = []
    for day in range(4):
        lay_down(home, _night(day, {HIT, ("A", "R-1", "s2")}))
        states.append(folded(home, waivers)[KEY][0])
        assert folded(home, waivers)[("A", "R-1", "s2", "")][0] == "open"
    assert states == ["open", "waived", "waived", "open"]
    causes = duckdb.sql(f"SELECT cause FROM ({changes_sql(list_nights(home))}) WHERE from_state IS NOT NULL").fetchall()
    assert sorted(causes) == [("豁免",), ("豁免到期或撤销",)]


def test_what_a_sample_did_not_draw_stays_as_it_was(tmp_path: Path) -> None:
    drawn = _night(1, set(), plan="other", sampled=True, present={("A", "s2")})
    assert _states(Home(tmp_path), [_night(0, {HIT}), drawn]) == ["open", "open"]


def test_the_findings_of_a_plan_that_rests_are_retired(tmp_path: Path) -> None:
    only_here = _night(0, {HIT}, plan="other")
    without = _night(1, set(), rules={"R-2": "mild"}, judged={("A", "R-2")})
    resting = _night(2, set(), rules={"R-2": "mild"}, judged={("A", "R-2")}, active=("main",))
    assert _states(Home(tmp_path), [only_here, without, resting]) == ["open", "open", "retired"]


def test_a_milder_plan_does_not_put_right_what_a_strict_one_found(tmp_path: Path) -> None:
    strict = _night(0, {HIT}, plan="other", rules={**dict.fromkeys(RULES, "mild"), "R-1": "strict"})
    mild = _night(1, set())
    alike = _night(2, set(), rules={**dict.fromkeys(RULES, "mild"), "R-1": "strict"})
    assert _states(Home(tmp_path), [strict, mild, alike]) == ["open", "open", "fixed"]
