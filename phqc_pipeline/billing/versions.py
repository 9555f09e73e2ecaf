"""The versions of a bill: a report corrected after billing makes a new one, never an overwrite.

Belongs here: which versions follow from what the deliveries said, and what one differs from the next by.
A pure function of the deliveries in date order, so nights may run in any order and come to the same bills.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from phqc_pipeline.billing.evidence import ReportedCell
from phqc_pipeline.billing.pricing import price_of
from phqc_pipeline.catalogue.pricing import Pricing

#: More people than there are on earth are no count.
_IMPOSSIBLE = 10**10


@dataclass(frozen=True)
class Version:
    """One version of a line's bill, from ``number`` 1; amounts in yuan.

    ``made_on``: the day from which it holds. ``evidence``: the cell that brought it about, ``confirmed``: the newest
    delivery that says the same (both None for what no report decides). ``is_held``: the report was corrected downwards
    and the order gives no credit, so the amount stayed.
    """

    number: int
    made_on: date
    quantity: int
    amount_exact: Decimal
    amount: Decimal
    years: Decimal
    is_minimum: bool = False
    is_held: bool = False
    evidence: ReportedCell | None = None
    confirmed: ReportedCell | None = None


def bill_versions(
    cells: Sequence[ReportedCell],
    pricing: Pricing,
    *,
    unit_price: Decimal,
    rounding: str,
    signed_on: date | None,
    service_from: date,
    service_to: date,
    minimum: Decimal | None = None,
    judged: int | None = None,
) -> tuple[Version, ...]:
    """The versions, oldest first; none while there is nothing to price.

    ``cells``: the report's cell as each delivery had it, oldest first. What the report said last by the day of signing
    is the first bill; deliveries before that, or of an order not signed yet, are no corrections of it. A delivery whose
    cell is empty or no count changes nothing. ``judged``: records judged, where that is what is charged for.
    """
    terms = {"service_from": service_from, "service_to": service_to, "minimum": minimum}

    def version(number: int, made_on: date, quantity: int, cell: ReportedCell | None) -> Version:
        price = price_of(quantity, unit_price, pricing, rounding, **terms)  # type: ignore[arg-type]
        return Version(
            number, made_on, quantity, price.exact, price.amount, price.years, price.is_minimum,
            evidence=cell, confirmed=cell,
        )  # fmt: skip

    if pricing.basis == "flat":
        return (version(1, signed_on or service_from, 1, None),)
    if pricing.basis == "judged":
        return () if judged is None else (version(1, service_from, judged, None),)
    made: list[Version] = []
    for cell in cells:
        quantity = whole(cell.value)
        if quantity is None:
            continue
        if made and made[-1].quantity == quantity:
            made[-1] = replace(made[-1], confirmed=cell)
        elif made and signed_on is not None and cell.delivered_on > signed_on:
            fresh = version(made[-1].number + 1, cell.delivered_on, quantity, cell)
            if not pricing.credit and fresh.amount < made[-1].amount:
                fresh = replace(fresh, amount=made[-1].amount, is_held=True)
            made.append(fresh)
        else:
            made = [version(1, cell.delivered_on, quantity, cell)]
    return tuple(made)


def whole(value: float | None) -> int | None:
    """A reported count as a whole number; a fraction, a negative or an impossible figure is no quantity to bill."""
    if value is None or not 0 <= value < _IMPOSSIBLE or value != int(value):
        return None
    return int(value)
