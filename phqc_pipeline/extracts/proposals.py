"""What an unknown header was probably meant to be: the closest header of the form, with the line that would map it.

Belongs here: how alike two headers are, and the proposal a person can act on. Does not belong here: mapping columns
(``header``); nothing is mapped by likeness alone.

A header is compared with those of the fields the file does not deliver otherwise: by the letters the two share, and for
the most alike of these by their order, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

import numpy as np
import polars as pl

from phqc_pipeline.catalogue.deliveries import header_key
from phqc_pipeline.catalogue.model import Form
from phqc_pipeline.extracts.header import form_headers, without_mark

#: Columns of ``ingest.header_proposal``.
PROPOSAL_SCHEMA: Mapping[str, pl.DataType] = {
    "file_id": pl.String(),
    "institution_code": pl.String(),
    "form_id": pl.String(),
    "header": pl.String(),
    "proposed_field": pl.String(),
    "proposed_title": pl.String(),
    "similarity": pl.Float64(),
    "comment": pl.String(),
}
#: Headers less alike than this are no proposal.
ALIKE = 0.5
#: Unknown headers of one file that get a proposal: more are no table of the form.
MOST_HEADERS = 200

_COMPARED = 12  # of the headers that share the most letters, those whose order is compared
_BRACKETS = re.compile(r"[(（\[【][^()（）\[\]【】]*[)）\]】]")
_PLAIN = re.compile(r"[\w（）]+", re.UNICODE)


@dataclass(frozen=True)
class Proposal:
    """``field`` None: no header of the form is like it. ``header``: without the mark of a visit."""

    header: str
    field: str | None
    similarity: float | None


def propose(form: Form, headers: Iterable[str], delivered: Collection[str]) -> dict[str, Proposal]:
    """For each unknown header the closest field that is not ``delivered``; at most ``MOST_HEADERS`` of them."""
    index = _index(form)
    open_ = np.array([name not in delivered for name in index.names], dtype=bool)
    known = form_headers(form)
    found: dict[str, Proposal] = {}
    for header in list(headers)[:MOST_HEADERS]:
        bare = without_mark(header, known)
        ways = dict.fromkeys([header_key(bare), header_key(_BRACKETS.sub("", bare))])
        best = max((index.closest(key, open_) for key in ways if key), key=lambda one: one[1], default=("", 0.0))
        alike = best[1] >= ALIKE
        found[header] = Proposal(bare, best[0] if alike else None, round(best[1], 2) if alike else None)
    return found


def proposal_rows(
    form: Form,
    headers: Iterable[str],
    delivered: Collection[str],
    *,
    file_id: str,
    institution_code: str,
    source_id: str | None,
) -> list[dict[str, object]]:
    """The proposals of one file as rows of ``PROPOSAL_SCHEMA``."""
    rows: list[dict[str, object]] = []
    for header, proposal in propose(form, headers, delivered).items():
        title = form.field(proposal.field).title if proposal.field else None
        rows.append(
            {
                "file_id": file_id,
                "institution_code": institution_code,
                "form_id": form.form_id,
                "header": header,
                "proposed_field": proposal.field,
                "proposed_title": title,
                "similarity": proposal.similarity,
                "comment": _comment(form, proposal, source_id),
            }
        )
    return rows


def _comment(form: Form, proposal: Proposal, source_id: str | None) -> str:
    if proposal.field is None:
        return "没有相近的列名；若是某个字段，请对照表单字典写进来源映射，否则不用处理"
    name = proposal.header if _PLAIN.fullmatch(proposal.header) else "'" + proposal.header.replace("'", "''") + "'"
    file = f"rules/sources/{source_id or '<来源>'}.yaml"
    return f"核对无误后，在 {file} 的 headers → {form.form_id} 下加一行  {name}: {proposal.field}"


class _Index:
    """The headers of a form as counts of letters, so that one header is compared with all at once."""

    def __init__(self, form: Form) -> None:
        pairs = {header_key(header): column.name for column in form.fields for header in column.headers}
        self.keys = list(pairs)
        self.names = list(pairs.values())
        letters = {letter: place for place, letter in enumerate(sorted({letter for key in pairs for letter in key}))}
        self._letters = letters
        self._lengths = np.array([len(key) for key in self.keys], dtype=np.int64)
        self._counts = np.zeros((len(letters), len(self.keys)), dtype=np.int64)
        for column, key in enumerate(self.keys):
            for letter in key:
                self._counts[letters[letter], column] += 1

    def closest(self, key: str, allowed: np.ndarray) -> tuple[str, float]:
        """The field most like ``key`` and how alike (0 to 1)."""
        shared = np.zeros(len(self.keys), dtype=np.int64)
        for letter, times in Counter(key).items():
            if letter in self._letters:
                shared += np.minimum(self._counts[self._letters[letter]], times)
        overlap = np.where(allowed, 2 * shared / (self._lengths + len(key)), 0.0)
        best = ("", 0.0)
        matcher = SequenceMatcher(autojunk=False)
        matcher.set_seq2(key)
        for place in np.argsort(-overlap, kind="stable")[:_COMPARED]:
            if overlap[place] == 0:
                break
            matcher.set_seq1(self.keys[place])
            alike = (float(overlap[place]) + matcher.ratio()) / 2
            if alike > best[1]:
                best = (self.names[place], alike)
        return best


@lru_cache(maxsize=128)
def _index(form: Form) -> _Index:
    return _Index(form)
