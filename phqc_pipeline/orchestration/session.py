"""What every stage of a run needs, read once a run: home, catalogue, plan, registry, the books of deliveries.

Belongs here: reading and remembering, and whom the plan judges. Does not belong here: what a stage does (``stages``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from phqc_pipeline.billing import Order, entitled, read_orders, read_report_history
from phqc_pipeline.billing.evidence import History
from phqc_pipeline.catalogue import Catalogue, Context, Plan, Scheme, for_plan
from phqc_pipeline.extracts import Books, Delivery, HeldBack, Registry, read_registry
from phqc_pipeline.home import Home
from phqc_pipeline.warehouse import list_nights, part_of, read_night


def strangers_said(home: Home, registry: Registry, codes: Iterable[str]) -> str:
    """Which of these institutions nobody knows, in Chinese; empty text: all are registered or have delivered."""
    known = set() if registry.institutions is None else set(registry.institutions["institution_code"])
    strangers = [code for code in codes if code not in known and not (home.landing / code).is_dir()]
    return f"没有机构 {'、'.join(strangers)}：registry/institution.csv 里没有，也没有交付过" if strangers else ""


@dataclass
class Session:
    """One run on one home, by the catalogue as it was when the run began.

    ``cat``: as the plan has it (``for_plan``); ``base``: as it is written, for nights of other plans (None: ``cat``).
    ``only``: the institutions a run by hand is limited to; ``dates``: those it judges instead of its partition's.
    """

    home: Home
    cat: Catalogue
    plan_id: str
    run_id: str
    base: Catalogue | None = None
    only: tuple[str, ...] = ()
    dates: tuple[date, ...] = ()
    _others: dict[tuple[str, tuple[str, ...]], Session] = field(default_factory=dict, init=False, repr=False)
    _histories: dict[tuple[date, int, frozenset[str]], History] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def registry(self) -> Registry:
        return read_registry(self.home, self.base or self.cat)

    @property
    def plan(self) -> Plan:
        return self.cat.plans[self.plan_id]

    @cached_property
    def scheme(self) -> Scheme:
        """The plan's scheme, on the plan's forms alone."""
        scheme, forms = self.cat.schemes[self.plan.scheme], self.plan.forms
        if forms is None:
            return scheme
        taken = {
            form_id: frozenset(
                rule.rule_id
                for rule in self.cat.rules
                if form_id in rule.form_ids and scheme.takes(rule.rule_id, form_id)
            )
            for form_id in forms
        }
        return replace(scheme, chosen=taken, rules=tuple(sorted(frozenset[str]().union(*taken.values()))))

    @property
    def rules(self) -> Mapping[str, Collection[str]] | None:
        """Form → ids of the rules judged on it; None: every rule."""
        scheme = self.scheme
        if scheme.chosen is not None or scheme.rules is None:
            return scheme.chosen
        return dict.fromkeys(self.cat.forms, frozenset(scheme.rules))

    @cached_property
    def books(self) -> Books:
        """As they were at the first look; ``reread_books`` once deliveries were taken in."""
        return Books(self.home, self.cat)

    def reread_books(self) -> None:
        self.__dict__.pop("books", None)

    def context(self, snapshot: date) -> Context:
        """Today is the snapshot date (rules.md 0a.2); the period is the plan's."""
        return self.plan.context(snapshot)

    def everything_in_force(self, snapshot: date) -> list[Delivery]:
        """Every delivery in force on ``snapshot``: what is judged is compared with all of it, and all is published."""
        return self.books.in_force(snapshot)

    def held_back(self, snapshot: date) -> list[HeldBack]:
        return self.books.held_back(snapshot)

    def in_force(self, snapshot: date) -> list[Delivery]:
        """The deliveries in force on ``snapshot`` that the plan judges: reports always, forms and institutions as
        it says."""
        forms, institutions = self.plan.forms, set(self.institutions(snapshot))
        return [
            delivery
            for delivery in self.everything_in_force(snapshot)
            if delivery.institution_code in institutions
            and (forms is None or delivery.form_id in forms or delivery.form_id in self.cat.reports)
        ]

    def institutions(self, snapshot: date) -> list[str]:
        """Every institution that had delivered anything by ``snapshot`` and that the plan judges, in order of code."""
        left_out = self._left_out(snapshot)
        return [code for code in self._delivering(snapshot) if code not in left_out]

    def judged_or_why_not(self, snapshot: date) -> dict[str, str]:
        """Every institution known → why the plan does not judge it; empty text: it does."""
        left_out, delivering = self._left_out(snapshot), set(self._delivering(snapshot))
        refused = self.refused(snapshot)
        in_force = {delivery.institution_code for delivery in self.everything_in_force(snapshot)}
        parents = self._parents()
        found: dict[str, str] = {}
        for code in sorted({*parents, *delivering, *left_out}):
            if code in left_out:
                found[code] = left_out[code]
            elif code not in delivering:
                found[code] = f"由上级机构 {parents[code]} 交付" if parents.get(code) else "没有交付过任何文件"
            elif code in refused:
                found[code] = refused[code]
            else:
                found[code] = "" if code in in_force else "交付的文件都没有被采用，原因见 ingest.file"
        return found

    def refused(self, snapshot: date) -> dict[str, str]:
        """Of ``institutions(snapshot)`` those that may not be judged, each with the reason (``billing.entitlement``).

        A payment counts for a past night once a night has been judged, or is among those of this run, that it was made
        by: that is how a backfill judges the past of a service period.
        """
        if self.registry.orders is None:
            return {}
        newest = max((read_night(night)["snapshot_date"] for night in list_nights(self.home)[-1:]), default="")
        until = max([snapshot, *self.dates, *([date.fromisoformat(newest)] if newest else [])])
        told = entitled(
            self.registry,
            self.orders(until),
            self.cat.billing,
            snapshot,
            self.institutions(snapshot),
            known_until=until,
        )
        return {code: reason for code, reason in told.items() if reason is not None}

    def orders(self, until: date, judged: Mapping[tuple[str, str], int] | None = None) -> list[Order]:
        """Every order with its bills by the deliveries up to ``until``. ``judged``: for orders priced by use."""
        registry = self.registry
        return read_orders(
            registry.orders,
            registry.payments,
            self._report_history(until),
            self.cat.billing,
            until,
            payment_working_days=self.cat.settings.payment_working_days,
            judged=judged,
            refunds=registry.refunds,
        )

    def _report_history(self, until: date) -> History:
        """Read once for as long as the books stand as they are: a night asks several times who may be judged."""
        books = self.books
        standing = (until, len(books.records), books.accepted)
        if standing not in self._histories:
            self._histories = {standing: read_report_history(books, self.registry.orders, until)}
        return self._histories[standing]

    def work(self, snapshot: date) -> Path:
        """Where the stages of one night hand things on; worthless once the night is laid down."""
        return self.home.nights / ".work" / snapshot.isoformat()

    def night(self, snapshot: date) -> Path:
        """The folder of this plan's night."""
        return self.home.night(snapshot, self.plan_id, part_of(self.only))

    def of_night(self, told: Mapping[str, Any]) -> Session | None:
        """A session as that of a night (``night.json``), by this run's catalogue; None when its plan is no more."""
        plan_id, only = str(told["plan_id"]), tuple(told.get("only", ()))
        base = self.base or self.cat
        if (plan_id, only) == (self.plan_id, self.only):
            return self
        if plan_id not in base.plans or not base.plans[plan_id].active:
            return None
        if (plan_id, only) not in self._others:
            self._others[plan_id, only] = replace(self, cat=for_plan(base, plan_id), plan_id=plan_id, only=only)
        return self._others[plan_id, only]

    def _left_out(self, snapshot: date) -> dict[str, str]:
        """Institutions that the plan or a run by hand leaves out → why."""
        wanted, codes = self.plan.institutions, {*self._delivering(snapshot), *self._parents()}
        found: dict[str, str] = {}
        if wanted is not None:
            found = {code: "不在计划的机构范围内" for code in codes if code not in wanted}
        if self.only:
            found |= {code: "本次手工运行没有包括它" for code in codes if code not in self.only and code not in found}
        return found

    def _delivering(self, snapshot: date) -> list[str]:
        return self.books.files(snapshot)["institution_code"].unique().sort().to_list()

    def _parents(self) -> dict[str, str | None]:
        """Registered institution → the one above it."""
        known = self.registry.institutions
        if known is None:
            return {}
        return dict(known.select("institution_code", "parent_code").iter_rows())
