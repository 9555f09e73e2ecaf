"""Markdown that Sphinx's MyST parser reads: text that stays text, links between pages, code.

Belongs here: escaping and the few building blocks. Does not belong here: what is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from phqc_pipeline.catalogue.handbook import markdown_table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>$&~#^])")
_SPACES = re.compile(r"\s+")
_TICKS = re.compile(r"`+")


def text(said: str) -> str:
    """``said`` on one line, every sign that Markdown would read as its own taken literally."""
    return piece(said).strip()


def piece(said: str) -> str:
    """A part of a line as text: a space at either end stays."""
    return _SPECIAL.sub(r"\\\1", _SPACES.sub(" ", said))


def code(said: str) -> str:
    """``said`` as code within a line."""
    said = " ".join(said.split())
    ticks = "`" * (1 + max((len(found) for found in _TICKS.findall(said)), default=0))
    pad = " " if said.startswith("`") or said.endswith("`") else ""
    return f"{ticks}{pad}{said}{pad}{ticks}"


def link(said: str, page: str, here: str) -> str:
    """A link to ``page`` as it is written on the page ``here``; ``said`` is Markdown already."""
    up = "../" * here.count("/")
    return f"[{said}]({up}{page}.md)"


def badge(said: str, kind: str) -> str:
    """A word set off by the style sheet's ``kind``; ``said`` is Markdown, a link or text."""
    return f"{said if said.startswith('[') and said.endswith(')') else f'[{said}]'}{{.{kind}}}"


def block(said: str, language: str = "text") -> str:
    """A block of code."""
    fence = "`" * max(3, 1 + max((len(found) for found in _TICKS.findall(said)), default=0))
    return f"{fence}{language}\n{said.rstrip()}\n{fence}\n"


def bullets(lines: Iterable[str]) -> str:
    """A list; each line is Markdown."""
    return "".join(f"- {line}\n" for line in lines)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown; without rows, a word for none."""
    listed = list(rows)
    return markdown_table(header, listed) if listed else "（无）\n"


def page(title: str, *parts: str, orphan: bool = True, searchable: bool = True) -> str:
    """A whole page. ``orphan``: it stands in no table of contents; ``searchable``: the search finds its text."""
    head = [line for line, wanted in (("orphan: true", orphan), ("nosearch: true", not searchable)) if wanted]
    front = "---\n" + "\n".join(head) + "\n---\n\n" if head else ""
    return f"{front}# {title}\n\n" + "\n".join(part for part in parts if part)


def contents(pages: Sequence[str], here: str, caption: str = "") -> str:
    """The entries of the navigation at the side below the page ``here``; not shown on the page itself."""
    up = "../" * here.count("/")
    options = ":hidden:\n" + (f":caption: {caption}\n" if caption else "")
    return "```{toctree}\n" + options + "\n" + "\n".join(f"{up}{name}" for name in pages) + "\n```\n"
