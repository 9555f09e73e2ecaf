"""What a quantity costs: unit prices, tiers, least amounts, parts of a year. Decimal throughout.

Belongs here: from a quantity to an amount in yuan. Does not belong here: where the quantity comes from (``charges``).
"""

from __future__ import annotations

from calendar import isleap
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

from phqc_pipeline.billing.money import round_amount
from phqc_pipeline.catalogue.pricing import Pricing, Tier

#: Division by the days of a year has no end; fifty digits decide every rounding of a sum of eighteen.
_PRECISION = 50
_SHOWN = Decimal("0.0001")
_YEARS_SHOWN = Decimal("0.000001")


@dataclass(frozen=True)
class Price:
    """``exact``: yuan, to four decimals; ``amount``: payable, rounded as ordered. ``years``: years charged for;
    ``is_minimum``: the least amount stands in for a smaller one."""

    exact: Decimal
    amount: Decimal
    years: Decimal
    is_minimum: bool = False


def price_of(
    quantity: int,
    unit_price: Decimal,
    pricing: Pricing,
    rounding: str,
    *,
    service_from: date,
    service_to: date,
    minimum: Decimal | None = None,
) -> Price:
    """What ``quantity`` costs. ``minimum``: the order's own least amount, before that of its kind of price.

    Rounded once, from the exact amount and not from the four decimals shown. Raises ValueError for an unknown rounding.
    """
    with localcontext() as context:
        context.prec = _PRECISION
        years = service_years(service_from, service_to) if pricing.by_days else Fraction(1)
        # Multiplied before it is divided: what comes out even must not fall a hair short of it and be rounded down.
        exact = _by_tiers(quantity, unit_price, pricing) * years.numerator / years.denominator
        least = minimum if minimum is not None else pricing.minimum
        is_minimum = least is not None and exact < least
        if is_minimum:
            assert least is not None
            exact = least
        told = (Decimal(years.numerator) / years.denominator).quantize(_YEARS_SHOWN, ROUND_HALF_UP)
        return Price(exact.quantize(_SHOWN, ROUND_HALF_UP), round_amount(exact, rounding), told, is_minimum)


def service_years(service_from: date, service_to: date) -> Fraction:
    """Years from the first day to the last, both included; the rest of a year by its days.

    An end written as the anniversary (2024-11-01 to 2025-11-01, as the founding contract has it) is whole years.
    """
    years = 0
    while _years_later(service_from, years + 1).toordinal() <= service_to.toordinal() + 1:
        years += 1
    begun = _years_later(service_from, years)
    days = service_to.toordinal() - begun.toordinal() + 1
    if years and days == 1:
        days = 0
    return years + Fraction(days, (_years_later(service_from, years + 1) - begun).days)


def _years_later(day: date, years: int) -> date:
    """The same day ``years`` on; 29 February becomes 1 March in a common year."""
    year = day.year + years
    if (day.month, day.day) == (2, 29) and not isleap(year):
        return date(year, 3, 1)
    return day.replace(year=year)


def _by_tiers(quantity: int, unit_price: Decimal, pricing: Pricing) -> Decimal:
    if pricing.basis == "flat":
        return unit_price
    if not pricing.tiers:
        return quantity * unit_price
    if pricing.whole_quantity:
        tier = next(tier for tier in pricing.tiers if tier.up_to is None or quantity <= tier.up_to)
        return quantity * _tier_price(tier, unit_price)
    total, start = Decimal(0), 0
    for tier in pricing.tiers:
        end = quantity if tier.up_to is None else min(quantity, tier.up_to)
        total += max(0, end - start) * _tier_price(tier, unit_price)
        start = max(start, end)
    return total


def _tier_price(tier: Tier, unit_price: Decimal) -> Decimal:
    if tier.unit_price is not None:
        return tier.unit_price
    assert tier.factor is not None
    return tier.factor * unit_price
