"""The texts of many findings put together at once of the parts they are made of.

Belongs here: computing every part once, however many checks show it, and joining parts column by column. Does not
belong here: which parts a text has (``wording``), whose findings they are (``findings``).

A form's checks show the same few cells over and over. So cells are made into text once each, not once a check: wording
costs by the columns shown, and no longer by the checks violated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from phqc_pipeline.checks.lake import INSTITUTION
from phqc_pipeline.checks.wording import Part, Text

Positions = np.ndarray  # int64, ascending

_SELECT = 1_000  # making a part of this many rows more costs less than a select of its own


def assembled(
    cells: pl.DataFrame, rows: Sequence[Positions], texts: Sequence[Mapping[str, Text]], names: Sequence[str]
) -> pl.DataFrame:
    """Every check's findings below one another, a column for each of ``names``.

    ``rows``: by check the rows of ``cells`` that violate it; ``texts``: by check what its findings say. ``cells`` holds
    every column the parts read, and ``_institution``.
    """
    pool = _Pool(cells, rows, texts)
    return pl.DataFrame([pool.joined([text[name] for text in texts]).alias(name) for name in names])


class _Pool:
    """All parts of all texts one below the other. Where a part of a finding stands is a matter of adding up: the part's
    beginning, and the finding's place in it. A constant stands there once, for every finding."""

    def __init__(self, cells: pl.DataFrame, rows: Sequence[Positions], texts: Sequence[Mapping[str, Text]]) -> None:
        self._sizes = np.array([len(found) for found in rows], np.int64)
        used = list(_parts_used(texts))
        exprs = {id(part): part for _, part in used if isinstance(part, pl.Expr)}
        wanted = sum(int(self._sizes[check]) for check, part in used if id(part) in exprs)
        columns, self._starts, self._place = (
            _of_all_rows(cells, rows, exprs)
            if (cells.height - _SELECT) * len(exprs) <= wanted
            else _of_wanted_rows(cells, rows, exprs, used)
        )
        constants = list(dict.fromkeys(["", *(part for _, part in used if not isinstance(part, pl.Expr))]))
        behind = sum(map(len, columns))
        self._constants = {constant: behind + place for place, constant in enumerate(constants)}
        self._whole = pl.concat([*columns, pl.Series(constants, dtype=pl.String)]).rechunk()

    def joined(self, texts: Sequence[Text]) -> pl.Series:
        """One text of every finding; ``texts`` by check. A part that is NULL makes the text NULL."""
        longest = max(map(len, texts))
        parts = [
            self._gathered([text[place] if place < len(text) else "" for text in texts]) for place in range(longest)
        ]
        if longest == 1:
            return parts[0]
        columns = [part.alias(str(place)) for place, part in enumerate(parts)]
        return pl.DataFrame(columns).select(pl.concat_str(pl.all())).to_series()

    def _gathered(self, parts: Sequence[Part]) -> pl.Series:
        """The part of every finding; ``parts`` by check."""
        starts, varies = np.empty(len(parts), np.int64), np.empty(len(parts), np.int64)
        for check, part in enumerate(parts):
            varies[check] = isinstance(part, pl.Expr)
            starts[check] = self._starts[check, id(part)] if isinstance(part, pl.Expr) else self._constants[part]
        return self._whole.gather(np.repeat(starts, self._sizes) + np.repeat(varies, self._sizes) * self._place)


#: Columns of parts; where each begins in them, by check and the part's ``id``; each finding's place behind that.
_Laid = tuple[list[pl.Series], dict[tuple[int, int], int], Positions]


def _of_all_rows(cells: pl.DataFrame, rows: Sequence[Positions], exprs: Mapping[int, pl.Expr]) -> _Laid:
    """Every part of every row: with few rows, as a night on a township has them, a select of its own for each part
    would cost more."""
    made = cells.select(INSTITUTION, *(expr.alias(str(place)) for place, expr in enumerate(exprs.values())))
    starts = {(check, part): place * cells.height for place, part in enumerate(exprs) for check in range(len(rows))}
    return made.drop(INSTITUTION).get_columns(), starts, np.concatenate(rows)


def _of_wanted_rows(
    cells: pl.DataFrame,
    rows: Sequence[Positions],
    exprs: Mapping[int, pl.Expr],
    used: Sequence[tuple[int, Part]],
) -> _Laid:
    """Every part of those rows alone whose findings show it, check by check."""
    checks: dict[int, list[int]] = {part: [] for part in exprs}
    for check, part in used:
        if isinstance(part, pl.Expr):
            checks[id(part)].append(check)
    columns: list[pl.Series] = []
    starts: dict[tuple[int, int], int] = {}
    start = 0
    for key, expr in exprs.items():
        theirs = np.concatenate([rows[check] for check in checks[key]])
        read = cells.select(INSTITUTION, *set(expr.meta.root_names())).select(pl.all().gather(theirs))
        columns.append(read.select(INSTITUTION, expr.alias("part"))["part"])
        for check in checks[key]:
            starts[check, key] = start
            start += len(rows[check])
    return columns, starts, np.concatenate([np.arange(len(found)) for found in rows])


def _parts_used(texts: Sequence[Mapping[str, Text]]) -> Iterator[tuple[int, Part]]:
    """Check and part, each pair once."""
    for check, of_check in enumerate(texts):
        seen: set[Part | int] = set()
        for part in (part for text in of_check.values() for part in text):
            known = id(part) if isinstance(part, pl.Expr) else part
            if known not in seen:
                seen.add(known)
                yield check, part
