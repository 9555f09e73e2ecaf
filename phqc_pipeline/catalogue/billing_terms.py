"""``rules/pricing.yaml``: pricing kinds and terms of orders, as data.

Belongs here: reading and checking that file. Does not belong here: what an order costs (``billing``). No fingerprint
covers it: a changed price or period of grace is no reason to judge a night again.
"""

from __future__ import annotations

import re
from datetime import time
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from phqc_pipeline.catalogue.model import Place
from phqc_pipeline.catalogue.pricing import (
    DEFAULT_PRICING,
    FOUNDING,
    REQUEST_KINDS,
    BillingTerms,
    Deadline,
    Pricing,
    Tier,
)
from phqc_pipeline.catalogue.reading import Reader, label, place_of
from phqc_pipeline.catalogue.schema import Closed, Name, Text, wrong

BILLING_FILE = "pricing.yaml"
_AMOUNT = re.compile(r"\d{1,12}(\.\d{1,6})?")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def _amount(value: Any) -> Any:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
        raise wrong(
            f"{value!r} 不是金额或比率", "写不超过 6 位小数的非负数并加引号，如 '0.6'（不加引号会按近似小数读）"
        )
    return Decimal(text)


def _clock(value: Any) -> Any:
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise wrong(f"{value!r} 不是钟点", "写成 '10:00' 的样子并加引号")
    return time(int(found[1]), int(found[2]))


Amount = Annotated[Decimal, BeforeValidator(_amount, json_schema_input_type=str | int)]
Clock = Annotated[time, BeforeValidator(_clock, json_schema_input_type=str)]
Days = Annotated[int, Field(ge=0, le=366)]


class TierIn(Closed):
    up_to: Annotated[int, Field(ge=1)] | None = None
    unit_price: Amount | None = None
    factor: Amount | None = None

    @model_validator(mode="after")
    def _one(self) -> TierIn:
        if (self.unit_price is None) == (self.factor is None):
            raise wrong("unit_price 和 factor 恰好写一个", "写这一档的单价 unit_price，或订单单价的倍数 factor")
        return self


class PricingIn(Closed):
    pricing_id: Name
    title: Text
    basis: Literal["reported", "judged", "flat"] = "reported"
    tiers: list[TierIn] = Field(default_factory=list)
    whole_quantity: bool = False
    minimum: Amount | None = None
    by_days: bool = False
    credit: bool = True
    note: str = ""

    @model_validator(mode="after")
    def _tiers_in_order(self) -> PricingIn:
        ends = [tier.up_to for tier in self.tiers]
        if self.tiers and (ends[-1] is not None or None in ends[:-1]):
            raise wrong("tiers 的最后一档、且只有最后一档不写 up_to", "最后一档写 up_to: null，表示其余全部")
        bounded = [end for end in ends if end is not None]
        if bounded != sorted(set(bounded)):
            raise wrong("tiers 的 up_to 没有由小到大", "把各档按 up_to 由小到大排列，不重复")
        if self.tiers and self.basis == "flat":
            raise wrong("包干价（flat）不分档", "去掉 tiers，或把 basis 改成 reported、judged")
        return self


class DeadlineIn(Closed):
    response: Amount | None = None
    repair: Amount | None = None


class BillingIn(Closed):
    payment_grace_days: Days = BillingTerms.payment_grace_days
    service_grace_days: Days = BillingTerms.service_grace_days
    renewal_notice_months: Annotated[int, Field(ge=0, le=12)] = BillingTerms.renewal_notice_months
    orders_cover_below: bool = BillingTerms.orders_cover_below
    support_from: Clock = BillingTerms.support_from
    support_to: Clock = BillingTerms.support_to
    access_service_hours: Amount = BillingTerms.access_service_hours
    deadlines: dict[str, DeadlineIn] | None = None
    pricing: list[Any] = Field(default_factory=list)

    @model_validator(mode="after")
    def _hours(self) -> BillingIn:
        if self.support_from >= self.support_to:
            raise wrong("服务时间的止点不晚于起点", "support_from 写上班钟点，support_to 写下班钟点")
        strange = sorted(set(self.deadlines or ()) - set(REQUEST_KINDS))
        if strange:
            raise wrong(f"没有服务请求类别 {'、'.join(strange)}", f"deadlines 的类别只写 {'、'.join(REQUEST_KINDS)}")
        return self


def read_billing(reader: Reader) -> BillingTerms:
    """``pricing.yaml``, or the founding contract's terms when there is none."""
    document = reader.document(BILLING_FILE, required=False)
    source = document and reader.check(BillingIn, document.data, document, (), "计费")
    if not document or not source:
        return BillingTerms()
    kinds = {DEFAULT_PRICING: FOUNDING}
    places: dict[str, Place] = {}
    for index, entry in enumerate(source.pricing):
        path = ("pricing", index)
        where = f"计费方式 {label(entry, ['pricing_id'])}"
        kind = reader.check(PricingIn, entry, document, path, where)
        if kind is None or not reader.unique(
            places, kind.pricing_id, place_of(document, path), where, "计费方式编号只用一次"
        ):
            continue
        tiers = tuple(Tier(**tier.model_dump()) for tier in kind.tiers)
        kinds[kind.pricing_id] = Pricing(**{**kind.model_dump(exclude={"note", "tiers"}), "tiers": tiers})
    told = source.model_dump(exclude={"pricing", "deadlines"}) | {"pricing": kinds}
    if source.deadlines is not None:
        told["deadlines"] = {kind: Deadline(one.response, one.repair) for kind, one in source.deadlines.items()}
    return BillingTerms(**told)
