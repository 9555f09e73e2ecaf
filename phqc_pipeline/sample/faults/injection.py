"""Record and field faults: proposals tried on clean records, those that work put in.

Belongs here: how many faults of which rule, which record carries each, trying and choosing.
Does not belong here: how a rule is broken (``proposals``), what is violated (``judge``).

A proposal is tried on a few records that fit; all trials of a form are judged together, and the one is taken that
violates the rule meant with the fewest others. Where a fault touches what cross rules count (who, when, judged how),
it is put on records whose loss no cross rule would notice: of the year before, of a disease without follow-up here, of
a resident without any service. A form with fewer records than there are faults for it carries several on one record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from phqc_pipeline.catalogue import Form, Rule, RuleCheck
from phqc_pipeline.sample.calendar import day_number, to_date
from phqc_pipeline.sample.chance import Bools, Chance, Ints
from phqc_pipeline.sample.faults.cells import Cell, read_all
from phqc_pipeline.sample.faults.judge import RAW, Judge
from phqc_pipeline.sample.faults.proposals import Proposal, Setting, proposals
from phqc_pipeline.sample.faults.recipes import RECIPES
from phqc_pipeline.sample.faults.work import Fault, Work, typed_rows

_TRIALS = 2  # records tried for each proposal in the first round, more in the next
_PROPOSALS = (5, 12, 40)  # proposals tried for one fault, round by round
_LAYERS = 40  # faults that one record of a form with few records may carry

# What cross rules, and the reports, count by: a fault in one of these may change more than its own record.
_COUNTED_EVERYWHERE = frozenset(
    {"archive_no", "person_name", "sex_code", "birth_date", "id_card_no", "created_at"}
    | {"record_status", "archive_status", "archive_status_date"}
)
_COUNTED = {
    "resident_profile": frozenset({"archive_date", "phone"}),
    "chronic_registry": frozenset({"disease", "diagnosis_date", "register_date", "end_date", "manage_status"}),
    "htn_followup": frozenset(
        {"visit_date", "visit_mode_code", "class_code", "referral_reason", "sbp", "dbp", "weight_kg"}
    ),
    "t2dm_followup": frozenset(
        {"visit_date", "visit_mode_code", "class_code", "referral_reason", "sbp", "dbp", "weight_kg", "fbg"}
    ),
    "health_exam": frozenset({"exam_date"}),
    "elderly_self_care": frozenset({"assess_date"}),
}


@dataclass(frozen=True)
class Rates:
    """How many faults. ``per_records``: one for so many records of the form, for each rule (of a field rule: on some
    field). ``at_least``: no fewer for each rule and form. ``every_field``: a field rule on each field at least once.
    ``share``: (part, parts): of the rules only every so-manieth, for a sample that has too few records for all;
    ``dealt``: a generic rule on one form before all others on a second. ``fullest``: no greater part of a form's
    records is made faulty."""

    per_records: float = 2000.0
    at_least: int = 1
    every_field: bool = False
    share: tuple[int, int] = (0, 1)
    dealt: bool = False
    fullest: float = 0.5


@dataclass(frozen=True)
class _Trial:
    fault: int  # position in the list of faults wanted
    check: int  # position in the judge's checks of the form
    row: int
    proposal: Proposal


def inject(
    work: Work,
    form: Form,
    judge: Judge,
    rates: Rates,
    setting: Setting,
    dropped: frozenset[str] = frozenset(),
    also: frozenset[str] = frozenset(),
) -> list[tuple[str, str]]:
    """Put faults into one form's records; the checks (rule, field) for which none could be put in.

    ``dropped``: columns the file will not have, so that nothing can be wrong in them. ``also``: rules to stand for
    whatever ``rates.share`` says, among them rules with a recipe that did not succeed.
    """
    chance = work.institution.chance(0, "inject", form.form_id, setting.chance.whole(0, 10**6))
    checks = judge.checks[form.form_id]
    pool = _Pool(work, form)
    able = [
        n
        for n, check in enumerate(checks)
        if not check.reads & dropped
        and (check.rule.rule_id not in RECIPES or check.rule.rule_id in also)
        and (check.rule.valid_from is None or check.rule.valid_from <= work.times.snapshot)
    ]
    wanted, pressing = _wanted(checks, able, form.form_id, sorted(work.frames), pool.size, rates, also, chance)
    room = max(int(pool.size * rates.fullest), 1)
    tasks = _Tasks(work, form, judge, checks, wanted, setting, chance)
    left = tasks.run(pool, list(range(min(room, len(wanted)))), range(len(_PROPOSALS)))
    waiting = left + list(range(room, pressing))
    for layer in range(_LAYERS):
        faulty = _Pool(work, form, tasks.meant)
        if not waiting or not tasks.meant:
            break
        # As many as there are records, the others wait for the next layer: with all of them tried at once, most trials
        # would be for nothing.
        now = waiting[: 2 * faulty.size]
        again = tasks.run(faulty, now, [min(layer, 1)])
        if len(again) == len(now) and len(now) == len(waiting):
            waiting = tasks.run(faulty, waiting, [2])
            break
        waiting = waiting[len(now) :] + again
    needy = [n for n in waiting if n < pressing]  # what fits on none of them takes a sound record after all
    if needy:
        waiting = tasks.run(_Pool(work, form), needy, [2]) + [n for n in waiting if n >= pressing]
    return [(checks[wanted[n]].rule.rule_id, checks[wanted[n]].field) for n in waiting]


@dataclass
class _Tasks:
    """The faults wanted on one form. ``wanted``: the check each is to violate; ``meant``: what each record carries."""

    work: Work
    form: Form
    judge: Judge
    checks: Sequence[RuleCheck]
    wanted: Sequence[int]
    setting: Setting
    chance: Chance
    meant: dict[int, set[int]] = field(default_factory=dict)  # _row → positions of checks

    def run(self, pool: _Pool, left: list[int], rounds: Iterable[int]) -> list[int]:
        """Try to put the faults ``left`` on records of the pool, round by round harder; those still left."""
        for round_ in rounds:
            tried: set[int] = set()
            trials: list[_Trial] = []
            for n in left:
                place = self.wanted[n]
                # A second fault of one kind is tried less often: what works for the first works for it.
                limit = _PROPOSALS[round_] if place not in tried or round_ else 3
                tried.add(place)
                trials += _trials(
                    n, place, self.checks, self.form, pool, self.setting, self.chance, limit, _TRIALS + 2 * round_
                )
            if not trials:
                break
            rows, cells = _written(pool, trials, self.form, self.work)
            violated = self.judge.violations_tried(self.form, rows)
            carried = [self.meant.get(number, set()) for number in rows["_row"].to_list()]
            done = _choose(trials, violated, carried, pool)
            _put_in(self.work, self.form, rows, cells, trials, done, self.checks)
            for t in done.values():
                self.meant.setdefault(rows["_row"][t], set()).add(trials[t].check)
            left = [n for n in left if n not in done]
        return left


def _wanted(
    checks: Sequence[RuleCheck],
    able: list[int],
    form_id: str,
    delivered: Sequence[str],
    size: int,
    rates: Rates,
    also: frozenset[str],
    chance: Chance,
) -> tuple[list[int], int]:
    """Positions of the checks to violate, one entry a fault; how many of them must be put in if there is no room too.

    Record rules first, as there are more fields than rules. Where rules are dealt out, those of this form alone come
    first, then the generic rules dealt to it, then the other generic ones as long as there is room.
    """
    by_rule: dict[str, list[int]] = {}
    for n in able:
        by_rule.setdefault(checks[n].rule.rule_id, []).append(n)
    part, parts = rates.share
    wanted: list[tuple[tuple[int, int], int]] = []
    for position, rule_id in enumerate(sorted({check.rule.rule_id for check in checks})):
        members = by_rule.get(rule_id)
        if not members or (position % parts != part and rule_id not in also):
            continue
        expected = size / rates.per_records
        count = max(rates.at_least, int(expected) + int(chance.uniform(1)[0] < expected % 1))
        order = [members[int(n)] for n in chance.order(len(members))]
        if rates.every_field:
            count = max(count, len(members))
        rule = checks[order[0]].rule
        dealt = 0
        forms = [one for one in delivered if one in rule.form_ids]
        if rates.dealt and len(forms) > 1:
            dealt = 1 if forms[sum(map(ord, rule_id)) % len(forms)] == form_id else 2
        wanted += [((dealt, int(rule.per_field is not None)), order[n % len(order)]) for n in range(count)]
    wanted.sort(key=lambda one: one[0])
    own = sum(kind <= (1, 0) for kind, _ in wanted)  # of rules that no other form stands for
    return [n for _, n in wanted], own if rates.dealt else len(wanted)


class _Pool:
    """A form's records that may carry a fault: not yet touched; of reserved people only if nothing counted changes.

    ``faulty``: those records instead, which carry a fault already.
    """

    def __init__(self, work: Work, form: Form, faulty: Collection[int] = ()) -> None:
        rows = work.frames[form.form_id]
        taken = pl.col("_row").is_in(sorted(faulty or work.touched[form.form_id]))
        self.rows = work.lake_rows(form.form_id, rows.filter(taken if faulty else ~taken))
        self.reserved = self.rows["_person"].is_in(sorted(work.reserved)).to_numpy()
        self.form = form
        self.size = self.rows.height
        self.free = np.ones(self.rows.height, dtype=bool)
        self.safe = _safe(work, form, self.rows)
        self.served = _day_numbers(self.rows[form.service_date])
        service, birth = self.served, _day_numbers(self.rows["birth_date"])
        self.age = ((service - birth) / 365.2425).astype(np.int64)
        self.age_today = ((work.times.today - birth) / 365.2425).astype(np.int64)
        self.sex = self.rows["sex_code"].to_numpy()
        self.counted = _COUNTED_EVERYWHERE | _COUNTED.get(form.form_id, frozenset())
        self._filled: dict[str, Bools] = {}

    def filled(self, name: str) -> Bools:
        if name not in self._filled:
            self._filled[name] = self.rows[name].is_not_null().to_numpy()
        return self._filled[name]

    def fitting(self, proposal: Proposal, rule: Rule, count: int, chance: Chance) -> Ints:
        """Positions of some records the proposal fits, the most suitable that there are."""
        mask = self.free.copy()
        for limit, keeps in ((rule.valid_from, np.greater_equal), (rule.valid_to, np.less_equal)):
            if limit is not None:
                mask &= keeps(self.served, day_number(limit))
        if proposal.sex is not None and (mask & (self.sex == proposal.sex)).any():
            mask &= self.sex == proposal.sex
        for name in proposal.filled:
            if not (mask & self.filled(name)).any():
                return np.array([], dtype=np.int64)
            mask &= self.filled(name)
        if self.counted & set(proposal.cells):
            for kind in (self.safe & ~self.reserved, ~self.reserved, self.safe):
                if (mask & kind).any():
                    mask &= kind
                    break
            else:
                return np.array([], dtype=np.int64)
        places = np.flatnonzero(mask)
        for wanted, ages in ((proposal.age, self.age), (proposal.age_today, self.age_today)):
            if wanted is not None and len(places):
                near = np.lexsort((chance.uniform(len(places)), np.abs(ages[places] - wanted)))
                places = places[near[: count * 3]]
        if len(places) <= count:
            return places
        if len(places) > 50 * count:  # drawing a few twice over is cheaper than shuffling all
            return np.unique(places[chance.integers(count, 0, len(places) - 1)])
        return places[chance.order(len(places))[:count]]


def _safe(work: Work, form: Form, rows: pl.DataFrame) -> Bools:
    """Records that no cross rule would miss."""
    times = work.times
    served = _day_numbers(rows[form.service_date])
    if form.form_id == "resident_profile":
        with_services = set()
        for form_id, others in work.frames.items():
            if form_id != "resident_profile":
                with_services |= set(others["_person"].to_list())
        active = (rows["archive_status"] == "1").fill_null(False).to_numpy()
        lonely = ~rows["_person"].is_in(list(with_services)).to_numpy() & active
        fresh = lonely & (served > times.basis_end)
        return fresh if fresh.sum() >= 30 else lonely
    if form.form_id == "chronic_registry":
        ended = rows["end_date"].cast(pl.Int32).fill_null(10**6).to_numpy() < times.period_start
        return ended | ~rows["disease"].is_in(["HTN", "T2DM"]).fill_null(True).to_numpy()
    earlier = served < times.period_start
    if form.form_id in ("htn_followup", "t2dm_followup"):
        before = rows.select(
            pl.when(pl.col(form.service_date) < to_date(times.period_start))
            .then(pl.col(form.service_date))
            .max()
            .over("_person")
        ).to_series()
        last = (rows[form.service_date] == before).fill_null(False).to_numpy()
        return earlier & ~last
    return earlier


def _day_numbers(dates: pl.Series) -> Ints:
    """Days since 1970-01-01 of dates or times; of nothing a day far in the future."""
    return dates.cast(pl.Date).cast(pl.Int32).fill_null(10**6).to_numpy().astype(np.int64)


def _trials(
    n: int,
    place: int,
    checks: Sequence[RuleCheck],
    form: Form,
    pool: _Pool,
    setting: Setting,
    chance: Chance,
    limit: int,
    count: int,
) -> list[_Trial]:
    found: list[_Trial] = []
    offered = proposals(checks[place], form, setting)
    if len(offered) > limit:
        keep = sorted(chance.order(len(offered))[:limit])
        offered = [offered[int(one)] for one in keep]
    for proposal in offered:
        for row in pool.fitting(proposal, checks[place].rule, count, chance):
            if proposal.where is None or proposal.where(pool.rows.row(int(row), named=True)):
                found.append(_Trial(n, place, int(row), proposal))
    return found


def _written(pool: _Pool, trials: list[_Trial], form: Form, work: Work) -> tuple[pl.DataFrame, list[dict[str, Cell]]]:
    """The trials' records with their cells written."""
    rows = pool.rows[[trial.row for trial in trials]]
    needed = {"archive_no", "person_name", "id_card_no", "sex_code", "birth_date", form.service_date}
    needed |= {name for trial in trials for name in trial.proposal.cells} | {n for n in ("phone",) if form.has(n)}
    dicts = rows.select(sorted(needed)).to_dicts()
    given: dict[str, dict[int, Any]] = {}  # field → place → what is written
    for place, (trial, row) in enumerate(zip(trials, dicts, strict=True)):
        for name, written in trial.proposal.cells.items():
            given.setdefault(name, {})[place] = written(row) if callable(written) else written
    cells: list[dict[str, Cell]] = [{} for _ in trials]
    for name, places in given.items():
        for place, cell in zip(places, read_all(list(places.values()), form.field(name), work.cat), strict=True):
            cells[place][name] = cell
    return typed_rows(rows, cells), cells


def _choose(
    trials: list[_Trial], violated: list[frozenset[int]], carried: Sequence[set[int]], pool: _Pool
) -> dict[int, int]:
    """For each fault the trial taken: the fewest violations, on a record not taken yet, whose own faults stay."""
    good = [
        t
        for t in range(len(trials))
        if trials[t].check in violated[t] and carried[t] <= violated[t] - {trials[t].check}
    ]
    good.sort(key=lambda t: (len(violated[t]), t))
    by_fault: dict[int, list[int]] = {}
    for t in good:
        by_fault.setdefault(trials[t].fault, []).append(t)
    done: dict[int, int] = {}
    # Faults with few choices first, or others would take their records.
    for fault in sorted(by_fault, key=lambda one: (len({trials[t].row for t in by_fault[one]}), one)):
        for t in by_fault[fault]:
            if pool.free[trials[t].row]:
                pool.free[trials[t].row] = False
                done[fault] = t
                break
    return done


def _put_in(
    work: Work,
    form: Form,
    rows: pl.DataFrame,
    cells: list[dict[str, Cell]],
    trials: list[_Trial],
    done: dict[int, int],
    checks: Sequence[RuleCheck],
) -> None:
    chosen = sorted(done.values())
    if not chosen:
        return
    made = rows[chosen]
    numbers = made["_row"].to_list()
    work.replace(
        form.form_id,
        made.drop([name for name in made.columns if name.endswith(RAW)]),
        dict(zip(numbers, [cells[t] for t in chosen], strict=True)),
    )
    for t, number in zip(chosen, numbers, strict=True):
        check = checks[trials[t].check]
        work.faults.append(Fault(check.rule.rule_id, form.form_id, check.field, row=number))
