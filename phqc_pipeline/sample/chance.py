"""Chance from a seed: the same draws on every machine and with every numpy.

Belongs here: independent streams named by words, and the few distributions the sample needs.
Does not belong here: what is drawn.

Only ``Generator.random`` is used, because numpy promises nothing about the streams of its distributions between
releases; every distribution here is made from uniform numbers.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# Acklam's rational approximation of the inverse normal distribution: relative error below 1.2e-9.
_A = (
    -3.969683028665376e1,
    2.209460984245205e2,
    -2.759285104469687e2,
    1.383577518672690e2,
    -3.066479806614716e1,
    2.506628277459239,
)
_B = (-5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2, 6.680131188771972e1, -1.328068155288572e1)
_C = (
    -7.784894002430293e-3,
    -3.223964580411365e-1,
    -2.400758277161838,
    -2.549732539343734,
    4.374664141464968,
    2.938163982698783,
)
_D = (7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416)
_TAIL = 0.02425


class Chance:
    """One stream of random numbers. ``Chance(seed, "visits", 3)`` and ``Chance(seed, "exams", 3)`` are independent."""

    def __init__(self, seed: int, *words: str | int) -> None:
        keys = [zlib.crc32(str(word).encode()) for word in words]
        self._generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed & 0xFFFFFFFF, *keys])))

    def uniform(self, size: int, low: ArrayLike = 0.0, high: ArrayLike = 1.0) -> Floats:
        """Numbers in [low, high)."""
        drawn = self._generator.random(size)
        return np.asarray(low + drawn * (np.asarray(high) - np.asarray(low)), dtype=np.float64)

    def integers(self, size: int, low: ArrayLike, high: ArrayLike) -> Ints:
        """Whole numbers in [low, high], both ends included."""
        lowest = np.asarray(low, dtype=np.int64)
        span = np.asarray(high, dtype=np.int64) - lowest + 1
        return np.asarray(lowest + np.floor(self._generator.random(size) * span).astype(np.int64), dtype=np.int64)

    def normal(self, size: int, mean: ArrayLike = 0.0, deviation: ArrayLike = 1.0) -> Floats:
        """Normally distributed numbers, cut at four deviations."""
        uniform = self._generator.random(size)
        central = _inverse_normal(np.clip(uniform, 1e-12, 1 - 1e-12))
        return np.asarray(mean + np.asarray(deviation) * np.clip(central, -4, 4), dtype=np.float64)

    def flags(self, size: int, probability: ArrayLike) -> Bools:
        """True with the given probability (one for all, or one each)."""
        return np.asarray(self._generator.random(size) < np.asarray(probability), dtype=np.bool_)

    def indexes(self, size: int, weights: Sequence[float]) -> Ints:
        """Positions in ``weights``, drawn in their proportion."""
        edges = np.cumsum(np.asarray(weights, dtype=np.float64))
        return np.minimum(
            np.searchsorted(edges / edges[-1], self._generator.random(size), side="right"), len(weights) - 1
        )

    def pick(self, size: int, values: Sequence[Any], weights: Sequence[float] | None = None) -> NDArray[Any]:
        """Some of ``values`` (with repetition), as an array of their kind; strings as objects."""
        chosen = self.indexes(size, weights if weights is not None else [1.0] * len(values))
        pool = np.asarray(values, dtype=object if isinstance(values[0], str) else None)
        return np.asarray(pool[chosen])

    def order(self, size: int) -> Ints:
        """A random order of 0 … size-1."""
        return np.argsort(self._generator.random(size), kind="stable").astype(np.int64)

    def whole(self, low: int, high: int) -> int:
        """One whole number in [low, high]."""
        return int(self.integers(1, low, high)[0])

    def one(self, values: Sequence[Any]) -> Any:
        """One of ``values``."""
        return values[self.whole(0, len(values) - 1)]


def _inverse_normal(p: Floats) -> Floats:
    low = p < _TAIL
    high = p > 1 - _TAIL
    q = p - 0.5
    r = q * q
    middle = (((((_A[0] * r + _A[1]) * r + _A[2]) * r + _A[3]) * r + _A[4]) * r + _A[5]) * q
    middle = middle / (((((_B[0] * r + _B[1]) * r + _B[2]) * r + _B[3]) * r + _B[4]) * r + 1)
    t = np.sqrt(-2 * np.log(np.where(high, 1 - p, p)))
    tail = ((((_C[0] * t + _C[1]) * t + _C[2]) * t + _C[3]) * t + _C[4]) * t + _C[5]
    tail = tail / ((((_D[0] * t + _D[1]) * t + _D[2]) * t + _D[3]) * t + 1)
    return np.where(low, tail, np.where(high, -tail, middle))
