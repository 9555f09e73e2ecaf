"""Amounts: rounding as the order says, and the words that stand on a Chinese bill."""

from __future__ import annotations

from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

import cn2an

FEN = Decimal("0.01")
YUAN = Decimal("1")

#: The roundings an order may name (contract, section 2): unit and direction.
ROUNDINGS: dict[str, tuple[Decimal, str]] = {
    "yuan_down": (YUAN, ROUND_FLOOR),
    "yuan_half_up": (YUAN, ROUND_HALF_UP),
    "fen_half_up": (FEN, ROUND_HALF_UP),
}


def round_amount(exact: Decimal, rounding: str) -> Decimal:
    """The payable amount in yuan with two decimals, rounded as ``rounding`` names.

    Raises ValueError for a rounding that no order may name.
    """
    try:
        unit, direction = ROUNDINGS[rounding]
    except KeyError:
        raise ValueError(f"未知的取整方式 {rounding!r}，可用：{'、'.join(ROUNDINGS)}") from None
    return (exact / unit).quantize(Decimal(1), rounding=direction) * unit + Decimal("0.00")


def round_to_fen(exact: Decimal) -> Decimal:
    """An amount in yuan rounded half up to the fen."""
    return exact.quantize(FEN, rounding=ROUND_HALF_UP)


def amount_in_words(amount: Decimal) -> str:
    """An amount in yuan (at most two decimals, not negative) in capital Chinese numerals: ``陆仟零柒拾柒元整``."""
    if amount < 0 or amount != amount.quantize(FEN):
        raise ValueError(f"只能书写非负且不超过两位小数的金额：{amount}")
    # The text, not a float, goes in: 0.1 + 0.2 must not reach a bill.
    return str(cn2an.an2cn(format(amount.quantize(FEN), "f"), "rmb"))
