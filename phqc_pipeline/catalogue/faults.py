"""What is wrong with a catalogue, said so that the person who wrote it can put it right.

Belongs here: the fault, the error that carries all faults at once, and how they read.
Does not belong here: finding faults (``loader`` and its helpers).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Fault:
    """One fault of the catalogue. ``file`` is relative to the catalogue folder, ``line`` counts from 1 (0: whole file).

    ``where`` names the thing (``规则 HTN-L-001``), ``problem`` says what is wrong, ``remedy`` what to do. All Chinese.
    """

    file: str
    line: int
    where: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        where = f"{self.where}：" if self.where else ""
        return f"{place}  {where}{self.problem}。处理：{self.remedy}"


class CatalogueError(Exception):
    """The catalogue does not load; ``faults`` lists everything that is wrong, in order of file and line."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: list[Fault] = sorted(set(faults))
        super().__init__(describe(self.faults))


def describe(faults: list[Fault]) -> str:
    """All faults as text for a terminal, one a line, with their number at the head."""
    return "\n".join([f"规则目录有 {len(faults)} 处错误，未执行任何处理：", *(f"  {fault}" for fault in faults)])


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that ``word`` was probably meant to be, or None."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """A remedy: ``改为 x`` when one known word is close, else ``otherwise``."""
    found = closest(word, known)
    return f"是否应为“{found}”？{otherwise}" if found else otherwise
