"""What a page is made of: sections of notes, charts and tables; and how figures are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from markupsafe import Markup

Row = Mapping[str, Any]
Column = tuple[str, Callable[[Row], Any], str]  # header, cell of a row, CSS class


@dataclass(frozen=True)
class Chart:
    caption: str
    svg: Markup


@dataclass(frozen=True)
class Table:
    """``kind`` ``stack``: on a telephone each row is a card. ``own``: (column, value) of the row to stand out."""

    rows: Sequence[Row]
    columns: Sequence[Column]
    title: str = ""
    none: str = "没有。"
    kind: str = ""
    own: tuple[str, str] | None = None
    note: str = ""


@dataclass(frozen=True)
class Section:
    id: str
    title: str
    notes: Sequence[Any] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Card:
    title: str
    figure: str
    note: str = ""


@dataclass
class Shape:
    """A frame's columns as a table's, in order."""

    columns: list[Column] = field(default_factory=list)

    def text(self, name: str, title: str, look: str = "") -> Shape:
        self.columns.append((title, lambda row: "" if row[name] is None else row[name], look))
        return self

    def whole(self, name: str, title: str) -> Shape:
        self.columns.append((title, lambda row: whole(row[name]), "n"))
        return self

    def share(self, name: str, title: str) -> Shape:
        self.columns.append((title, lambda row: share(row[name]), "n"))
        return self

    def decimal(self, name: str, title: str, digits: int = 1) -> Shape:
        self.columns.append((title, lambda row: decimal(row[name], digits), "n"))
        return self

    def signed(self, name: str, title: str) -> Shape:
        self.columns.append((title, lambda row: signed(row[name]), "n"))
        return self

    def severity(self, name: str = "severity", title: str = "级别") -> Shape:
        self.columns.append((title, lambda row: classed(row[name], row[name]), ""))
        return self

    def cell(self, title: str, cell: Callable[[Row], Any], look: str = "") -> Shape:
        self.columns.append((title, cell, look))
        return self


def rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return frame.to_dicts()


def whole(value: float | None) -> str:
    """12,345; — for what is not known."""
    return "—" if value is None else f"{value:,.0f}"


def share(value: float | None) -> str:
    """A figure that is per cent already: 96.2%."""
    return "—" if value is None else f"{value:.1f}%"


def decimal(value: float | None, digits: int = 1) -> str:
    return "—" if value is None else f"{value:,.{digits}f}"


def signed(value: float | None) -> str:
    """+3, −2 or 0; a fraction keeps two places."""
    if value is None:
        return "—"
    return f"{value:+,.0f}" if float(value).is_integer() else f"{value:+,.2f}"


def classed(text: Any, look: str) -> Markup:
    """``text``, escaped, in a span of class ``look``."""
    return Markup('<span class="{}">{}</span>').format(look, "" if text is None else text)


def joined(parts: Iterable[str]) -> str:
    return "，".join(part for part in parts if part)


def period_text(year: int | None, period: str | None) -> str:
    """2024 and ``Y``, ``Q1``, ``M03`` as 2024 年, 2024 年第 1 季度, 2024 年 3 月."""
    period = period or "Y"
    if period.startswith("Q"):
        return f"{year} 年第 {period[1:]} 季度"
    if period.startswith("M"):
        return f"{year} 年 {int(period[1:])} 月"
    return f"{year} 年" if year else ""
