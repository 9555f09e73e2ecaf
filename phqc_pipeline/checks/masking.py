"""Personal data made unreadable before it enters a finding.

Belongs here: how a name, an identity number, a telephone, an address is masked, and the net under it that masks numbers
of that shape in any other text. Does not belong here: which column is personal (the form dictionary says so).

A mask depends on the cell alone, never on how many other cells there are, so that findings read the same every night.
"""

from __future__ import annotations

import hashlib

import polars as pl

STARS = "*"

# Shown in full: nothing of a person is in it, and the doctor must see that it is what stands in the cell.
_HARMLESS = ("无", "-", "/", "—")

# Runs of digits in free text that have the shape of an identity number (18 or 15) or a mobile. RE2 has no look-around,
# so the neighbours are part of the match, and the replacement runs twice to catch numbers that share one separator.
# ``\d`` also takes full-width digits.
_NUMBER_LIKE = r"^[\d.+A-Za-z]{9,64}$"
_PHONE_LIKE = r"^[\d+()（）\s-]{7,}$"
_DAY = r"(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])"
_IDENTITY = rf"^[0-9]{{6}}((18|19|20)[0-9][0-9]{_DAY}[0-9]{{3}}[0-9Xx]|[0-9][0-9]{_DAY}[0-9]{{3}})$"
_HASH = 4
_SUSPECT = r"\d{3}[\s-]?\d{4}[\s-]?\d{4}"
_SHAPES: tuple[tuple[str, str], ...] = (
    (r"(^|\D)(\d{4})\d{10}(\d{3}[\dXxＸｘ])(\D|$)", "${1}${2}**********${3}${4}"),
    (r"(^|\D)(\d{4})\d{7}(\d{4})(\D|$)", "${1}${2}*******${3}${4}"),
    (r"(^|\D)((?:\+?86[\s-]?)?[1１][3-9３-９]\d)[\s-]?\d{4}[\s-]?(\d{4})(\D|$)", "${1}${2}****${3}${4}"),
)


def mask_personal(text: pl.Expr, kind: str | None) -> pl.Expr:
    """A text column masked by its kind of personal data: ``name``, ``id_number``, ``phone``, ``address``.

    None (a column that is not personal) still masks numbers shaped like an identity number or a mobile. NULL stays.
    """
    if kind is None:
        return mask_numbers(text)
    return pl.when(text.is_in(_HARMLESS)).then(text).otherwise(_MASKS[kind](text.str.strip_chars()))


def mask_numbers(text: pl.Expr) -> pl.Expr:
    """Free text with every run of digits shaped like an identity number or a mobile masked."""
    masked = text
    for pattern, replacement in _SHAPES * 2:
        masked = masked.str.replace_all(pattern, replacement)
    return pl.when(text.str.contains(_SUSPECT)).then(masked).otherwise(text)


def suspect(texts: pl.Series) -> pl.Series:
    """Which texts may hold such a number at all; the others ``mask_numbers`` leaves as they are."""
    return texts.str.contains(_SUSPECT)


def mask_misplaced_id(key: pl.Expr) -> pl.Expr:
    """A key (record, archive, household number) as it is, unless an identity number stands in its place.

    That is masked, with four figures of its hash behind it: two people must not become one subject, and four figures
    tell nobody which of ten thousand million numbers it was. Only what has a date of birth where an identity number has
    it.
    """
    return key.map_batches(_misplaced_masked, return_dtype=pl.String)


def mask_misplaced_id_duckdb(key: str) -> str:
    """The same as SQL over the column ``key``."""
    last = f"substr({key}, length({key}) - 3)"
    masked = f"left({key}, 4) || repeat('{STARS}', length({key}) - 8) || {last} || '-' || left(md5({key}), {_HASH})"
    return (
        f"case when length({key}) in (15, 18) and regexp_full_match({key}, '{_IDENTITY.strip('^$')}') "
        f"then {masked} else {key} end"
    )


def _misplaced_masked(keys: pl.Series) -> pl.Series:
    suspects = keys.filter(keys.str.contains(_IDENTITY).fill_null(False)).unique()
    if suspects.is_empty():
        return keys
    masked = suspects.to_frame("key").select(_mask_id_number(pl.col("key"))).to_series().to_list()
    hashes = [hashlib.md5(key.encode()).hexdigest()[:_HASH] for key in suspects]
    return keys.replace(suspects, [f"{text}-{hash_}" for text, hash_ in zip(masked, hashes, strict=True)])


def _mask_name(text: pl.Expr) -> pl.Expr:
    """张三丰 → 张*: the length of a name is not told either."""
    return text.str.head(1) + STARS


def _mask_id_number(text: pl.Expr) -> pl.Expr:
    """654301199001011234 → 6543**********1234: as many stars as are hidden, for a wrong length is often the fault."""
    hidden = pl.lit(STARS * 64).str.head(text.str.len_chars() - 8)
    whole = pl.concat_str(text.str.head(4), hidden, text.str.tail(4))
    return pl.when(text.str.contains(_NUMBER_LIKE)).then(whole).otherwise(_only_first(text))


def _mask_phone(text: pl.Expr) -> pl.Expr:
    """13912345678 → 139****5678; a shorter number keeps its first three digits."""
    whole = pl.concat_str(text.str.head(3), pl.lit(STARS * 4), text.str.tail(4))
    short = text.str.head(3) + STARS * 4
    return (
        pl.when(~text.str.contains(_PHONE_LIKE)).then(_only_first(text))
        .when(text.str.len_chars() >= 11).then(whole)
        .otherwise(short)
    )  # fmt: skip


def _mask_address(text: pl.Expr) -> pl.Expr:
    """The first six characters (as a rule the county or town) and no more; of a shorter one, half."""
    length = text.str.len_chars()
    return text.str.head(pl.when(length > 6).then(6).otherwise(length // 2)) + STARS * 4


def _only_first(text: pl.Expr) -> pl.Expr:
    """What stands in the wrong column (a name where a number belongs) may be personal in another way: keep one."""
    return text.str.head(1) + STARS * 6


_MASKS = {"name": _mask_name, "id_number": _mask_id_number, "phone": _mask_phone, "address": _mask_address}
