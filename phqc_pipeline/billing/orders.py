"""Orders as they stand on a day: what is owed, what is paid, and the state that follows from dates and payments.

Belongs here: one ``OrderLine`` a row of ``order.csv``, its bill's versions, its state. States are derived, never typed
in. Does not belong here: reading the registry (``extracts.registry``), tables to publish (``tables``).
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from phqc_pipeline.billing.evidence import Cell, History, ReportedCell
from phqc_pipeline.billing.money import ROUNDINGS
from phqc_pipeline.billing.versions import Version, bill_versions
from phqc_pipeline.billing.working_days import CalendarUnknownError, add_working_days
from phqc_pipeline.catalogue.pricing import DEFAULT_PRICING, BillingTerms, Pricing

#: States and what people call them.
STATES = {
    "draft": "未签订",
    "awaiting_payment": "待付款",
    "active": "在期",
    "expiring": "即将到期",
    "expired": "已到期",
    "defaulted": "违约",
}


#: No order comes to as many yuan: a slip of the pen, which must not stop the bills of all others.
_IMPOSSIBLE = 10**10


@dataclass(frozen=True)
class OrderLine:
    """One institution's line of an order. Amounts and prices in yuan; ``problem``: why it cannot be priced, or empty.
    ``due_on``: working days after signing; of what is charged by use, after the service. ``due_problem``: why a signed
    line has none (also part of ``problem``).

    ``pricing``: None when the order names a kind that ``rules/pricing.yaml`` does not have. ``payment_days``: working
    days after signing, where the order says so itself.
    """

    order_no: str
    institution_code: str
    cell: Cell
    unit_price: Decimal
    currency: str
    rounding: str
    signed_on: date | None
    service_from: date
    service_to: date
    penalty_rate: Decimal | None
    pricing_id: str
    pricing: Pricing | None
    minimum: Decimal | None
    payment_days: int | None
    due_on: date | None
    problem: str
    due_problem: str = ""

    @property
    def by_use(self) -> bool:
        """Whether it is charged by the records judged."""
        return self.pricing is not None and self.pricing.basis == "judged"

    def in_service(self, day: date, grace_days: int = 0) -> bool:
        """Both ends of the service period count, and ``grace_days`` after it."""
        return self.service_from <= day <= self.service_to + timedelta(days=grace_days)


@dataclass(frozen=True)
class Order:
    """All lines of one order number, its payments (day, amount; oldest first; refunds are negative) and the versions
    of each line's bill.

    An order is paid for as a whole: its lines are settled together.
    """

    order_no: str
    lines: tuple[OrderLine, ...]
    payments: tuple[tuple[date, Decimal], ...] = ()
    versions: Mapping[Cell, tuple[Version, ...]] = field(default_factory=dict)

    def is_draft(self, line: OrderLine, day: date) -> bool:
        """Whether the line is not signed by ``day``. It owes nothing yet: its amount is an offer. An order that was
        paid for counts as signed."""
        unsigned = line.signed_on is None or day < line.signed_on
        return unsigned and not self.ended(day) and not self.settled(day)

    def owes(self, line: OrderLine, day: date) -> Decimal | None:
        """What one line owes by ``day``: nothing while it is a draft, or once all that was paid has been paid back;
        None while it cannot be priced."""
        if self.ended(day) or self.is_draft(line, day):
            return Decimal("0.00")
        version = self.version(line, day)
        return version.amount if version else None

    def paid(self, day: date) -> Decimal:
        """Paid up to and including ``day``, less what was paid back."""
        return sum((amount for on, amount in self.payments if on <= day), Decimal("0.00"))

    def received(self, day: date, refunds_until: date | None = None) -> list[tuple[date, Decimal]]:
        """What had come in after each payment up to ``day``, since all of it was last paid back; nothing once it was.

        What the seller pays back in part opens no debt of the buyer's. ``refunds_until``: leave out later refunds.
        """
        found: list[tuple[date, Decimal]] = []
        kept, total = Decimal(0), Decimal("0.00")
        for on, amount in self.payments:
            if on > (day if amount >= 0 else refunds_until or day):
                continue
            kept += amount
            if amount >= 0:
                total += amount
                found.append((on, total))
            elif kept <= 0:
                found, kept, total = [], Decimal(0), Decimal("0.00")
        return found

    def ended(self, day: date) -> bool:
        """Whether all that was ever paid has been paid back by ``day``: the parties ended the order."""
        known = [amount for on, amount in self.payments if on <= day]
        return min(known, default=Decimal(0)) < 0 < max(known, default=Decimal(0)) and sum(known) <= 0

    def owed(self, day: date) -> Decimal | None:
        """What all lines owe on ``day``; None when no line can be priced yet."""
        amounts = [amount for line in self.lines if (amount := self.owes(line, day)) is not None]
        return sum(amounts, Decimal("0.00")) if amounts else None

    def version(self, line: OrderLine, day: date) -> Version | None:
        """The version of a line's bill that holds on ``day``: the last one made by then."""
        return next((one for one in reversed(self.versions.get(line.cell, ())) if one.made_on <= day), None)

    def first_bill(self, day: date) -> Decimal | None:
        """What all lines came to as first billed, of those billed by ``day``."""
        firsts = [made[0].amount for made in self.versions.values() if made and made[0].made_on <= day]
        return sum(firsts, Decimal("0.00")) if firsts else None

    def settled(self, day: date, refunds_until: date | None = None) -> bool:
        """Whether what was billed first, or what is owed now if that is less, is paid in full.

        A report corrected upwards later leaves a balance (an adjustment with a due date of its own), not a closed door.
        As long as nothing can be priced, any payment settles: the parties agreed on it by other means.
        ``refunds_until``: what was paid back later leaves what was settled before as it was.
        """
        told = self.received(day, refunds_until)
        if not told and self.ended(refunds_until or day):
            return False
        received, needed = told[-1][1] if told else Decimal(0), self._needed(day)
        return received > 0 if needed is None else received >= needed

    def _needed(self, day: date) -> Decimal | None:
        """What settles the order by the bills made by ``day``; None while there is none.

        What is charged by use is known once the service is over; until then any payment, in advance, settles it.
        """
        open_bills = [line for line in self.lines if line.by_use and day <= line.service_to]
        lines = [line for line in self.lines if line not in open_bills]
        amounts = [found.amount for line in lines if (found := self.version(line, day))]
        first = self.first_bill(day)
        return min(sum(amounts, Decimal("0.00")), first) if amounts and first is not None else None

    def settled_on(self, day: date) -> date | None:
        """The day of the payment since which the order is settled, by what is known on ``day``; None when it is not."""
        if not self.settled(day):
            return None
        needed, told = self._needed(day) or Decimal("0.01"), self.received(day)
        return next((on for on, total in told if total >= needed), told[0][0] if told else None)

    def state(self, line: OrderLine, day: date, terms: BillingTerms) -> str:
        """The line's state on ``day``, one of ``STATES``.

        Nobody defaults on what he could not be told: without a known due date (no calendar of that year) or without
        an amount a debt is never called a default.
        """
        if self.ended(day):
            return "expired"
        if self.is_draft(line, day):
            return "draft"
        if not self.settled(day):
            due = line.due_on if self.version(line, day) else None
            late = due is not None and day > due + timedelta(days=terms.payment_grace_days)
            return "defaulted" if late else "expired" if day > line.service_to else "awaiting_payment"
        if day > line.service_to:
            return "expired"
        return "expiring" if day >= notice_day(line.service_to, terms.renewal_notice_months) else "active"


def read_orders(
    orders: pl.DataFrame | None,
    payments: pl.DataFrame | None,
    history: History,
    terms: BillingTerms,
    until: date,
    *,
    payment_working_days: int,
    refunds: pl.DataFrame | None = None,
    judged: Mapping[tuple[str, str], int] | None = None,
) -> list[Order]:
    """Every order of the registry, by number, with the bills that ``history`` up to ``until`` gives.

    ``payment_working_days``: after the day of signing, of an order that does not say otherwise. ``judged``: records
    judged in the service period by (order_no, institution_code), for orders priced by use. ``refunds``: what was paid
    back; a payment and a refund of one day count in this order.
    """
    if orders is None or orders.is_empty():
        return []
    paid: dict[str, list[tuple[date, Decimal]]] = {}
    for row in payments.iter_rows(named=True) if payments is not None else ():
        if row["paid_on"] is not None:
            paid.setdefault(row["order_no"], []).append((row["paid_on"], _decimal(row["amount"])))
    for row in refunds.iter_rows(named=True) if refunds is not None else ():
        paid.setdefault(row["order_no"], []).append((row["refunded_on"], -_decimal(row["amount"])))
    lines: dict[str, list[OrderLine]] = {}
    # One line an institution: a county has hundreds, never a data path of records.
    for row in orders.iter_rows(named=True):
        lines.setdefault(row["order_no"], []).append(_line(row, terms, payment_working_days))
    return [
        _order(order_no, found, sorted(paid.get(order_no, ()), key=_payment_first), history, until, judged or {})
        for order_no, found in sorted(lines.items())
    ]


def notice_day(service_to: date, months: int) -> date:
    """The day ``months`` months before the service ends; the last of a month that has no such day."""
    index = service_to.year * 12 + service_to.month - 1 - months
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(service_to.day, monthrange(year, month)[1]))


def _line(row: Mapping[str, Any], terms: BillingTerms, payment_working_days: int) -> OrderLine:
    problems = []
    pricing_id = row.get("pricing") or DEFAULT_PRICING
    pricing = terms.pricing.get(pricing_id)
    if pricing is None:
        problems.append(f"计费方式 {pricing_id} 不在 rules/pricing.yaml 里")
    if row["rounding"] not in ROUNDINGS:
        problems.append(f"取整方式 {row['rounding']} 未定义")
    due_on, due_problem, own_days = None, "", row.get("payment_working_days")
    # What is charged by use is only known when the service is over.
    begins = row["service_to"] if pricing is not None and pricing.basis == "judged" else row["signed_on"]
    try:
        due_on = add_working_days(begins, own_days or payment_working_days) if row["signed_on"] else None
    except CalendarUnknownError as unknown:
        due_problem = str(unknown)
        problems.append(due_problem)
    cell = (
        row["institution_code"],
        row["basis_report"],
        int(row["basis_year"]),
        row["basis_period"],
        row["basis_item"],
    )
    return OrderLine(
        order_no=row["order_no"],
        institution_code=row["institution_code"],
        cell=cell,
        unit_price=_decimal(row["unit_price"]),
        currency=row["currency"],
        rounding=row["rounding"],
        signed_on=row["signed_on"],
        service_from=row["service_from"],
        service_to=row["service_to"],
        penalty_rate=None if row["penalty_rate"] is None else _decimal(row["penalty_rate"]),
        pricing_id=pricing_id,
        pricing=pricing,
        minimum=None if row.get("minimum_amount") is None else _decimal(row["minimum_amount"]),
        payment_days=own_days,
        due_on=due_on,
        problem="；".join(problems),
        due_problem=due_problem,
    )


def _order(
    order_no: str,
    lines: Sequence[OrderLine],
    payments: Sequence[tuple[date, Decimal]],
    history: History,
    until: date,
    judged: Mapping[tuple[str, str], int],
) -> Order:
    versions: dict[Cell, tuple[Version, ...]] = {}
    finished: list[OrderLine] = []
    for line in sorted(lines, key=lambda line: line.cell):
        cells = [cell for cell in history.get(line.cell, ()) if cell.delivered_on <= until]
        signed_on = line.signed_on or min((on for on, amount in payments if amount > 0), default=None)
        versions[line.cell] = _versions(line, cells, judged.get((order_no, line.institution_code)), signed_on)
        lacking = "" if versions[line.cell] or line.pricing is None else _lacking(line, cells)
        if any(version.amount >= _IMPOSSIBLE for version in versions[line.cell]):
            versions[line.cell], lacking = (), "金额超出一百亿元，请核对单价、最低收费和报表数"
        finished.append(replace(line, problem="；".join(filter(None, (lacking, line.problem)))))
    return Order(order_no, tuple(finished), tuple(payments), versions)


def _versions(
    line: OrderLine, cells: Sequence[ReportedCell], judged: int | None, signed_on: date | None
) -> tuple[Version, ...]:
    if line.pricing is None or line.rounding not in ROUNDINGS:
        return ()
    return bill_versions(
        cells,
        line.pricing,
        unit_price=line.unit_price,
        rounding=line.rounding,
        signed_on=signed_on,
        service_from=line.service_from,
        service_to=line.service_to,
        minimum=line.minimum,
        judged=judged,
    )


def _lacking(line: OrderLine, cells: Sequence[ReportedCell]) -> str:
    """Why there is no bill yet."""
    if line.pricing is not None and line.pricing.basis == "judged":
        return "服务期内还没有质控过记录"
    _, report, year, period, item = line.cell
    told = any(cell.value is not None for cell in cells)
    what = "报表该格不是非负整数，或大得不可能" if told else "未收到报表或该格为空"
    return f"{what}：{report} {year} 年 {period} {item}"


def _payment_first(payment: tuple[date, Decimal]) -> tuple[date, bool, Decimal]:
    on, amount = payment
    return on, amount < 0, amount


def _decimal(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))
