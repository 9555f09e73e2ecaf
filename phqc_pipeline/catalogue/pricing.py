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


#: What a customer asks for, and inspections (服务合同：故障排查处理、不定期巡检、培训指导).
REQUEST_KINDS = ("故障", "咨询", "培训", "需求", "巡检")


@dataclass(frozen=True)
class Deadline:
    """Service hours from a request until it is answered, and until it is settled; None: no deadline."""

    response: Decimal | None = None
    repair: Decimal | None = None


#: Two hours to answer a fault, two service days (of 9.5 hours) to mend it; a question four hours and a day.
DEADLINES: Mapping[str, Deadline] = {
    "故障": Deadline(Decimal(2), Decimal(19)),
    "咨询": Deadline(Decimal(4), Decimal("9.5")),
}


@dataclass(frozen=True)
class BillingTerms:
    """Terms of every order. Days are calendar days; ``support_from``, ``support_to``: hours of a working day.

    ``access_service_hours``: service hours after payment within which access is to be open. ``deadlines``: of service
    requests, by their kind; a kind without an entry has none.
    """

    payment_grace_days: int = 0
    service_grace_days: int = 0
    renewal_notice_months: int = 1
    orders_cover_below: bool = True
    support_from: time = time(10, 0)
    support_to: time = time(19, 30)
    access_service_hours: Decimal = Decimal(8)
    deadlines: Mapping[str, Deadline] = field(default_factory=lambda: DEADLINES)
    pricing: Mapping[str, Pricing] = field(default_factory=lambda: {DEFAULT_PRICING: FOUNDING})
