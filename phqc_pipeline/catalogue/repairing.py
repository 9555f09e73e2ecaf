"""Cells that cannot be read as they stand but have a single sense, rewritten so that they can (``repairs.yaml``).

Belongs here: text of an unreadable cell → text that reads, for one column. Does not belong here: reading cells, keeping
the delivered text (``extracts.cells``; ``examples`` for the few cells of a rule's examples).

Only cells that could not be read come here, so a regular column costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import polars as pl

from phqc_pipeline.catalogue.delivered import OtherUnit, Repairs, Rewrite, Unit
from phqc_pipeline.catalogue.deliveries import header_key
from phqc_pipeline.catalogue.model import CodeList, Field

#: Texts (String, stripped and narrow) → what they are rewritten to, null where no repair applies.
Repairer = Callable[[pl.Series], pl.Series]

#: A figure is explained by a unit that is not written only when it is this many times beyond what is possible.
FAR_BEYOND = 2.0

_FIGURE = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_EPOCH = pl.date(1899, 12, 30)  # of Excel's day numbers after February 1900
_DAY = 86_400_000_000  # microseconds


def repairer(field: Field, codes: Mapping[str, CodeList], repairs: Repairs) -> Repairer | None:
    """How unreadable cells of the field are rewritten; None where nothing in ``repairs`` concerns it."""
    steps = [_rewriter(one, field, codes) for one in repairs.rewrites if _concerns(one, field)]
    if field.is_numeric and (units := _units_of(field, repairs)):
        steps.append(lambda text: _other_unit(text, field, units))
    if not steps:
        return None

    def rewritten(text: pl.Series) -> pl.Series:
        found = pl.Series([None], dtype=pl.String).new_from_index(0, len(text))
        for step in steps:
            if found.null_count() == 0:
                break
            found = found.fill_null(step(text))
        return found

    return rewritten


def inferred(field: Field, repairs: Repairs) -> Repairer | None:
    """How figures far beyond the hard range are rewritten by a unit that explains them; None where none can."""
    if not field.is_numeric or field.hard is None or field.codes:
        return None
    others = [other for unit in repairs.units if _is_of(field, unit) for other in unit.others if other.inferred]
    others = [other for other in others if not other.fields or field.name in other.fields]
    if not others:
        return None
    return lambda text: _explained(text, field, others)


def beyond(field: Field) -> tuple[float, float]:
    """Figures below the first or above the second are far beyond what is possible in the field (see ``FAR_BEYOND``)."""
    low, high = field.hard or (None, None)
    return (
        low / FAR_BEYOND if low is not None and low > 0 else float("-inf"),
        high * FAR_BEYOND if high is not None and high > 0 else float("inf"),
    )


def own_units(field: Field, repairs: Repairs) -> list[str]:
    """Every way to write the field's own unit."""
    return [word for word, factor in _units_of(field, repairs).items() if factor == 1]


def mended_text(text: str, value: object, field: Field, codes: Mapping[str, CodeList], repairs: Repairs) -> str | None:
    """What one cell is rewritten to, None if nothing: for the few cells of examples. ``value``: as read, or None."""
    rewrite = repairer(field, codes, repairs) if value is None else None
    if isinstance(value, int | float):
        low, high = beyond(field)
        rewrite = inferred(field, repairs) if value < low or value > high else None
    if rewrite is None:
        return None
    found = rewrite(pl.Series([text.strip()], dtype=pl.String).str.normalize("NFKC"))[0]
    return None if found is None else str(found)


def _concerns(rewrite: Rewrite, field: Field) -> bool:
    if field.kind not in rewrite.kinds:
        return False
    return not rewrite.units or header_key(field.unit) in {header_key(unit) for unit in rewrite.units}


def _is_of(field: Field, unit: Unit) -> bool:
    return bool(field.unit) and header_key(field.unit) in {header_key(name) for name in unit.names}


def _rewriter(rewrite: Rewrite, field: Field, codes: Mapping[str, CodeList]) -> Repairer:
    whole = f"^(?:{rewrite.pattern})$"
    if rewrite.serial:
        return lambda text: _serial(text, whole)
    spellings = codes[field.codes].spellings if field.codes and field.codes in codes else {}

    def rewritten(text: pl.Series) -> pl.Series:
        made: pl.Expr = pl.when(pl.col("text").str.contains(whole)).then(
            pl.col("text").str.replace(whole, rewrite.becomes)
        )
        if rewrite.replace:
            made = made.str.replace_many(list(rewrite.replace), list(rewrite.replace.values()))
        frame = text.to_frame("text").with_columns(made.alias("made"))
        if rewrite.agree:
            pair = [_code(frame["text"], whole, part, spellings) for part in rewrite.agree]
            return frame["made"].set((pair[0] != pair[1]).fill_null(True), None)
        return frame["made"]

    return rewritten


def _code(text: pl.Series, whole: str, part: str, spellings: Mapping[str, str]) -> pl.Series:
    words = text.str.replace(whole, part).str.strip_chars()
    return words.replace_strict(list(spellings), list(spellings.values()), default=None, return_dtype=pl.String)


def _serial(text: pl.Series, whole: str) -> pl.Series:
    """Excel's day numbers as date and time."""
    number = pl.when(pl.col("text").str.contains(whole)).then("text").cast(pl.Float64, strict=False)
    # Excel keeps times as fractions of a day, exact to about a millisecond.
    micros = (number * (_DAY / 1000)).round().cast(pl.Int64) * 1000
    moment = _EPOCH.cast(pl.Datetime("us")) + pl.duration(microseconds=micros)
    return text.to_frame("text").select(moment.dt.strftime("%Y-%m-%d %H:%M:%S")).to_series()


def _units_of(field: Field, repairs: Repairs) -> dict[str, float]:
    """What may be written behind a figure of the field → factor to the field's own unit."""
    found: dict[str, float] = {header_key(field.unit): 1.0} if field.unit else {}
    for unit in repairs.units:
        if _is_of(field, unit):
            for word in (*unit.names, *unit.written):
                found.setdefault(header_key(word), 1.0)
            for other in unit.others:
                if not other.fields or field.name in other.fields:
                    for word in other.written:
                        found.setdefault(header_key(word), other.factor)
    return found


def _other_unit(text: pl.Series, field: Field, units: Mapping[str, float]) -> pl.Series:
    written = "|".join(re.escape(word) for word in sorted(units, key=len, reverse=True))
    parts = (
        text.str.replace_all(r"\s", "").str.to_lowercase().str.extract_groups(rf"^({_FIGURE})\(?({written})\)?$").struct
    )
    figure, unit = parts.field("1"), parts.field("2")
    factor = unit.replace_strict(list(units), list(units.values()), default=None, return_dtype=pl.Float64)
    return figure.set((factor != 1).fill_null(False), None).fill_null(_converted(figure, factor, field))


def _explained(text: pl.Series, field: Field, others: list[OtherUnit]) -> pl.Series:
    """The figure in the field's unit, where exactly one of ``others`` brings it into the possible range."""
    low, high = (None, None) if field.hard is None else field.hard
    figure = text.str.extract(rf"^({_FIGURE})$")
    value = figure.cast(pl.Float64, strict=False)
    found = pl.Series([None], dtype=pl.String).new_from_index(0, len(text))
    fitting = pl.Series([0], dtype=pl.Int64).new_from_index(0, len(text))
    for other in others:
        made = value * other.factor
        fits = made >= (low if low is not None else 0.0)
        if high is not None:
            fits &= made <= high
        factor = pl.Series([other.factor]).new_from_index(0, len(text))
        found = found.fill_null(_converted(figure, factor, field).set(~fits.fill_null(False), None))
        fitting += fits.fill_null(False).cast(pl.Int64)
    return found.set(fitting != 1, None)


def _converted(figure: pl.Series, factor: pl.Series, field: Field) -> pl.Series:
    """A figure times a factor, to the decimals the field has."""
    decimals = field.scale or 0 if field.kind == "dec" else 0
    value = (figure.cast(pl.Float64, strict=False) * factor).round(decimals, mode="half_away_from_zero")
    return value.cast(pl.String)
