"""Amounts: rounding as the order says, and the words that stand on a Chinese bill."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal

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


def amount_of_words(words: str) -> Decimal:
    """The amount in yuan that capital numerals say; the inverse of ``amount_in_words``.

    Raises ValueError for what is no amount in words.
    """
    rest, total, found = words.strip().rstrip("整"), Decimal(0), False
    for unit, worth in (("元", YUAN), ("角", Decimal("0.1")), ("分", FEN)):
        if unit in rest:
            part, rest = rest.split(unit, 1)
            digits = part.lstrip("零") or "零"
            total, found = total + int(cn2an.cn2an(digits, "smart")) * worth, True
    if rest or not found:
        raise ValueError(f"“{words}”不是大写金额")
    return total


def split_amount(total: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """``total`` in parts of whole fen as ``weights`` say, which add up to it exactly; evenly when all weights are 0.

    Fen that do not divide go to the parts cut off the most, the first of equals first.
    """
    if not weights:
        return []
    whole = sum(weights, Decimal(0))
    shares = [weight / whole if whole else Decimal(1) / len(weights) for weight in weights]
    parts = [(total * share).quantize(FEN, rounding=ROUND_DOWN) for share in shares]
    fen_left = int((total - sum(parts, Decimal(0))) / FEN)
    step = FEN if fen_left >= 0 else -FEN
    cut_most = sorted(range(len(parts)), key=lambda at: (-abs(total * shares[at] - parts[at]), at))
    for at in range(abs(fen_left)):
        parts[cut_most[at % len(parts)]] += step
    return parts
