"""Pricing kinds and terms of orders, as ``rules/pricing.yaml`` says them (``billing_terms`` reads it).

Belongs here: the objects. Does not belong here: working out a price (``billing.pricing``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from decimal import Decimal
from typing import Literal

#: What an order without a ``pricing`` of its own is priced by: reported figure × unit price (the founding contract).
DEFAULT_PRICING = "per_reported_record"

Basis = Literal["reported", "judged", "flat"]


@dataclass(frozen=True)
class Tier:
    """Records up to and including the ``up_to``-th (None: all further ones) at ``unit_price`` yuan, or at ``factor`` ×
    the order's unit price."""

    up_to: int | None
    unit_price: Decimal | None = None
    factor: Decimal | None = None


@dataclass(frozen=True)
class Pricing:
    """One kind of price.

    ``basis``: ``reported`` the report's cell, ``judged`` records judged (a record once a month), ``flat`` a lump sum.
    ``tiers``: none, or by quantity; ``whole_quantity``: all records at the price of the tier the quantity falls in.
    ``minimum``: least amount in yuan. ``by_days``: a service shorter than its years is charged by days.
    ``credit``: a report corrected downwards is credited.
    """

    pricing_id: str
    title: str
    basis: Basis = "reported"
    tiers: tuple[Tier, ...] = ()
    whole_quantity: bool = False
    minimum: Decimal | None = None
    by_days: bool = False
    credit: bool = True


FOUNDING = Pricing(DEFAULT_PRICING, "按上报数计费（元/人/年）")


@dataclass(frozen=True)
class BillingTerms:
    """Terms of every order. Days are calendar days; ``support_from``, ``support_to``: hours of a working day.

    ``access_service_hours``: service hours after payment within which access is to be open.
    """

    payment_grace_days: int = 0
    service_grace_days: int = 0
    renewal_notice_months: int = 1
    orders_cover_below: bool = True
    support_from: time = time(10, 0)
    support_to: time = time(19, 30)
    access_service_hours: Decimal = Decimal(8)
    pricing: Mapping[str, Pricing] = field(default_factory=lambda: {DEFAULT_PRICING: FOUNDING})
