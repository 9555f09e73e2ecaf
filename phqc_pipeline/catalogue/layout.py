"""Text for a terminal in which a Chinese character takes two columns.

Belongs here: wrapping, padding and tables by display width. Does not belong here: what is said.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

WIDTH = 100  # columns of a line of explanation


def fact(name: str, text: str) -> list[str]:
    """``  级别　严重`` with further lines of a long text indented below."""
    label = f"  {name}{' ' * max(10 - columns_wide(name), 1)}"
    indent = " " * columns_wide(label)
    lines: list[str] = []
    for part in text.splitlines() or [""]:
        lines += _wrapped(part, WIDTH - len(indent))
    return [f"{label}{lines[0]}", *(f"{indent}{line}" for line in lines[1:])]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, each column as wide as its widest cell."""
    widths = [max(columns_wide(row[index]) for row in rows) for index in range(len(rows[0]))]
    return ["  ".join(_padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def columns_wide(text: str) -> int:
    """Columns of a terminal: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WFA" else 1 for character in text)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` columns, broken at spaces and after Chinese characters."""
    lines, line, used = [], "", 0
    for word in _pieces(text):
        wide = columns_wide(word)
        if line and used + wide > width:
            lines.append(line.rstrip())
            line, used = "", 0
            word = word.lstrip()
            wide = columns_wide(word)
        line += word
        used += wide
    return [*lines, line.rstrip()]


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    for character in text:
        joins = pieces and character.isascii() and not character.isspace() and pieces[-1][-1].isascii()
        if joins or (pieces and character.isspace()) or (pieces and character in "，。、；：）”"):
            pieces[-1] += character
        else:
            pieces.append(character)
    return [part for piece in pieces for part in (_split_after_space(piece))]


def _split_after_space(piece: str) -> list[str]:
    parts = piece.split(" ")
    return [part + " " for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _padded(text: str, width: int) -> str:
    return text + " " * (width - columns_wide(text))
