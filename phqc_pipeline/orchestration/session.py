"""What every stage of a run needs, read once a run: home, catalogue, plan, registry, the books of deliveries.

Belongs here: reading and remembering. Does not belong here: what a stage does (``stages``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

from phqc_pipeline.billing import Order, entitled, read_orders, read_report_history
from phqc_pipeline.catalogue import Catalogue, Context, Plan, Scheme
from phqc_pipeline.extracts import Books, Delivery, Registry, read_registry
from phqc_pipeline.home import Home
from phqc_pipeline.warehouse import list_nights, read_night


@dataclass
class Session:
    """One run on one home, by the catalogue as it was when the run began."""

    home: Home
    cat: Catalogue
    plan_id: str
    run_id: str

    @cached_property
    def registry(self) -> Registry:
        return read_registry(self.home)

    @property
    def plan(self) -> Plan:
        return self.cat.plans[self.plan_id]

    @property
    def scheme(self) -> Scheme:
        return self.cat.schemes[self.plan.scheme]

    @property
    def books(self) -> Books:
        """Read anew each time: taking in deliveries changes them."""
        return Books(self.home, self.cat)

    def context(self, snapshot: date) -> Context:
        """Today is the snapshot date (rules.md 0a.2); the period is the plan's."""
        return Context.natural_year(snapshot)

    def in_force(self, snapshot: date) -> list[Delivery]:
        """The deliveries in force on ``snapshot`` that the plan judges: reports always, forms and institutions as
        it says."""
        plan = self.plan
        return [
            delivery
            for delivery in self.books.in_force(snapshot)
            if (plan.institutions is None or delivery.institution_code in plan.institutions)
            and (plan.forms is None or delivery.form_id in plan.forms or delivery.form_id in self.cat.reports)
        ]

    def institutions(self, snapshot: date) -> list[str]:
        """Every institution that had delivered anything by ``snapshot`` and that the plan judges, in order of code."""
        codes = self.books.files(snapshot)["institution_code"].unique().sort().to_list()
        wanted = self.plan.institutions
        return [code for code in codes if wanted is None or code in wanted]

    def refused(self, snapshot: date) -> dict[str, str]:
        """Of ``institutions(snapshot)`` those that may not be judged, each with the reason (``billing.entitlement``).

        A payment counts for a past night once a night has been judged that it was made by: that is how a backfill
        judges the past of a service period.
        """
        if self.registry.orders is None:
            return {}
        newest = max((read_night(night)["snapshot_date"] for night in list_nights(self.home)[-1:]), default="")
        until = max(snapshot, date.fromisoformat(newest)) if newest else snapshot
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
        registry, books = self.registry, self.books
        return read_orders(
            registry.orders,
            registry.payments,
            read_report_history(books, registry.orders, until),
            self.cat.billing,
            until,
            payment_working_days=self.cat.settings.payment_working_days,
            judged=judged,
        )

    def work(self, snapshot: date) -> Path:
        """Where the stages of one night hand things on; worthless once the night is laid down."""
        return self.home.nights / ".work" / snapshot.isoformat()
