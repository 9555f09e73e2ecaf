"""Charts of a report page, as SVG that stands inside the page: text stays text, and each says in words what it shows.

Belongs here: drawing numbers it is handed. Does not belong here: which numbers.

Drawn for the width of a telephone and let grow from there. Margins are reckoned from the number of characters, for a
server need not have the reader's fonts.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from html import escape
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

SEVERITY_COLOURS = {"严重": "#b3261e", "一般": "#e3a13b", "提示": "#a9b8c6"}
OWN, OTHER, INK, SOFT = "#1f6fb2", "#c3ccd5", "#1d2733", "#5b6875"
FONTS = ["Noto Sans CJK SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", "sans-serif"]

_WIDTH = 5.0  # inches at 72 points: 360 units, a telephone's width in CSS pixels
_SIZE = 9
_STYLE: Any = {
    "svg.fonttype": "none", "font.family": FONTS, "font.size": _SIZE, "axes.unicode_minus": False,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": OTHER, "axes.labelcolor": SOFT,
    "xtick.color": SOFT, "ytick.color": INK, "xtick.labelsize": 8, "legend.frameon": False, "legend.fontsize": 8,
}  # fmt: skip
_LONGEST_LABEL = 13

_P = ParamSpec("_P")

logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


def _styled(draw: Callable[_P, str]) -> Callable[_P, str]:
    """With this module's style, and without a word about glyphs the server's own fonts lack."""

    @wraps(draw)
    def drawn(*args: _P.args, **kwargs: _P.kwargs) -> str:
        with mpl.rc_context(_STYLE), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            return draw(*args, **kwargs)

    return drawn


@_styled
def stacked_bars(name: str, title: str, labels: Sequence[str], parts: Mapping[str, Sequence[int]]) -> str:
    """Horizontal bars, one a label, each made of ``parts`` (series → one number a label), the total at its end."""
    shown = [_short(label) for label in labels]
    totals = [sum(numbers) for numbers in zip(*parts.values(), strict=True)]
    figure, axes = _figure(0.62 + 0.27 * len(shown), _left(shown), top=0.3)
    places = range(len(shown))
    start = [0] * len(shown)
    for series, numbers in parts.items():
        axes.barh(places, numbers, left=start, height=0.66, color=SEVERITY_COLOURS.get(series, OWN), label=series)
        start = [one + more for one, more in zip(start, numbers, strict=True)]
    most = max(totals, default=0) or 1
    for place, total in zip(places, totals, strict=True):
        axes.text(total + most * 0.015, place, f"{total:,}", va="center", color=INK, fontsize=8)
    _rows(axes, shown, most * 1.16)
    if len(parts) > 1:
        axes.legend(ncols=len(parts), loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.1, handlelength=1)
    told = "；".join(f"{label} {total:,}" for label, total in zip(labels, totals, strict=True))
    return _svg(figure, name, title, told)


@_styled
def bars(
    name: str,
    title: str,
    labels: Sequence[str],
    values: Sequence[float],
    own: int | None,
    unit: str = "",
    digits: int = 1,
    end: bool = True,
) -> str:
    """Horizontal bars of one figure each, the one at ``own`` in colour; a long label keeps its ``end``."""
    shown = [_short(label, end) for label in labels]
    figure, axes = _figure(0.5 + 0.27 * len(shown), _left(shown), top=0.1)
    colours = [OWN if own is None or place == own else OTHER for place in range(len(shown))]
    axes.barh(range(len(shown)), values, height=0.66, color=colours)
    most = max(values, default=0) or 1
    for place, value in enumerate(values):
        axes.text(value + most * 0.015, place, f"{value:,.{digits}f}{unit}", va="center", color=INK, fontsize=8)
    _rows(axes, shown, most * 1.18)
    told = "；".join(f"{label} {value:,.{digits}f}{unit}" for label, value in zip(labels, values, strict=True))
    return _svg(figure, name, title, told)


@_styled
def lines(name: str, title: str, labels: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """One line a series over the nights in ``labels``; the last value stands at its end."""
    figure, axes = _figure(2.5, 0.5, top=0.3)
    places = range(len(labels))
    for named, numbers in series.items():
        colour = SEVERITY_COLOURS.get(named, OWN)
        axes.plot(places, numbers, color=colour, linewidth=2, marker="o" if len(labels) <= 31 else None, markersize=3.5,
                  label=named)  # fmt: skip
        axes.annotate(f"{numbers[-1]:,.0f}", (places[-1], numbers[-1]), xytext=(4, 0), textcoords="offset points",
                      va="center", fontsize=8, color=INK)  # fmt: skip
    step = max(1, -(-len(labels) // 6))
    axes.set_xticks(list(places)[::step], list(labels)[::step])
    axes.set_ylim(bottom=0)
    axes.margins(x=0.08)
    axes.tick_params(length=0)
    axes.grid(axis="y", color="#e8edf1")
    axes.set_axisbelow(True)
    axes.legend(ncols=len(series), loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.1, handlelength=1)
    told = "；".join(f"{named} {numbers[0]:,.0f}→{numbers[-1]:,.0f}" for named, numbers in series.items())
    return _svg(figure, name, title, f"{labels[0]} 至 {labels[-1]}：{told}")


def _figure(height: float, left: float, top: float) -> tuple[Figure, Axes]:
    """A figure of ``height`` inches with ``left`` and ``top`` inches for labels and legend."""
    figure = Figure(figsize=(_WIDTH, height))
    FigureCanvasSVG(figure)
    bottom = 0.24
    axes = figure.add_axes((left / _WIDTH, bottom / height, 1 - (left + 0.3) / _WIDTH, 1 - (bottom + top) / height))
    return figure, axes


def _rows(axes: Axes, labels: Sequence[str], furthest: float) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.45, -0.6)
    axes.set_xlim(0, furthest)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=furthest > 5))
    axes.tick_params(axis="both", length=0)
    axes.spines["bottom"].set_visible(False)
    axes.grid(axis="x", color="#e8edf1")
    axes.set_axisbelow(True)


def _short(label: str, end: bool = False) -> str:
    """What fits beside a bar; institutions of one county differ at the ``end`` of their names."""
    if len(label) <= _LONGEST_LABEL:
        return label
    return "…" + label[1 - _LONGEST_LABEL :] if end else label[: _LONGEST_LABEL - 1] + "…"


def _left(labels: Sequence[str]) -> float:
    """Inches for the longest label: a Chinese character is as wide as it is high, a Latin one half."""
    widest = max((sum(1 if ord(sign) > 0x2E80 else 0.55 for sign in label) for label in labels), default=0)
    return (widest + 1) * _SIZE / 72


def _svg(figure: Figure, name: str, title: str, told: str) -> str:
    """The figure as an SVG element to stand in a page, scaled to its place, with what it shows in words."""
    drawn = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(drawn, format="svg", metadata=metadata, transparent=True)
    text = drawn.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', r'<svg viewBox="\1" role="img" VERBATIM>', text, count=1)
    label = f'aria-labelledby="{name}-t {name}-d"'
    words = f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(told)}</desc>'
    text = text.replace("VERBATIM>", f"{label}>{words}", 1)
    # Ids of several drawings in one page must differ.
    text = re.sub(
        r'\bid="((?:figure|axes|patch|text|line2d|xtick|ytick|legend|matplotlib)[\w.]*)"', rf'id="{name}-\1"', text
    )
    return re.sub(r"\n\s*", "\n", text)
