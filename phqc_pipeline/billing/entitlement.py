"""Who may be judged: an institution's right to quality control is switched on by a paid order, off by its end.

Belongs here: the decision and its reason. Does not belong here: what a night does with it (``orchestration.stages``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date

from phqc_pipeline.billing.orders import Order, OrderLine
from phqc_pipeline.catalogue.pricing import BillingTerms
from phqc_pipeline.extracts import Registry

#: What every reason begins with, so that a reader of ``qc.rule_result`` can tell them from other obstacles.
NOT_ENTITLED = "未开通质控"


def entitled(
    registry: Registry,
    orders: Sequence[Order],
    terms: BillingTerms,
    day: date,
    institutions: Iterable[str],
    *,
    known_until: date | None = None,
) -> dict[str, str | None]:
    """Each institution → None when it may be judged on ``day``, else the reason in Chinese.

    It may when an order of its own, or of an institution above it, is in service on ``day`` and paid for. Without
    ``order.csv`` everybody is judged (contract, section 2). ``known_until``: the newest night of the home; payments up
    to it count, so that a past night of the service period can be judged once its order is paid. A refund counts from
    its day on.
    """
    if registry.orders is None:
        return dict.fromkeys(institutions)
    lines: dict[str, list[tuple[Order, OrderLine]]] = {}
    for order in orders:
        for line in order.lines:
            lines.setdefault(line.institution_code, []).append((order, line))
    until = max(day, known_until or day)
    chain = registry.parents.get if terms.orders_cover_below else (lambda _: None)
    return {code: _obstacle(code, lines, chain, terms, day, until) for code in institutions}


def _obstacle(
    code: str,
    lines: Mapping[str, list[tuple[Order, OrderLine]]],
    above: Callable[[str], str | None],
    terms: BillingTerms,
    day: date,
    until: date,
) -> str | None:
    seen: set[str] = set()
    reasons: list[tuple[int, str]] = []
    here: str | None = code
    while here is not None and here not in seen:
        seen.add(here)
        for order, line in lines.get(here, ()):
            reason = _line_obstacle(order, line, terms, day, until)
            if reason is None:
                return None
            reasons.append(reason)
        here = above(here)
    return f"{NOT_ENTITLED}：{min(reasons)[1] if reasons else '没有它的订单'}"


def _line_obstacle(
    order: Order, line: OrderLine, terms: BillingTerms, day: date, until: date
) -> tuple[int, str] | None:
    """Why this order does not entitle, with how close it came (0 closest: only the payment is missing)."""
    if line.in_service(day, terms.service_grace_days):
        if order.settled(until, refunds_until=day):
            return None
        return 0, f"订单 {order.order_no} {'已全额退款，服务终止' if order.ended(day) else '未付清'}"
    if day < line.service_from:
        return 1, f"订单 {order.order_no} 的服务期从 {line.service_from.isoformat()} 开始"
    return 2, f"订单 {order.order_no} 的服务期已于 {line.service_to.isoformat()} 届满"
