"""Which of several plans is meant where none is named.

Belongs here: choosing. Does not belong here: what a plan says (``catalogue``), its job (``jobs``).
"""

from __future__ import annotations

from phqc_pipeline.catalogue import Catalogue, Plan


def main_plan(cat: Catalogue) -> Plan | None:
    """The plan that runs when deliveries arrive: of those at work the widest, of equals the first."""
    active = [plan for plan in cat.plans.values() if plan.active]
    return min(
        active,
        key=lambda plan: (plan.sampling is not None, plan.institutions is not None, plan.forms is not None),
        default=None,
    )
