"""The text of an expression as sqlglot's tree.

Belongs here: tokens, syntax errors in Chinese, pieces of the tree shown back to the author.
Does not belong here: names and types (``parse``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import sqlglot
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, TokenError

# Every call is parsed as an anonymous function, so sqlglot neither renames a function nor reorders its arguments
# (``only(`` would not even parse: a keyword).
CALL_PREFIX = "phqc__"
_NOT_CALLS = frozenset(
    {"and", "or", "not", "in", "is", "like", "between", "case", "when", "then", "else", "interval", "cast", "try_cast"}
)


@dataclass(frozen=True)
class ExpressionFault:
    """One thing wrong with an expression, and what to do about it. Both Chinese, without a full stop."""

    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem}。处理：{self.remedy}"


class ExpressionError(ValueError):
    """An expression that does not compile; ``faults`` lists everything wrong with it."""

    def __init__(self, text: str, faults: list[ExpressionFault]) -> None:
        self.text = text
        self.faults = list(dict.fromkeys(faults))
        super().__init__("；".join(str(fault) for fault in self.faults))


@lru_cache(maxsize=8192)
def syntax_tree(text: str) -> Any:
    """The tree of ``text``; read only, as it is shared. Raises ExpressionError."""
    if not isinstance(text, str) or not text.strip():
        raise ExpressionError(str(text), [ExpressionFault("表达式是空的", "写一个条件，如 sbp >= 140")])
    try:
        tree = sqlglot.parse_one(_mark_calls(text), dialect="duckdb")
    except (ParseError, TokenError) as error:
        raise ExpressionError(text, _syntax_faults(text, error)) from None
    return tree


def shown(node: Any) -> str:
    """A piece of the tree as the author might have written it, cut to a readable length."""
    text = node.sql(dialect="duckdb", normalize_functions=False).replace(CALL_PREFIX, "")
    return text if len(text) <= 60 else text[:57] + "…"


def _mark_calls(text: str) -> str:
    tokens = Dialect.get_or_raise("duckdb").tokenize(text)
    starts = [
        token.start
        for token, following in pairwise(tokens)
        if following.text == "("
        and following.token_type.name == "L_PAREN"
        and re.fullmatch(r"[^\W\d]\w*", text[token.start : token.end + 1])
        and token.text.lower() not in _NOT_CALLS
    ]
    for start in reversed(starts):
        text = text[:start] + CALL_PREFIX + text[start:]
    return text


def _syntax_faults(text: str, error: ParseError | TokenError) -> list[ExpressionFault]:
    remedy = "检查括号、引号是否成对，and、or 两边是否都写全；文本用单引号"
    details = getattr(error, "errors", None) or [{}]
    faults = []
    for detail in details:
        near = f"{detail.get('start_context') or ''}{detail.get('highlight') or ''}{detail.get('end_context') or ''}"
        near = near.replace(CALL_PREFIX, "").strip()[-40:] or text[:40]
        faults.append(ExpressionFault(f"表达式写法不通，在“{near}”附近", remedy))
    return faults
