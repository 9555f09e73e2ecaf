"""Dates in every spelling that is delivered, as columns (contract, section 2).

Belongs here: text → date and time. Does not belong here: which columns are dates, what an empty cell is (``cells``).

A time with an offset or ``Z`` is an instant and is told in Asia/Shanghai, with the summer time of 1986 to 1991: a birth
date exported as ``1950-03-04T16:00:00Z`` is 1950-03-05. A time without one is local already.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

LOCAL_ZONE = "Asia/Shanghai"

# One spelling for all: 2024年1月31日8时5分 → 2024-1-31 8:5; 20240131083000 → 2024-01-31 08:30:00; 202401 → 2024-01.
_CHINESE = (
    (r"\s*年\s*", "-"),
    (r"\s*月\s*$", ""),
    (r"\s*月\s*", "-"),
    (r"\s*[日号]\s*", " "),
    (r"[时点]", ":"),
    (r"分$", ""),
    (r"分", ":"),
    (r"秒", ""),
)
_COMPACT = r"^(\d{4})(\d{2})(\d{2})(?:[T ]?(\d{2})(\d{2})(\d{2})?)?$"
_COMPACT_MONTH = r"^(\d{4})(\d{2})$"
_SPELLED = (
    r"^(?<year>\d{4})\s*[-/.]\s*(?<month>\d{1,2})(?:\s*[-/.]\s*(?<day>\d{1,2}))?"
    r"(?:(?:\s*T\s*|\s+)(?:(?<before>上午|下午)\s*)?"
    r"(?<hour>\d{1,2}):(?<minute>\d{1,2})(?::(?<second>\d{1,2})(?:[.,](?<fraction>\d{1,9}))?)?:?"
    r"\s*(?<after>(?i:[AP]M))?\s*(?<zone>Z|[+-]\d{2}(?::?\d{2})?)?)?$"
)
# Serials of Excel: days from 1899-12-30 (its 1900 has a 29 February, so from 1899-12-31 before that), or 1904-01-01.
_SERIAL = r"^\d{1,5}(?:\.\d+)?$"
_YEAR = r"^(?:19|20)\d\d$"
_DAY = 86_400_000_000  # microseconds
_FOUR_DIGITS = 1000  # the quick reading would take a year of fewer digits as well


@dataclass(frozen=True)
class Serials:
    """Whether numbers are Excel serials (in workbooks alone), and from which epoch they count."""

    allowed: bool = False
    epoch_1904: bool = False


NO_SERIALS = Serials()


def parse_times(text: pl.Series, *, month_only: bool = False, serials: Serials = NO_SERIALS) -> pl.Series:
    """Datetime[us] (local) of every text, null where it is no date. Texts are stripped and narrow (NFKC).

    ``month_only``: a month without a day is read as its first day. A bare year is no date: as a serial it would be a
    day in 1905, as a year it has no day.
    """
    times = _plain(text)
    others = times.is_null() & text.is_not_null()
    if others.any():
        times = times.scatter(others.arg_true(), _spelled(text.filter(others), month_only, serials))
    return times


def _plain(text: pl.Series) -> pl.Series:
    """Times of texts in the commonest two spellings, quickly; null for any other."""
    frame = pl.DataFrame({"text": text}).with_columns(length=pl.col("text").str.len_bytes())
    frame = frame.select(
        pl.coalesce(
            pl.when(pl.col("length") == length).then("text").str.to_datetime(shape, time_unit="us", strict=False)
            for length, shape in ((10, "%Y-%m-%d"), (19, "%Y-%m-%d %H:%M:%S"))
        ).alias("time")
    )
    return frame.select(pl.when(pl.col("time").dt.year() >= _FOUR_DIGITS).then("time")).to_series()


def _spelled(text: pl.Series, month_only: bool, serials: Serials) -> pl.Series:
    unified = _unified(text)
    parts = unified.str.extract_groups(_SPELLED).struct.unnest()
    day = pl.col("day").fill_null("1") if month_only else pl.col("day")
    two = {"month": pl.col("month"), "day": day}
    clock = {name: pl.col(name).fill_null("0") for name in ("hour", "minute", "second")}
    padded = {name: part.str.zfill(2) for name, part in {**two, **clock}.items()}
    stamp = pl.format(
        "{}-{}-{} {}:{}:{}.{}",
        pl.col("year"),
        *(padded[name] for name in ("month", "day", "hour", "minute", "second")),
        pl.col("fraction").fill_null("").str.slice(0, 6).str.pad_end(6, "0"),
    )
    parts = parts.with_columns(hour=_of_24(pl.col("hour"), pl.coalesce("before", pl.col("after").str.to_uppercase())))
    times = parts.select(stamp.str.to_datetime("%Y-%m-%d %H:%M:%S%.6f", time_unit="us", strict=False)).to_series()
    if parts["zone"].null_count() < len(parts):
        times = _localised(times, parts["zone"])
    if serials.allowed and times.null_count():
        times = times.fill_null(_from_serials(text, serials.epoch_1904))
    return times


def _of_24(hour: pl.Expr, half: pl.Expr) -> pl.Expr:
    """The hour of a clock of 12 (上午 8:05, 8:05 PM) on one of 24; 下午 13:05 stays as it is."""
    number = hour.cast(pl.Int64, strict=False)
    shift = (
        pl.when(half.is_in(["下午", "PM"]) & (number < 12))
        .then(12)
        .when(half.is_in(["上午", "AM"]) & (number == 12))
        .then(-12)
        .otherwise(0)
    )
    return pl.when(half.is_null()).then(hour).otherwise((number + shift).cast(pl.String))


def _unified(text: pl.Series) -> pl.Series:
    if not (text.str.len_bytes() == text.str.len_chars()).all():
        for word, mark in _CHINESE:
            text = text.str.replace_all(word, mark)
    return (
        text.str.replace(_COMPACT, "$1-$2-$3 $4:$5:$6").str.replace(_COMPACT_MONTH, "$1-$2").str.strip_chars_end(" :")
    )


def _localised(times: pl.Series, zones: pl.Series) -> pl.Series:
    """Times with an offset moved to local time; the others as they are."""
    frame = pl.DataFrame({"time": times, "zone": zones})
    digits = pl.col("zone").str.replace(":", "", literal=True)
    minutes = digits.str.slice(1, 2).cast(pl.Int64, strict=False) * 60 + digits.str.slice(3, 2).replace("", "0").cast(
        pl.Int64, strict=False
    )
    offset = pl.when(pl.col("zone") == "Z").then(0).when(digits.str.starts_with("-")).then(-minutes).otherwise(minutes)
    instant = pl.col("time") - pl.duration(minutes=offset)
    local = instant.dt.replace_time_zone("UTC").dt.convert_time_zone(LOCAL_ZONE).dt.replace_time_zone(None)
    return frame.select(pl.when(pl.col("zone").is_null()).then("time").otherwise(local)).to_series()


def _from_serials(text: pl.Series, epoch_1904: bool) -> pl.Series:
    frame = pl.DataFrame({"text": text})
    serial = (
        pl.when(pl.col("text").str.contains(_SERIAL) & ~pl.col("text").str.contains(_YEAR))
        .then(pl.col("text"))
        .cast(pl.Float64, strict=False)
    )
    epoch = (
        pl.lit("1904-01-01")
        if epoch_1904
        else pl.when(serial < 61).then(pl.lit("1899-12-31")).otherwise(pl.lit("1899-12-30"))
    )
    # Excel keeps times as fractions of a day, exact to about a millisecond.
    micros = (serial * (_DAY / 1000)).round().cast(pl.Int64) * 1000
    moment = epoch.str.to_datetime("%Y-%m-%d", time_unit="us") + pl.duration(microseconds=micros)
    lowest = 0 if epoch_1904 else 1
    return frame.select(pl.when(serial >= lowest).then(moment)).to_series()
