"""Text patterns that mean the same in both engines' regular expressions (Rust ``regex`` and RE2).

Belongs here: checking and translating the ``regexp`` patterns rule authors write, LIKE patterns, and the alternation
that finds a dictionary's names in a text. Does not belong here: rendering an expression.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from functools import lru_cache

import duckdb
import polars as pl

_SHORTHAND = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\f\r "}  # ASCII in RE2, Unicode in Rust: spelled out for both
_SAME_ESCAPES = frozenset("tnrf")
_META = frozenset(r"\.+*?()|[]{}^$-&~#")  # the punctuation both engines let one escape


class PatternError(ValueError):
    """A pattern that one of the engines cannot run, or that they would understand differently. Message in Chinese."""


@lru_cache(maxsize=1024)
def portable_regex(pattern: str) -> str:
    """The pattern rewritten so that both engines match alike (``\\d`` becomes ``[0-9]`` …).

    Raises PatternError for look-around, back references, flags other than ``(?i)``, word boundaries, class set
    operations, and whatever does not compile.
    """
    out: list[str] = []
    position, in_class = 0, False
    while position < len(pattern):
        char = pattern[position]
        if char == "\\":
            piece, position = _escape(pattern, position, in_class)
            out.append(piece)
            continue
        if in_class:
            if pattern.startswith(("&&", "--", "~~", "[:"), position):
                raise PatternError(f"方括号里不能写 {pattern[position : position + 2]}")
            in_class = char != "]" or out[-1] in ("[", "[^")
            out.append(r"\[" if char == "[" else char)
        elif char == "[":
            in_class = True
            negated = pattern.startswith("[^", position)
            out.append("[^" if negated else "[")
            position += negated
        elif pattern.startswith("(?", position) and not pattern.startswith(("(?:", "(?i)"), position):
            raise PatternError("不支持环视、命名组和 (?i) 以外的标志")
        elif char == "{" and re.match(r"\{,", pattern[position:]):
            raise PatternError("重复次数要写下限，如 {0,3}")
        else:
            out.append(char)
        position += 1
    translated = "".join(out)
    try:  # each engine has its own view of what a pattern is: RE2 takes no ``a**``, Rust does
        pl.Series([""]).str.contains(translated)
        _duckdb().cursor().execute("SELECT regexp_matches('', $1)", [translated]).fetchall()
    except (pl.exceptions.PolarsError, duckdb.Error):
        raise PatternError("不是正确的正则") from None
    return translated


def like_regex(pattern: str) -> str:
    """The regular expression of a LIKE pattern (``%`` any text, ``_`` one character; there is no escape)."""
    return "(?s)^" + "".join({"%": ".*", "_": "."}.get(char) or regex_literal(char) for char in pattern) + "$"


def regex_literal(text: str) -> str:
    """``text`` as a pattern matching exactly itself, in both engines."""
    return "".join("\\" + char if char in _META else char for char in text)


def alternation(words: Iterable[str]) -> str:
    """One group matching any of the words; of those that start at one place the longest wins."""
    ordered = sorted({word for word in words if word}, key=lambda word: (-len(word), word))
    return "(" + "|".join(regex_literal(word) for word in ordered) + ")"


@lru_cache(maxsize=1)
def _duckdb() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()  # an empty database in memory, to try patterns in


def _escape(pattern: str, position: int, in_class: bool) -> tuple[str, int]:
    """The portable spelling of the escape at ``position`` and where the pattern goes on."""
    if position + 1 == len(pattern):
        raise PatternError("末尾的 \\ 后面缺字符")
    char = pattern[position + 1]
    after = position + 2
    if char.lower() in _SHORTHAND:
        members = _SHORTHAND[char.lower()]
        if char.islower():
            return (members if in_class else f"[{members}]"), after
        if in_class:
            raise PatternError(f"方括号里不能写 \\{char}")
        return f"[^{members}]", after
    if char in "pP" or pattern.startswith("x{", position + 1):
        braced = re.match(r"\\(?:[pP](?:\{\^?\w+\}|[A-Z])|x\{[0-9A-Fa-f]+\})", pattern[position:])
        if not braced:
            raise PatternError(f"\\{char} 后面要写 {{…}}")
        return braced.group(), position + braced.end()
    if char in _SAME_ESCAPES or char in _META:
        return "\\" + char, after
    if char in string.punctuation:
        return char, after
    raise PatternError(f"不支持 \\{char}")
