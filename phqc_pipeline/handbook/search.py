"""Search in Chinese, as a Sphinx extension: a text is indexed by its pairs of neighbouring characters.

Sphinx's own Chinese search needs a word splitter for the index and has none for the query, so that 身份证号 is found
only if some text was split just there. Pairs need no dictionary and are cut alike on both sides: a query finds every
page that has all its pairs. Numbers of rules (HTN-L-001) stay whole, and are found by any part of three signs or more.

Belongs here: how text and query are cut. Does not belong here: what is indexed (``build``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sphinx.search import SearchLanguage

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# A run of Chinese characters, or a word or number of other letters with the signs that join it.
_RUNS = r"[\u3400-\u9fff\uf900-\ufaff]+|[A-Za-z0-9_]+(?:[-.][A-Za-z0-9_]+)*"
_PIECES = re.compile(_RUNS)


class ChinesePairs(SearchLanguage):
    """The search language ``zh`` in place of Sphinx's own."""

    lang = "zh"
    language_name = "Chinese"
    js_splitter_code = rf"""
var splitQuery = function (query) {{
  return (query.match(/{_RUNS}/g) || []).flatMap(function (run) {{
    if (run.length === 1 || /^[A-Za-z0-9_]/.test(run)) return [run];
    return Array.from(run.slice(1), function (_, place) {{ return run.slice(place, place + 2); }});
  }});
}};
"""

    def split(self, input: str) -> list[str]:
        """Single characters and pairs of every Chinese run, and the other words as they are."""
        return [piece for run in _PIECES.findall(input) for piece in _pieces(run)]

    def word_filter(self, word: str) -> bool:
        return True


def _pieces(run: str) -> list[str]:
    if run[0].isascii():
        return [run]
    return [*run, *(run[place : place + 2] for place in range(len(run) - 1))]


def setup(app: Sphinx) -> dict[str, Any]:
    """What Sphinx calls to load the extension."""
    app.add_search_language(ChinesePairs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
